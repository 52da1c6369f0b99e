"""The HTML page about an ingest: files by status, reasons for exclusion, and sample frames of a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.reporting.contact_sheets import CONTACT_SHEET_RULE, POOL_MODES, ContactSheet, contact_sheets
from heart2heart.reporting.participants import FlowStep, readable
from heart2heart.reporting.writer import render
from heart2heart.schema.status import StatusCode
from heart2heart.utils import write_text

if TYPE_CHECKING:
    from heart2heart.store.text_review import TextReview

MAX_MANUFACTURERS = 6
"""Maximum number of manufacturers on a tile."""


@dataclass(frozen=True)
class StatusReason:
    """Reason for excluded files: status code, meaning, remedy, and number of files by hospital."""

    code: str
    meaning: str
    remedy: str
    files: dict[str, int]


@dataclass(frozen=True)
class SiteIngestCounts:
    """One hospital of the store.

    Attributes:
        site: Name of the hospital.
        files: Number of files by status code.
        patients: Number of patients in the store.
        studies: Number of their studies.
        clips: Number of their clips.
        modes: Number of frames by mode.
    """

    site: str
    files: dict[str, int]
    patients: int
    studies: int
    clips: int
    modes: dict[str, int]

    @property
    def flow(self) -> list[FlowStep]:
        """Return the flow of the hospital, from files to the frames that a training pool contains by default."""
        lost = {readable(code): number for code, number in sorted(self.files.items()) if code != StatusCode.ACCEPTED}
        pool = sum(number for mode, number in self.modes.items() if mode in POOL_MODES)
        other = {readable(mode): number for mode, number in self.modes.items() if mode not in POOL_MODES}
        return [
            FlowStep("Files received", sum(self.files.values()), lost),
            FlowStep("Clips in the store", self.clips, {}),
            FlowStep("Frames in the store", sum(self.modes.values()), other),
            FlowStep("B-mode and colour frames", pool, {}),
        ]


@dataclass(frozen=True)
class UnacceptedFiles:
    """Files with one status other than `accepted`.

    Attributes:
        code: Status code.
        meaning: Meaning of the status.
        withheld: Whether the files have pictures that may contain names.
        makers: Number of files by manufacturer, most frequent first; None if the file does not name one.
    """

    code: str
    meaning: str
    withheld: bool
    makers: tuple[tuple[str | None, int], ...]

    @property
    def files(self) -> int:
        """Number of files of all manufacturers."""
        return sum(number for _, number in self.makers)

    @property
    def named(self) -> list[tuple[str, int]]:
        """Number of files of at most `MAX_MANUFACTURERS` named manufacturers."""
        return [(maker, number) for maker, number in self.makers if maker is not None][:MAX_MANUFACTURERS]

    @property
    def others(self) -> int:
        """Number of files whose manufacturer is not in `named`."""
        return self.files - sum(number for _, number in self.named)

    @property
    def note(self) -> str:
        """Text instead of a picture."""
        if self.withheld:
            return "Not shown: the picture may contain a name at an unknown position"
        if self.code == StatusCode.EXCLUDED_DUPLICATE:
            return "See the original file"
        return "No picture was read"


@dataclass(frozen=True)
class IngestContent:
    """Content of the page.

    Attributes:
        store: Name of the store's folder.
        geometry: Geometry of the frames.
        synthetic: Whether every clip is synthetic; None if only some are.
        sites: Hospitals.
        reasons: Status codes of excluded files.
        flags: Name, meaning and number of clips of each flag.
        review: Clips that wait for a person's review, that one cleared, and that one hides.
        sheets: Sample frames.
        not_accepted: Files that were not accepted, by status and manufacturer.
        code_version: Version of heart2heart.
    """

    store: str
    geometry: str
    synthetic: bool | None
    sites: tuple[SiteIngestCounts, ...]
    reasons: tuple[StatusReason, ...]
    flags: tuple[tuple[str, str, int], ...]
    review: TextReview
    sheets: tuple[ContactSheet, ...]
    not_accepted: tuple[UnacceptedFiles, ...]
    code_version: str

    @property
    def offered(self) -> int:
        """Number of files of all hospitals."""
        return sum(sum(site.files.values()) for site in self.sites)

    @property
    def groups(self) -> list[tuple[str, list[ContactSheet]]]:
        """Sheets by title: modes in the training pool, and other modes."""
        pooled = [sheet for sheet in self.sheets if sheet.pooled]
        other = [sheet for sheet in self.sheets if not sheet.pooled]
        named = (
            ("Accepted, in the training pool by default", pooled),
            ("Accepted, not in the training pool by default", other),
        )
        return [(title, sheets) for title, sheets in named if sheets]

    @property
    def accepted(self) -> int:
        """Number of accepted files of all hospitals."""
        return sum(site.files.get(StatusCode.ACCEPTED, 0) for site in self.sites)


def write_ingest_page(content: IngestContent, out: Path) -> Path:
    """Write the page as one self-contained HTML file of mode 0600; the same content gives the same bytes.

    Args:
        content: Content of the page.
        out: HTML file to write.

    Returns:
        `out`.
    """
    write_text(out, render("ingest.html.j2", {"page": content, "rule": CONTACT_SHEET_RULE}, escape=True), mode=0o600)
    return out


def ingest_report(store: Path, out: Path) -> Path:
    """Write the page about all files that were ingested into a store.

    Args:
        store: Folder of a store with a ledger.
        out: HTML file to write.

    Returns:
        `out`.

    Raises:
        MissingInputError: The store has no ledger.

    Examples:
        >>> ingest_report(Path("store"), Path("ingest_report.html")).name
        'ingest_report.html'
    """
    from heart2heart import __version__
    from heart2heart.ingest.ledger import Ledger
    from heart2heart.schema.status import CODES, FLAGS
    from heart2heart.store.frame_store import FrameStore

    opened, ledger = FrameStore.open(store), Ledger(store)
    counts = ledger.counts()
    site_rows = opened.sql(
        "SELECT site, count(DISTINCT patient) AS patients, count(DISTINCT study) AS studies,"
        " count(DISTINCT clip) AS clips FROM clips GROUP BY site"
    ).to_pylist()
    modes: dict[str, dict[str, int]] = {}
    for row in opened.sql("SELECT site, mode, count(*) AS n FROM frames GROUP BY ALL ORDER BY ALL").to_pylist():
        modes.setdefault(row["site"], {})[row["mode"]] = row["n"]
    counts_by_site = {row.pop("site"): row for row in site_rows}
    no_clips = {"patients": 0, "studies": 0, "clips": 0}
    sites = [
        SiteIngestCounts(site, files, modes=modes.get(site, {}), **counts_by_site.get(site, no_clips))
        for site, files in counts.items()
    ]
    codes = sorted({code for files in counts.values() for code in files} - {StatusCode.ACCEPTED})
    flags = Counter(flag for clip_flags in opened.all_clips["flags"].to_pylist() for flag in clip_flags)
    synthetic_values = set(opened.clips["synthetic"].to_pylist())
    not_accepted: dict[str, list[tuple[str | None, int]]] = {}
    for code, maker, number in ledger.not_accepted():
        not_accepted.setdefault(code, []).append((maker, number))
    content = IngestContent(
        store=store.name,
        geometry=str(opened.geometry),
        synthetic=None if len(synthetic_values) > 1 else synthetic_values == {True},
        sites=tuple(sites),
        reasons=tuple(
            StatusReason(
                code,
                CODES[code].meaning,
                CODES[code].remedy,
                {site: n[code] for site, n in counts.items() if code in n},
            )
            for code in codes
        ),
        flags=tuple((flag, FLAGS[flag], number) for flag, number in sorted(flags.items())),
        review=opened.text_review,
        sheets=tuple(contact_sheets(opened)),
        not_accepted=tuple(
            UnacceptedFiles(code, CODES[code].meaning, CODES[code].withheld, tuple(makers))
            for code, makers in not_accepted.items()
        ),
        code_version=__version__,
    )
    return write_ingest_page(content, out)
