"""The page about an ingest: what came in, what did not and why, and what the accepted frames look like."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.files import write_text
from heart2heart.report.flow import Step, readable
from heart2heart.report.writer import render

SHEET_RULE = (
    "Of each mode and maker up to twelve clips, at most one a patient, in the order of their pseudonyms; of each clip "
    "the middle frame that was kept."
)


@dataclass(frozen=True)
class Reason:
    """Why files were left out: a status code, what it means, what to do, and files by hospital."""

    code: str
    meaning: str
    remedy: str
    files: dict[str, int]


@dataclass(frozen=True)
class SiteIngest:
    """One hospital of the store.

    Attributes:
        site: Its name.
        files: Files by status code.
        patients: Patients whose frames are in the store.
        studies: Their studies.
        clips: Their clips.
        modes: Frames by mode.
    """

    site: str
    files: dict[str, int]
    patients: int
    studies: int
    clips: int
    modes: dict[str, int]

    @property
    def flow(self) -> list[Step]:
        """Follow the hospital from files to the frames that a training pool takes by default."""
        lost = {readable(code): number for code, number in sorted(self.files.items()) if code != "accepted"}
        pool = sum(number for mode, number in self.modes.items() if mode in ("b_mode", "colour"))
        other = {readable(mode): number for mode, number in self.modes.items() if mode not in ("b_mode", "colour")}
        return [
            Step("Files offered", sum(self.files.values()), lost),
            Step("Clips in the store", self.clips, {}),
            Step("Frames in the store", sum(self.modes.values()), other),
            Step("B-mode and colour frames", pool, {}),
        ]


@dataclass(frozen=True)
class Sheet:
    """Sample frames of one mode and maker, as PNG."""

    mode: str
    maker: str
    clips: int
    frames: int
    pictures: tuple[bytes, ...] = field(repr=False)

    @property
    def images(self) -> list[str]:
        """Return the pictures as data URIs."""
        return ["data:image/png;base64," + base64.b64encode(picture).decode("ascii") for picture in self.pictures]


@dataclass(frozen=True)
class IngestContent:
    """Everything that the page shows.

    Attributes:
        store: Name of the store's folder.
        geometry: How the frames were made.
        synthetic: Whether every clip is synthetic; None when some are.
        sites: Hospitals.
        reasons: Status codes of files that were left out.
        flags: Flag, meaning, and clips that carry it.
        sheets: Sample frames.
        code_version: Version that wrote the page.
    """

    store: str
    geometry: str
    synthetic: bool | None
    sites: tuple[SiteIngest, ...]
    reasons: tuple[Reason, ...]
    flags: tuple[tuple[str, str, int], ...]
    sheets: tuple[Sheet, ...]
    code_version: str

    @property
    def offered(self) -> int:
        """Files of all hospitals."""
        return sum(sum(site.files.values()) for site in self.sites)

    @property
    def accepted(self) -> int:
        """Files of all hospitals that became frames."""
        return sum(site.files.get("accepted", 0) for site in self.sites)


def write_ingest_page(content: IngestContent, out: Path) -> Path:
    """Write the page: one HTML file without script or network; the same content gives the same bytes.

    Args:
        content: What to show.
        out: Where to.

    Returns:
        `out`.
    """
    write_text(out, render("ingest.html.j2", {"page": content, "rule": SHEET_RULE}, escape=True))
    return out
