"""The file of link codes beside a store: keyed hashes that show which pseudonyms belong to one person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from heart2heart.config import Config
from heart2heart.errors import ConfigError, StoreError
from heart2heart.utils import read_json, write_text

LINKS_FILE = "links.json"
"""Name of the file in the folder of a store. It exists only where somebody asked for link codes."""

MAX_BYTES = 2**28
"""Size of the largest file that is read."""

CODE_PATTERN = r"^k[0-9a-f]{40}$"
"""Form of a link code: 160 bits of a keyed hash."""


class LinkedPatient(Config):
    """The link codes of one patient of a store."""

    site: str
    """Name of the hospital."""
    patient: str
    """Pseudonym of the patient."""
    codes: tuple[Annotated[str, Field(pattern=CODE_PATTERN)], ...] = Field(min_length=1)
    """One code for each spelling of the patient's name, sorted."""


class PatientLinks(Config):
    """The link codes of a store's patients."""

    schema_version: int = 1
    """Version of this layout."""
    key_check: str = Field(pattern=r"^[0-9a-f]{32}$")
    """Tells linking keys apart without revealing them; codes of different keys cannot be compared."""
    patients: tuple[LinkedPatient, ...]
    """One entry a patient of a hospital, sorted. Patients without name or date of birth are missing."""

    @classmethod
    def read(cls, root: Path) -> PatientLinks | None:
        """Read the link codes of the store at `root`; None where there are none.

        Raises:
            StoreError: the file is not one of link codes.
        """
        path = root / LINKS_FILE
        if not path.exists():
            return None
        remedy = "Delete it, and run `heart2heart link` again"
        if path.stat().st_size > MAX_BYTES:
            raise StoreError("this file of link codes is too large", where=path, remedy=remedy)
        try:
            return cls.parse(read_json(path, what="file of link codes"), where=path)
        except ConfigError as error:
            raise StoreError("this is no file of link codes", where=path, remedy=remedy) from error

    def write(self, root: Path) -> Path:
        """Write the codes into the store at `root`, readable by the owner alone, and return the file."""
        path = root / LINKS_FILE
        write_text(path, self.model_dump_json(indent=1) + "\n", mode=0o600)
        return path
