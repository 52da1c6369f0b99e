"""The clips that the page shows: their frames, blanked and cropped as the stores hold them, checked by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from heart2heart.errors import MissingInputError, StoreError
from heart2heart.schema.flags_rule import ClipUse, FlagsRule, usual_rule
from heart2heart.schema.review import REVIEW_FILE
from heart2heart.store.clip_uses import excluded_clips
from heart2heart.store.frame_store import FrameStores
from heart2heart.store.viewing_copies import ViewingCopy, viewing_path

_COLUMNS = ["clip", "site", "study", "mode", "flags", "pixel_hash", "synthetic", "frame_time_ms",
            "stage_number", "view_number"]  # fmt: skip
_DEFAULT_FRAME_MS = 40.0  # milliseconds between frames, where no time is known


@dataclass(frozen=True)
class CatalogClip:
    """One clip of the catalog.

    Attributes:
        clip: Pseudonym of the clip.
        site: Hospital.
        study: Pseudonym of the study.
        frame_hash: SHA-256 of the frames.
        rows: int64, rows of the frames in the stores, in order of time.
        frame_ms: Mean time between frames, milliseconds.
        synthetic: Whether the clip is simulated.
        index: int64, number of each frame in the recording.
        mode: Mode of the clip.
        flags: Flags of the clip.
    """

    clip: str
    site: str
    study: str
    frame_hash: str
    rows: npt.NDArray[np.int64]
    frame_ms: float
    synthetic: bool
    index: npt.NDArray[np.int64]
    mode: str = ""
    flags: tuple[str, ...] = ()


class ClipCatalog:
    """The clips of some stores that may be shown, read again when a store grows or changes, or a clip is reviewed.

    Args:
        roots: Folders of the stores.
        modes: Modes of the clips.
        flags: Rule by which flags keep clips from the page. None is `usual`.
    """

    def __init__(self, roots: Sequence[Path], modes: Sequence[str], flags: FlagsRule | None = None) -> None:
        self._roots, self._modes, self._lock = list(roots), frozenset(modes), Lock()
        self.flags = flags or usual_rule()
        self._read_tables()

    def _read_tables(self) -> None:
        stores, mark = FrameStores.open(self._roots), _fingerprint(self._roots)
        excluded, clips = excluded_clips(stores, ClipUse.LABEL, self.flags), _clips(stores, self._modes)
        self._stores, self._mark, self.size = stores, mark, stores.geometry.size
        self.clips = {name: clip for name, clip in clips.items() if name not in excluded}
        review = stores.text_review
        self.waiting = len(review.waiting)
        self._suspected = review.waiting | review.cleared | review.hidden
        self.flagged = len((excluded - review.withheld).intersection(clips))
        self.studies: dict[str, list[str]] = {}
        for clip in self.clips.values():
            self.studies.setdefault(clip.study, []).append(clip.clip)

    def refresh(self) -> bool:
        """Read the stores again if their files differ from those last seen, and return whether they did."""
        with self._lock:
            if _fingerprint(self._roots) == self._mark:
                return False
            self._read_tables()
            return True

    def find(self, clip: str) -> CatalogClip:
        """Return a clip by its pseudonym.

        Raises:
            MissingInputError: no store holds the clip, or it may no longer be shown.
        """
        entry = self.clips.get(clip)
        if entry is None:
            raise MissingInputError("this clip is not in the store, or no longer", remedy="Go on to the next clip")
        return entry

    def pixels(self, clip: CatalogClip) -> npt.NDArray[np.uint8]:
        """Return the frames of a clip, uint8 `(n, size, size)`.

        Raises:
            StoreError: the frames cannot be read, or changed since the ingest.
        """
        frames = self._stores.read(clip.rows)
        if hashlib.sha256(frames.data).hexdigest() != clip.frame_hash:
            remedy = "Run: heart2heart store verify STORE"
            raise StoreError("the frames of this clip changed in the store", where=clip.clip, remedy=remedy)
        return frames

    def viewing_copy(self, clip: CatalogClip) -> ViewingCopy:
        """Return the viewing copy of a clip, its header read.

        Raises:
            MissingInputError: there is none, or text was ever suspected in the clip; the frames are there.
            StoreError: it is damaged.
        """
        paths = [viewing_path(root, clip.clip) for root in self._roots if clip.clip not in self._suspected]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise MissingInputError("this clip has no viewing copy")
        return ViewingCopy(path, clip.clip)

    def thumbnails(self, clips: Sequence[str], *, each: int, side: int) -> npt.NDArray[np.uint8]:
        """Return frames spread over each clip, reduced by whole blocks of pixels.

        Args:
            clips: Pseudonyms of the clips.
            each: Number of frames of each clip; a shorter clip repeats some.
            side: Maximum width of a reduced frame, pixels.

        Returns:
            uint8 `(clips * each, reduced, reduced)`.

        Raises:
            MissingInputError: no store holds one of the clips.
        """
        positions = (np.arange(each) + 0.5) / each
        rows = [entry.rows[(positions * len(entry.rows)).astype(int)] for entry in map(self.find, clips)]
        frames = self._stores.read(np.concatenate(rows) if rows else np.zeros(0, np.int64))
        block = -(-self.size // side)
        reduced = self.size // block
        blocks = frames[:, : reduced * block, : reduced * block].reshape(-1, reduced, block, reduced, block)
        means: npt.NDArray[np.uint8] = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
        return means


def _clips(stores: FrameStores, modes: frozenset[str]) -> dict[str, CatalogClip]:
    """Return the clips by hospital, study and stress stage, in the order in which the tables list them."""
    frames = stores.frames.select(["clip", "index", "time_ms", "row"])
    names = frames["clip"].to_numpy(zero_copy_only=False)
    order = np.lexsort((frames["index"].to_numpy(), names))
    rows, indices = (frames[name].to_numpy()[order].astype(np.int64) for name in ("row", "index"))
    times = frames["time_ms"].to_numpy(zero_copy_only=False).astype(np.float64)[order]
    distinct, starts = np.unique(names[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    rows_of_clip = {name: slice(start, end) for name, start, end in zip(distinct, starts, ends, strict=True)}
    keyed_clips = []
    for row in stores.clips.select(_COLUMNS).to_pylist():
        if row["mode"] in modes and row["clip"] in rows_of_clip:
            part = rows_of_clip[row["clip"]]
            clip = CatalogClip(
                clip=row["clip"],
                site=row["site"],
                study=row["study"],
                frame_hash=row["pixel_hash"],
                rows=rows[part],
                frame_ms=_frame_time_ms(times[part], row["frame_time_ms"]),
                synthetic=bool(row["synthetic"]),
                index=indices[part],
                mode=row["mode"],
                flags=tuple(row["flags"]),
            )
            keyed_clips.append(((row["site"], row["study"], row["stage_number"] or 0, row["view_number"] or 0), clip))
    return {clip.clip: clip for _, clip in sorted(keyed_clips, key=lambda pair: pair[0])}


def _frame_time_ms(times: npt.NDArray[np.float64], stated: float | None) -> float:
    span = times[-1] - times[0]
    if len(times) > 1 and np.isfinite(span) and span > 0:
        return float(span / (len(times) - 1))
    return float(stated) if stated and np.isfinite(stated) else _DEFAULT_FRAME_MS


def _fingerprint(roots: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of every file of the stores' tables and frames, and of their reviews."""
    entries = []
    for root in roots:
        if not (root / "store.json").is_file():
            raise StoreError("this frame store no longer exists", where=root, remedy="Restore it; the labels are kept")
        paths = [path for folder in ("clips", "frames") for path in (root / folder).glob("[0-9a-f]*")]
        for path in (*paths, *root.glob(REVIEW_FILE)):
            file_stat = path.stat()
            entries.append((str(path), file_stat.st_size, file_stat.st_mtime_ns))
    return tuple(sorted(entries))
