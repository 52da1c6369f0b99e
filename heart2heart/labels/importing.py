"""Imports labels into the label store: all labels of a file or none, in any of the formats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.ingest.source_files import close_archives
from heart2heart.labels.clip_index import NO_SUCH_FRAME, NOT_INGESTED, REMEDIES, ClipIndex
from heart2heart.labels.events import LabelEvent, TaxonomyMaps, migrate_taxonomy
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.parsed_labels import NON_VIEW_ANSWERS, ParsedLabels, WordUse, read_hospital_table
from heart2heart.labels.table_files import detect_format, is_event_table, is_xml, parse_events, read_rows
from heart2heart.labels.view_words import ViewWords
from heart2heart.schema.enums import EventKind
from heart2heart.schema.views import USUAL, VOCABULARIES
from heart2heart.store.frame_store import Frames

IMPORT_FORMATS = ("csv", "parquet", "label_studio", "cvat", "view_code", "sr")
"""`csv`, `parquet`: a hospital's table, or an export of events. `label_studio`: a JSON export of Label Studio.
`cvat`: XML annotations of CVAT for an image task, version 1.1.
`view_code`: View Code Sequence in the headers of DICOM files. `sr`: DICOM structured reports."""

_ROWS_SHOWN = 8  # rows named in an error


@dataclass(frozen=True)
class ImportSummary:
    """Counts of an import.

    Attributes:
        rows: Number of rows, tasks or files.
        new: Number of events that the label store did not hold yet.
        without_view: Number of rows that name no view.
        unknown_clip: Number of rows skipped because their clip or frame is not in the store.
    """

    rows: int
    new: int
    without_view: int
    unknown_clip: int


@dataclass(frozen=True)
class LabelImport:
    """The labels of a file, read and not written.

    Attributes:
        path: The file, or folder of DICOM files.
        parsed: Its labels.
        words: What its words mean.
    """

    path: Path
    parsed: ParsedLabels
    words: ViewWords

    @property
    def word_uses(self) -> list[WordUse]:
        """What each label became: unknown ones first, then by view and number of rows."""
        return sorted(self.parsed.words.values(), key=lambda use: (use.view is not None, use.view or "", -use.rows))

    @property
    def unknown_clips(self) -> dict[str, int]:
        """Number of rows whose clip was not found, by reason."""
        return {reason: len(rows) for reason, rows in self.parsed.unknown_clips.items()}

    def check(self, raters: Collection[str] | None = None, *, skip_unknown: bool = False) -> None:
        """Raise LabelError if a label, clip or rater is unknown, or a row is repeated; see `read_label_file`.

        Args:
            raters: Names of the raters who may occur; None accepts any name.
            skip_unknown: Labels of clips that are not in the store are no error.
        """
        _check_labels(self.path, self.words, self.parsed, raters, skip_unknown=skip_unknown)

    def write(self, label_store: LabelStore, maps: TaxonomyMaps | None = None) -> ImportSummary:
        """Append the labels to a label store; call `check` before.

        Args:
            label_store: The label store.
            maps: Taxonomy maps, see `migrate_taxonomy`.

        Returns:
            The counts.
        """
        parsed = self.parsed
        new_events = label_store.append(migrate_taxonomy([event for _, event in parsed.events], maps))
        return ImportSummary(parsed.rows, new_events, parsed.without_view, len(parsed.unknown_clip_rows))


def read_label_file(
    path: Path,
    stores: Frames,
    *,
    form: str | None = None,
    words: ViewWords | None = None,
    key: Path | None = None,
    archives: Sequence[Path] = (),
) -> LabelImport:
    """Read the labels of a file, or of a folder of DICOM files, and write nothing.

    Args:
        path: The file or folder.
        stores: The stores with the clips.
        form: One of `IMPORT_FORMATS`; None detects it by the first bytes of the file. A folder needs a format.
        words: What the words of tables and of Label Studio mean. Default: the usual words.
        key: The key with which the clips were ingested; not needed when the file names clips by pseudonym.
        archives: Folders that the paths of the column `file` may be relative to.

    Raises:
        MissingInputError: no such file.
        UnknownNameError: no such format.
        LabelError: a column or a key is missing, or the file has another format.
    """
    if form is not None and form not in IMPORT_FORMATS:
        raise UnknownNameError.among("format of labels", form, list(IMPORT_FORMATS))
    words = words or ViewWords()
    try:
        parsed = _read(path, form or _detect_label_format(path), ClipIndex(stores, key, archives), words)
    finally:
        close_archives()
    return LabelImport(path, parsed, words)


def import_labels(
    path: Path,
    label_store: LabelStore,
    stores: Frames,
    *,
    form: str | None = None,
    vocabulary: str = USUAL,
    key: Path | None = None,
    skip_unknown: bool = False,
    raters: Collection[str] | None = None,
    maps: TaxonomyMaps | None = None,
) -> ImportSummary:
    """Append the labels of a file, or of a folder of DICOM files, to a label store.

    Args:
        path: The file or folder.
        label_store: The label store.
        stores: The stores with the clips.
        form: One of `IMPORT_FORMATS`; None detects it by the first bytes of the file. A folder needs a format.
        vocabulary: A name of `views.VOCABULARIES`, for tables and Label Studio.
        key: The key with which the clips were ingested; not needed when the file names clips by pseudonym.
        skip_unknown: Skip and count labels of clips that are not in the store, instead of refusing the file.
        raters: Names of the raters who may occur; None accepts any name.
        maps: Taxonomy maps, see `migrate_taxonomy`.

    Returns:
        The counts.

    Raises:
        MissingInputError: no such file.
        UnknownNameError: no such format or vocabulary.
        LabelError: a column is missing, a clip, frame, view or rater is unknown, a row is repeated, or the file has
            another format; nothing is written.
    """
    words = ViewWords(vocabulary, taxonomy=label_store.taxonomy())
    read = read_label_file(path, stores, form=form, words=words, key=key)
    read.check(raters, skip_unknown=skip_unknown)
    return read.write(label_store, maps)


def _detect_label_format(path: Path) -> str:
    if path.is_dir():
        what = "a folder of DICOM files can hold labels in two forms"
        raise LabelError(what, where=path, remedy="Give --format view_code or --format sr")
    forms = {"Parquet": "parquet", "JSON": "label_studio", "DICOM": "sr", "text": "csv"}
    form = detect_format(path)
    if form == "text" and is_xml(path):
        return "cvat"
    if form not in forms:
        remedy = "To merge label stores, run: heart2heart labels merge" if form == "a label store" else None
        raise LabelError(f"this is not a file of labels, but {form}", where=path, remedy=remedy)
    return forms[form]


def _read(path: Path, form: str, clips: ClipIndex, words: ViewWords) -> ParsedLabels:
    if form in ("view_code", "sr"):
        from heart2heart.labels.dicom_views import read_dicom_views

        return read_dicom_views(path, clips, words.taxonomy, reports=form == "sr")
    if not path.is_file():
        raise MissingInputError("no label file here", where=path)
    if form == "label_studio":
        from heart2heart.labels.label_studio import read_tasks

        return read_tasks(path, clips, words)
    if form == "cvat":
        from heart2heart.labels.cvat import read_images

        return read_images(path, clips, words)
    rows, columns, first = read_rows(path)
    if (first == 1) != (form == "parquet"):
        raise LabelError(f"this file does not have the format of --format {form}", where=path)
    if is_event_table(columns):
        events = parse_events(path, rows, columns, first, words.taxonomy.views)
        return _parse_event_table(events, clips, first, form)
    return read_hospital_table(path, rows, columns, first, clips, words, form=form)


def _parse_event_table(events: Sequence[LabelEvent], clips: ClipIndex, first: int, form: str) -> ParsedLabels:
    parsed = ParsedLabels("line" if form == "csv" else "row", rows=len(events), is_event_export=True)
    find = clips.finder("clip", Path())
    for row_number, event in enumerate(events, start=first):
        if find({"clip": event.clip}) is None:
            parsed.add_unknown_clip(row_number, NOT_INGESTED)
        elif event.frame and clips.frame(event.clip, event.frame) is None:
            parsed.add_unknown_clip(row_number, NO_SUCH_FRAME)
        else:
            parsed.events.append((row_number, event))
    return parsed


def _check_labels(
    path: Path, words: ViewWords, parsed: ParsedLabels, raters: Collection[str] | None, *, skip_unknown: bool
) -> None:
    if parsed.unknown_labels:
        known_labels = [*words.own, *words.taxonomy.views, *VOCABULARIES[words.vocabulary], *NON_VIEW_ANSWERS]
        listed = ", ".join(
            _with_suggestion(label, number, parsed.unit, known_labels)
            for label, number in _first_shown(parsed.unknown_labels.items())
        )
        matching = [name for name in VOCABULARIES if _has_labels(name, parsed.unknown_labels)]
        other = f"Name another --vocabulary ({', '.join(matching)} has these)" if matching else ""
        own = "Give --words with a CSV of word and view"
        remedy = f"{other or own}, or correct the file; nothing was imported"
        raise LabelError(f"views unknown to vocabulary {words.vocabulary!r}: {listed}", where=path, remedy=remedy)
    if parsed.unknown_clip_rows and not skip_unknown:
        what = "; ".join(
            f"{len(rows)} labels of {reason} ({_list_numbers(parsed.unit, rows)})"
            for reason, rows in parsed.unknown_clips.items()
        )
        remedies = [REMEDIES[reason] for reason in parsed.unknown_clips if reason in REMEDIES]
        remedy = "; ".join([*remedies, "or give --skip-unknown; nothing was imported"])
        raise LabelError(what, where=path, remedy=remedy[0].upper() + remedy[1:])
    unknown_raters = [number for number, event in parsed.events if raters is not None and event.rater not in raters]
    if unknown_raters:
        what = f"{len(unknown_raters)} labels of unknown raters ({_list_numbers(parsed.unit, unknown_raters)})"
        remedy = f"Known: {', '.join(sorted(raters or ()))}. Add them by `heart2heart raters add`; nothing was imported"
        raise LabelError(what, where=path, remedy=remedy)
    _check_duplicate_rows(path, parsed)


def _check_duplicate_rows(path: Path, parsed: ParsedLabels) -> None:
    """Refuse two rows of one rater, clip or frame, and time: a repeated row, or a contradiction."""
    seen: dict[tuple[str, ...], tuple[int, str]] = {}
    repeated: list[int] = []
    contradicting: list[int] = []
    for number, event in parsed.events:
        if event.kind == EventKind.RETRACTION:
            continue
        key = (event.identifier,) if parsed.is_event_export else (event.target, event.rater, event.at, event.kind)
        if key not in seen:
            seen[key] = number, event.value
        else:
            (repeated if seen[key][1] == event.value else contradicting).append(number)
    for numbers, what in ((contradicting, "contradict an earlier row of the same rater, clip and time"),
                          (repeated, "repeat an earlier row")):  # fmt: skip
        if numbers:
            remedy = "Keep one of each, or add the columns rater and labeled_at; nothing was imported"
            raise LabelError(
                f"{len(numbers)} rows {what} ({_list_numbers(parsed.unit, numbers)})", where=path, remedy=remedy
            )


def _has_labels(vocabulary: str, labels: Iterable[str]) -> bool:
    return {" ".join(label.split()).casefold() for label in labels} <= {
        label.casefold() for label in VOCABULARIES[vocabulary]
    }


def _first_shown(items: Collection[Any]) -> list[Any]:
    return list(items)[:_ROWS_SHOWN]


def _list_numbers(unit: str, numbers: Sequence[int]) -> str:
    return f"{unit}s " + ", ".join(map(str, _first_shown(numbers))) + (" ..." if len(numbers) > _ROWS_SHOWN else "")


def _with_suggestion(label: str, number: int, unit: str, known_labels: Sequence[str]) -> str:
    folded_labels = {name.casefold(): name for name in known_labels}
    close_matches = get_close_matches(label.casefold(), folded_labels, n=1)
    hint = f"; did you mean {folded_labels[close_matches[0]]}?" if close_matches else ""
    return f"{label!r} ({unit} {number}{hint})"
