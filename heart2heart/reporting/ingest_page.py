"""The HTML page about an ingest: files by status, reasons for exclusion, and sample frames of a store."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from heart2heart.reporting.participants import FlowStep, readable
from heart2heart.reporting.writer import render
from heart2heart.schema.status import StatusCode
from heart2heart.utils import encode_png, write_text

if TYPE_CHECKING:
    from heart2heart.store.frame_store import FrameStore

CONTACT_SHEET_RULE = (
    "Of each mode and maker up to twelve clips, at most one a patient, in the order of their pseudonyms; of each clip "
    "the middle frame that was kept. The store is gray, colour clips too, and black outside the scan."
)
POOL_MODES = ("b_mode", "colour")
"""Modes that a training pool takes by default, as `frames.schema` says."""
MAX_MANUFACTURERS = 6
"""Makers named on a tile."""


@dataclass(frozen=True)
class StatusReason:
    """Why files were left out: a status code, what it means, what to do, and files by hospital."""

    code: str
    meaning: str
    remedy: str
    files: dict[str, int]


@dataclass(frozen=True)
class SiteIngestCounts:
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
    def flow(self) -> list[FlowStep]:
        """Follow the hospital from files to the frames that a training pool takes by default."""
        lost = {readable(code): number for code, number in sorted(self.files.items()) if code != StatusCode.ACCEPTED}
        pool = sum(number for mode, number in self.modes.items() if mode in POOL_MODES)
        other = {readable(mode): number for mode, number in self.modes.items() if mode not in POOL_MODES}
        return [
            FlowStep("Files offered", sum(self.files.values()), lost),
            FlowStep("Clips in the store", self.clips, {}),
            FlowStep("Frames in the store", sum(self.modes.values()), other),
            FlowStep("B-mode and colour frames", pool, {}),
        ]


@dataclass(frozen=True)
class SamplePicture:
    """One sample frame, as PNG, and the flags of its clip."""

    png: bytes = field(repr=False)
    flags: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """Return the picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class ContactSheet:
    """Sample frames of one mode and maker."""

    mode: str
    maker: str
    clips: int
    frames: int
    pictures: tuple[SamplePicture, ...] = field(repr=False)

    @property
    def pooled(self) -> bool:
        """Whether a training pool takes these frames by default."""
        return self.mode in POOL_MODES


