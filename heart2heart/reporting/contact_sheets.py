"""Sample frames of a store by mode and manufacturer, for the page about an ingest."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from heart2heart.utils import encode_png

if TYPE_CHECKING:
    from heart2heart.store.frame_store import FrameStore

CONTACT_SHEET_RULE = (
    "For each mode and manufacturer: up to twelve clips in the order of their pseudonyms, at most one per patient, and "
    "the middle stored frame of each. Stored frames are grayscale, also for colour clips, and black outside the scan. "
    "No picture of a clip is shown in which text is suspected and that no person cleared."
)
POOL_MODES = ("b_mode", "colour")
"""Modes that a training pool contains by default."""


@dataclass(frozen=True)
class SamplePicture:
    """One sample frame, as PNG, and the flags of its clip."""

    png: bytes = field(repr=False)
    flags: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """Picture as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class ContactSheet:
    """Sample frames of one mode and manufacturer; `withheld` of its clips are not shown."""

    mode: str
    maker: str
    clips: int
    frames: int
    withheld: int
    pictures: tuple[SamplePicture, ...] = field(repr=False)

    @property
    def pooled(self) -> bool:
        """Whether a training pool contains these frames by default."""
        return self.mode in POOL_MODES


def contact_sheets(store: FrameStore) -> Iterator[ContactSheet]:
    """Yield sample frames by mode and manufacturer, most frequent first, selected by `CONTACT_SHEET_RULE`."""
    flags = dict(zip(store.clips["clip"].to_pylist(), store.clips["flags"].to_pylist(), strict=True))
    withheld = store.text_review.withheld
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
        of_kind = [clip for clip in middles if (clip["mode"], clip["maker"]) == (kind["mode"], kind["maker"])]
        for clip in of_kind:
            if clip["clip"] not in withheld:
                chosen.setdefault(clip["patient"], (clip["row"], clip["clip"]))
        shown = list(chosen.values())[:12]
        frames = store.read(np.array([row for row, _ in shown], np.int64))
        pictures = (
            SamplePicture(encode_png(frame), tuple(flags[clip])) for frame, (_, clip) in zip(frames, shown, strict=True)
        )
        yield ContactSheet(
            kind["mode"],
            kind["maker"] or "unknown manufacturer",
            kind["clips"],
            kind["frames"],
            sum(clip["clip"] in withheld for clip in of_kind),
            tuple(pictures),
        )
