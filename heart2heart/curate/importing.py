"""Import a hospital's label file: its own vocabulary, its own identifiers, all rows or none.

A row names its clip by `clip` (the store's pseudonym), by `sop_instance_uid`, or by `file` (relative to the CSV). The
last two are identity: they are turned into pseudonyms with the hospital's key and never kept.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from heart2heart.curate.book import LabelBook
from heart2heart.curate.events import LabelEvent
from heart2heart.dicom.deidentify import Key, Pseudonymizer
from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.frames.store import Frames
from heart2heart.views import translate

_SHOWN = 8  # rows named in an error


@dataclass(frozen=True)
class ImportSummary:
    """What an import did.

    Attributes:
        rows: Rows of the file.
        new: Events that were not in the book yet.
        without_view: Rows whose word says nothing about the view.
        unknown_clip: Rows skipped because their clip is not in the store.
    """

    rows: int
    new: int
    without_view: int
    unknown_clip: int


def import_csv(
    path: Path,
    book: LabelBook,
    stores: Frames,
    *,
    vocabulary: str = "heart2heart",
    key: Path | None = None,
    skip_unknown: bool = False,
) -> ImportSummary:
    """Append the labels of a CSV file to a label book.

    Args:
        path: A UTF-8 CSV with a header: `view`; one of `clip`, `sop_instance_uid`, `file`; optional `frame` (index),
            `rater`, `labeled_at`.
        book: Where the events go.
        stores: Where the clips are.
        vocabulary: A name of `views.MAPPINGS`.
        key: The key that the store was ingested with; needed unless rows name the pseudonym.
        skip_unknown: Count labels of clips that are not in the store instead of refusing the file.

    Raises:
        LabelError: a column is missing, a clip or frame is unknown, or a view word is unknown; nothing is written.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            rows = list(reader)
            columns = set(reader.fieldnames or ())
    except FileNotFoundError as error:
        raise MissingInputError("no label file here", where=path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelError("this label file is not readable CSV in UTF-8", where=path) from error
    find = _finder(path, columns, stores, key)
    events: list[LabelEvent] = []
    unknown: list[int] = []
    words: dict[str, int] = {}
    without_view = 0
    indices = _indices(stores) if "frame" in columns else {}
    for number, row in enumerate(rows, start=2):  # line 1 is the header
        try:
            view = translate(row["view"] or "", vocabulary)
        except UnknownNameError:
            words.setdefault(str(row["view"]), number)
            continue
        clip = find(row)
        frame = (row.get("frame") or "").strip()
        if clip is None or (frame and f"{clip}:{frame}" not in indices):
            unknown.append(number)
        elif view is None:
            without_view += 1
        else:
            who = (row.get("rater") or "").strip() or "unnamed"
            at = (row.get("labeled_at") or "").strip()
            events.append(
                LabelEvent(clip, indices[f"{clip}:{frame}"] if frame else "", view, who, at, f"csv:{vocabulary}")
            )
    _refuse(path, vocabulary, words, [] if skip_unknown else unknown)
    return ImportSummary(len(rows), book.append(events), without_view, len(unknown))


def _refuse(path: Path, vocabulary: str, words: Mapping[str, int], unknown: list[int]) -> None:
    if words:
        shown = ", ".join(f"{word!r} (line {number})" for word, number in list(words.items())[:_SHOWN])
        remedy = "Name another --vocabulary, or correct the file; nothing was imported"
        raise LabelError(f"views unknown to vocabulary {vocabulary!r}: {shown}", where=path, remedy=remedy)
    if unknown:
        lines = ", ".join(map(str, unknown[:_SHOWN])) + (" ..." if len(unknown) > _SHOWN else "")
        remedy = "Ingest those files first, or give --skip-unknown; nothing was imported"
        raise LabelError(f"{len(unknown)} labels of clips not in the store (lines {lines})", where=path, remedy=remedy)


def _indices(stores: Frames) -> dict[str, str]:
    """Return the frame identifier by `<clip>:<index>`, the index written without leading zeros."""
    table = stores.frames
    columns = (table[name].to_pylist() for name in ("clip", "index", "frame"))
    return {f"{clip}:{index}": frame for clip, index, frame in zip(*columns, strict=True)}


def _finder(
    path: Path, columns: set[str], stores: Frames, key: Path | None
) -> Callable[[Mapping[str, str]], str | None]:
    """Return the function that finds the clip of a row."""
    by = next((name for name in ("clip", "sop_instance_uid", "file") if name in columns), None)
    if by is None or "view" not in columns:
        remedy = "Needed: view, and one of clip, sop_instance_uid, file"
        raise LabelError("this label file lacks a column", where=path, remedy=remedy)
    clips = stores.clips
    if by == "clip":
        known = set(clips["clip"].to_pylist())
        return lambda row: row["clip"] if row["clip"] in known else None
    if key is None:
        remedy = "Give --key with the key that the store was ingested with"
        raise LabelError(f"labels by {by} need the hospital's key", where=path, remedy=remedy)
    pseudonyms = Pseudonymizer(Key.load(key))
    column = "instance" if by == "sop_instance_uid" else "content"
    mine = clips.filter(pc.is_valid(clips[column]))
    place = dict(zip(mine[column].to_pylist(), mine["clip"].to_pylist(), strict=True))
    if by == "sop_instance_uid":
        return lambda row: place.get(pseudonyms.uid((row["sop_instance_uid"] or "").strip()))

    def by_file(row: Mapping[str, str]) -> str | None:
        file = path.parent / (row["file"] or "")
        return place.get(pseudonyms.content(file)) if file.is_file() else None

    return by_file
