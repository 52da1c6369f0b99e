"""Frames before lines: what waits for the next shard, so that the ledger never speaks of frames that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from heart2heart.ingest.ledger import LedgerEntry, LedgerWriter
from heart2heart.store.frame_store import FrameStore

_MAX_WAITING_ENTRIES = 1000  # files after which a shard is published though it is not full, so that a stop costs little


class PublishBuffer:
    """One writer, and the lines that wait for its next shard.

    Args:
        book: Where the lines go.
        store: Where the frames go.

    Attributes:
        clips: Clips added.
        frames: Their frames.
    """

    def __init__(self, book: LedgerWriter, store: FrameStore) -> None:
        self._book, self._writer = book, store.writer()
        self._waiting: list[LedgerEntry] = []
        self._full = False
        self.clips = self.frames = 0

    def add_clip(self, row: dict[str, Any], pixels: npt.NDArray[np.uint8], frames: Sequence[dict[str, Any]]) -> None:
        """Add the frames of a clip; see `ShardWriter.add`."""
        self._full = self._writer.add(row, pixels, frames)
        self.clips += 1
        self.frames += len(frames)

    def add_entry(self, line: LedgerEntry) -> None:
        """Add the line of a file, after its clip; publish when a shard is full or many lines wait."""
        self._waiting.append(line)
        if self._full or len(self._waiting) >= _MAX_WAITING_ENTRIES:
            self.publish()

    def publish(self) -> None:
        """Publish the frames, then write the lines that speak of them."""
        self._writer.publish()
        self._book.add(self._waiting)
        self._waiting, self._full = [], False
