"""What to ask a PACS for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import Field, field_validator

from heart2heart.config import Config


class PacsQuery(Config):
    """Which studies and series to fetch.

    Identifiers of patients belong into a file of this form, not on the command line, where every user of the machine
    can read them.
    """

    modality: str = "US"
    """Modality of the series (0008,0060)."""
    dates: str | None = None
    """Study dates, `20240101` or `20240101-20240331`; either side of the dash may be left out."""
    match: dict[str, str] = Field(default_factory=dict)
    """Further study attributes by DICOM keyword (`PatientID: ...`), with the wildcards that the server allows."""

    @field_validator("modality")
    @classmethod
    def _modality_code(cls, value: str) -> str:
        if re.fullmatch(r"[A-Z0-9_]{2,16}", value) is None:
            raise ValueError("a modality is two or more capital letters, such as US")
        return value

    @field_validator("dates")
    @classmethod
    def _date_range(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"\d{8}|\d{8}-(\d{8})?|-\d{8}", value) is None:
            raise ValueError("dates are YYYYMMDD, YYYYMMDD-YYYYMMDD, YYYYMMDD- or -YYYYMMDD")
        return value

    @field_validator("match")
    @classmethod
    def _keywords(cls, value: dict[str, str]) -> dict[str, str]:
        from pydicom.datadict import tag_for_keyword

        if any(tag_for_keyword(keyword) is None for keyword in value):
            raise ValueError("a name that is no DICOM keyword")
        return value

    def filters(self) -> dict[str, str]:
        """Return the query parameters of a study search (PS3.18 section 8.3.4)."""
        dates = {} if self.dates is None else {"StudyDate": self.dates}
        return {"ModalitiesInStudy": self.modality} | dates | self.match


@dataclass(frozen=True, order=True)
class InstanceReference:
    """One SOP instance on a server; its UIDs are identity and are never shown."""

    study: str = field(repr=False)
    series: str = field(repr=False)
    uid: str = field(repr=False)