@dataclass(frozen=True)
class UnacceptedFiles:
    """Files that ended with one status other than `accepted`.

    Attributes:
        code: The status.
        meaning: What it says.
        withheld: Whether they have a picture that nobody can make safe to show.
        makers: Files by maker, most frequent first; None is a file that does not say, or that is not DICOM.
    """

    code: str
    meaning: str
    withheld: bool
    makers: tuple[tuple[str | None, int], ...]

    @property
    def files(self) -> int:
        """Files of all makers."""
        return sum(number for _, number in self.makers)

    @property
    def named(self) -> list[tuple[str, int]]:
        """Return at most `MAX_MANUFACTURERS` makers by name."""
        return [(maker, number) for maker, number in self.makers if maker is not None][:MAX_MANUFACTURERS]

    @property
    def others(self) -> int:
        """Files whose maker is not among `named`."""
        return self.files - sum(number for _, number in self.named)

    @property
    def note(self) -> str:
        """What stands in the place of a picture."""
        if self.withheld:
            return "Not shown: nothing says where in it a name may stand"
        if self.code == StatusCode.EXCLUDED_DUPLICATE:
            return "Shown as its original"
        return "No picture was read"


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
        left_out: Files that are not frames, by status and maker.
        code_version: Version that wrote the page.
    """

    store: str
    geometry: str
    synthetic: bool | None
    sites: tuple[SiteIngestCounts, ...]
    reasons: tuple[StatusReason, ...]
    flags: tuple[tuple[str, str, int], ...]
    sheets: tuple[ContactSheet, ...]
    left_out: tuple[UnacceptedFiles, ...]
    code_version: str

    @property
    def offered(self) -> int:
        """Files of all hospitals."""
        return sum(sum(site.files.values()) for site in self.sites)

    @property
    def groups(self) -> list[tuple[str, list[ContactSheet]]]:
        """Return the sheets under a title: those of a training pool, and those that it leaves out."""
        pooled = [sheet for sheet in self.sheets if sheet.pooled]
        other = [sheet for sheet in self.sheets if not sheet.pooled]
        named = (
            ("Accepted, and taken by a training pool", pooled),
            ("Accepted, but excluded from a training pool", other),
        )
        return [(title, sheets) for title, sheets in named if sheets]

    @property
    def accepted(self) -> int:
        """Files of all hospitals that became frames."""
        return sum(site.files.get(StatusCode.ACCEPTED, 0) for site in self.sites)


def write_ingest_page(content: IngestContent, out: Path) -> Path:
    """Write the page: one HTML file without script or network; the same content gives the same bytes.

    Args:
        content: What to show.
        out: Where to.

    Returns:
        `out`.
    """
    write_text(out, render("ingest.html.j2", {"page": content, "rule": CONTACT_SHEET_RULE}, escape=True))
    return out


def ingest_report(store: Path, out: Path) -> Path:
    """Write the page about everything that was ingested into a store.

    Args:
        store: A store with a ledger.
        out: Where the HTML goes.

    Raises:
        MissingInputError: the store has no ledger.
    """
    from heart2heart import __version__
    from heart2heart.ingest.ledger import Ledger
    from heart2heart.schema.status import CODES, FLAGS
    from heart2heart.store.frame_store import FrameStore

    opened, ledger = FrameStore.open(store), Ledger(store)
    counts = ledger.counts()
    about = opened.sql(
        "SELECT site, count(DISTINCT patient) AS patients, count(DISTINCT study) AS studies,"
        " count(DISTINCT clip) AS clips FROM clips GROUP BY site"
    ).to_pylist()
    modes: dict[str, dict[str, int]] = {}
    for row in opened.sql("SELECT site, mode, count(*) AS n FROM frames GROUP BY ALL ORDER BY ALL").to_pylist():
        modes.setdefault(row["site"], {})[row["mode"]] = row["n"]
    known = {row.pop("site"): row for row in about}
    nothing = {"patients": 0, "studies": 0, "clips": 0}
    sites = [
        SiteIngestCounts(site, files, modes=modes.get(site, {}), **known.get(site, nothing))
        for site, files in counts.items()
    ]
    codes = sorted({code for files in counts.values() for code in files} - {StatusCode.ACCEPTED})
    flags = Counter(flag for found in opened.clips["flags"].to_pylist() for flag in found)
    kinds = set(opened.clips["synthetic"].to_pylist())
    left: dict[str, list[tuple[str | None, int]]] = {}
    for code, maker, number in ledger.not_accepted():
        left.setdefault(code, []).append((maker, number))
    content = IngestContent(
        store=store.name,
        geometry=str(opened.geometry),
        synthetic=None if len(kinds) > 1 else kinds == {True},
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
        sheets=tuple(_contact_sheets(opened)),
        left_out=tuple(
            UnacceptedFiles(code, CODES[code].meaning, CODES[code].withheld, tuple(makers))
            for code, makers in left.items()
        ),
        code_version=__version__,
    )
    return write_ingest_page(content, out)


def _contact_sheets(store: FrameStore) -> Iterator[ContactSheet]:
    """Yield sample frames by mode and maker, most frequent first; `report.ingest_page.SHEET_RULE` is the rule."""
    flags = dict(zip(store.clips["clip"].to_pylist(), store.clips["flags"].to_pylist(), strict=True))
    kinds = store.sql(
        "SELECT mode, maker, count(DISTINCT clip) AS clips, count(*) AS frames FROM frames GROUP BY ALL"
        " ORDER BY frames DESC, mode, maker"
    )
    middles = store.sql(
        "SELECT mode, maker, patient, clip, list(row ORDER BY index)[(count(*) + 1) // 2] AS row FROM frames"
        " GROUP BY ALL ORDER BY clip"
    ).to_pylist()
    for kind in kinds.to_pylist():
        chosen: dict[str, tuple[int, str]] = {}
        for clip in middles:
            if (clip["mode"], clip["maker"]) == (kind["mode"], kind["maker"]):
                chosen.setdefault(clip["patient"], (clip["row"], clip["clip"]))
        shown = list(chosen.values())[:12]
        frames = store.read(np.array([row for row, _ in shown], np.int64))
        pictures = (
            SamplePicture(encode_png(frame), tuple(flags[clip])) for frame, (_, clip) in zip(frames, shown, strict=True)
        )
        yield ContactSheet(
            kind["mode"], kind["maker"] or "maker unknown", kind["clips"], kind["frames"], tuple(pictures)
        )
