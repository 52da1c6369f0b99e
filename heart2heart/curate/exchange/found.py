"""What a reader finds in a file of labels, before any of it is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc

from heart2heart.curate.events import LabelEvent
from heart2heart.dicom.deidentify import Key, Pseudonymizer
from heart2heart.errors import LabelError
from heart2heart.frames.schema import frame_id
from heart2heart.frames.store import Frames

WAYS = ("clip", "sop_instance_uid", "file")
"""How a row may name its clip; all but the first are identity."""


@dataclass
class Found:
    """What a file holds.

    Attributes:
        unit: What its numbers count: `line`, `row`, `task`, `file` or `entry`.
        rows: How many there are.
        said: Number and event.
        unknown: Numbers of those whose clip or frame is not in the store.
        words: First number of each word that the vocabulary does not know.
        silent: Rows that say nothing about the view.
        exact: Whether it is a book's own export, in which one rater may have said two things at one time.
    """

    unit: str
    rows: int = 0
    said: list[tuple[int, LabelEvent]] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)
    silent: int = 0
    exact: bool = False
    _once: set[LabelEvent] = field(default_factory=set)

    def say_once(self, number: int, event: LabelEvent) -> None:
        """Take in an event unless it is there already: archives hold copies of files."""
        if event not in self._once:
            self._once.add(event)
            self.said.append((number, event))


class Clips:
    """The clips of some stores, by pseudonym and by identity.

    Args:
        stores: Where the clips are.
        key: Key file that the stores were ingested with; identity cannot be looked up without it.
    """

    def __init__(self, stores: Frames, key: Path | None) -> None:
        self.table = stores.clips
        self._stores = stores
        self._pseudonyms = None if key is None else Pseudonymizer(Key.load(key))
        self._clips = set(self.table["clip"].to_pylist())
        self._by: dict[str, dict[str, str]] = {}
        self._frames: set[str] | None = None

    def need_key(self, what: str, where: Path) -> Pseudonymizer:
        """Return the pseudonyms of the key.

        Raises:
            LabelError: no key was given.
        """
        if self._pseudonyms is None:
            remedy = "Give --key with the key that the store was ingested with"
            raise LabelError(f"{what} need the hospital's key", where=where, remedy=remedy)
        return self._pseudonyms

    def finder(self, way: str, where: Path) -> Callable[[Mapping[str, str]], str | None]:
        """Return the function that gives the clip of a row, or None if no store holds it.

        Args:
            way: One of `WAYS`.
            where: The label file; `file` is relative to its folder.
        """
        if way == "clip":
            return lambda row: row["clip"].strip() if row["clip"].strip() in self._clips else None
        pseudonyms = self.need_key(f"labels by {way}", where)
        if way == "sop_instance_uid":
            return lambda row: self.by_instance(pseudonyms, row["sop_instance_uid"])

        def by_file(row: Mapping[str, str]) -> str | None:
            file = where.parent / row["file"]
            return self._place("content").get(pseudonyms.content(file)) if file.is_file() else None

        return by_file

    def by_instance(self, pseudonyms: Pseudonymizer, uid: str) -> str | None:
        """Return the clip of a SOP Instance UID."""
        return self._place("instance").get(pseudonyms.uid(uid.strip()))

    def _place(self, column: str) -> dict[str, str]:
        if column not in self._by:
            mine = self.table.filter(pc.is_valid(self.table[column]))
            names = mine[column].to_pylist()
            once = {name for name, count in Counter(names).items() if count == 1}  # one UID of two clips names neither
            pairs = zip(names, mine["clip"].to_pylist(), strict=True)
            self._by[column] = {name: clip for name, clip in pairs if name in once}
        return self._by[column]

    def frame(self, clip: str, text: str) -> str | None:
        """Return the identifier of a frame that is given by index or identifier, or None if the clip lacks it."""
        if self._frames is None:
            self._frames = set(self._stores.frames["frame"].to_pylist())
        named = frame_id(clip, int(text)) if text.isascii() and text.isdigit() else text
        return named if named in self._frames and named.startswith(f"{clip}:") else None
