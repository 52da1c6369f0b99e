"""Labels: import, export, counts, agreement, merging and likely errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.api.audit import audited
from heart2heart.api.splits import open_stores
from heart2heart.errors import ConfigError
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.labels.exporting import ExportRecord
    from heart2heart.labels.importing import ImportSummary, LabelImport
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.merging import MergedEvents
    from heart2heart.schema.taxonomy import Taxonomy
    from heart2heart.store.frame_tables import FrameTables


def read_label_file(
    path: str | Path,
    store: str | Path | Sequence[str | Path] | FrameTables,
    *,
    form: str | None = None,
    key: str | Path | None = None,
    vocabulary: str = "usual",
    words: str | Path | None = None,
    archive: str | Path | Sequence[str | Path] = (),
    views: str | Path | Taxonomy = "basic",
) -> LabelImport:
    """Read the labels of a file and what its words mean, and write nothing.

    Args:
        path: Table, export, or folder of DICOM files.
        store: The stores with the clips.
        form: `csv`, `parquet`, `label_studio`, `cvat`, `view_code` or `sr`. None detects it from the first bytes.
        key: Key that the store was ingested with, for a file that names DICOM identifiers.
        vocabulary: Vocabulary of the views in the file.
        words: The hospital's own map of words, CSV with the columns `word` and `view`; it goes before the vocabulary.
        archive: Folders that the paths of the column `file` may be relative to.
        views: Taxonomy of the label store, by file or packaged name; its words are known too.

    Returns:
        The labels, which may be written.

    Examples:
        >>> from heart2heart.api import read_label_file
        >>> read = read_label_file("labels.csv", "store", key="store.key", vocabulary="tmed2")
        >>> [use.view for use in read.word_uses if use.label == "PLAX"], read.unknown_clips
        (['PLAX'], {})
    """
    from heart2heart.labels.importing import read_label_file
    from heart2heart.labels.view_words import ViewWords, read_word_map
    from heart2heart.schema.taxonomy import read_taxonomy

    archives = [archive] if isinstance(archive, str | Path) else archive
    taxonomy = read_taxonomy(views)
    own = {} if words is None else read_word_map(Path(words), taxonomy.views)
    return read_label_file(
        Path(path),
        open_stores(store),
        form=form,
        words=ViewWords(vocabulary, own, taxonomy),
        key=None if key is None else Path(key),
        archives=[Path(folder) for folder in archives],
    )


@audited(AuditAction.IMPORT_LABELS, beside="labels", reads=["path"], writes=["labels"])
def import_labels(
    path: str | Path | LabelImport,
    labels: str | Path | LabelStore,
    store: str | Path | Sequence[str | Path] | FrameTables,
    *,
    form: str | None = None,
    key: str | Path | None = None,
    vocabulary: str = "usual",
    words: str | Path | None = None,
    archive: str | Path | Sequence[str | Path] = (),
    skip_unknown: bool = False,
    raters: str | Path | None = None,
    taxonomy_map: str | Path | None = None,
    views: str | Path | None = None,
) -> ImportSummary:
    """Append the labels of a file to a label store, all or none.

    Args:
        path: Table, export, or folder of DICOM files; or what `read_label_file` returned, which needs none of `form`,
            `key`, `vocabulary`, `words` and `archive`.
        labels: The label store; created if missing.
        store: The stores with the clips.
        form: `csv`, `parquet`, `label_studio`, `cvat`, `view_code` or `sr`. None detects it from the first bytes.
        key: Key that the store was ingested with, for a file that names DICOM identifiers.
        vocabulary: Vocabulary of the views in the file.
        words: The hospital's own map of words, CSV with the columns `word` and `view`; it goes before the vocabulary.
        archive: Folders that the paths of the column `file` may be relative to.
        skip_unknown: Skip and count labels of clips that are not in the store; otherwise they are an error.
        raters: File of raters; labels of others are refused.
        taxonomy_map: YAML `{version: {old view: view}}` for another taxonomy version.
        views: Taxonomy that the label store adopts before, by file or packaged name. None keeps its own.

    Returns:
        Counts of rows and of new events.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.import_labels("labels.csv", "labels.db", "store", key="store.key", vocabulary="tmed2").new
        0
    """
    from heart2heart.annotate.auth import Raters
    from heart2heart.labels.events import read_taxonomy_maps
    from heart2heart.labels.importing import LabelImport
    from heart2heart.schema.taxonomy import read_taxonomy

    names = None if raters is None else {rater.name for rater in Raters.read(Path(raters)).raters}
    maps = None if taxonomy_map is None else read_taxonomy_maps(Path(taxonomy_map))
    book = open_label_store(labels)
    taxonomy = book.taxonomy() if views is None else read_taxonomy(views)
    options: dict[str, Any] = {"form": form, "key": key, "vocabulary": vocabulary, "words": words, "archive": archive}
    parsed = path if isinstance(path, LabelImport) else read_label_file(path, store, views=taxonomy, **options)
    parsed.check(names, skip_unknown=skip_unknown)
    book.adopt_taxonomy(taxonomy)
    return parsed.write(book, maps)


@audited(AuditAction.EXPORT_LABELS, beside="labels", reads=["labels"], writes=["out"])
def export_labels(
    out: str | Path,
    labels: str | Path | LabelStore,
    *,
    form: str | None = None,
    rule: str | None = None,
    store: str | Path | Sequence[str | Path] | FrameTables | None = None,
    dicom: str | Path | None = None,
    key: str | Path | None = None,
) -> ExportRecord:
    """Write every label event, or with `rule` the agreed labels, and a record beside them.

    Args:
        out: File to write; for `sr` a new folder.
        labels: The label store.
        form: `csv`, `parquet`, `label_studio`, `cvat` or `sr`. None detects it from the ending of the name.
            Structured reports (`sr`) carry patients' names and are for the hospital's own archive.
        rule: How a clip's events become one label.
        store: For `sr`: the stores.
        dicom: For `sr`: folder of the original files.
        key: For `sr`: key that the store was ingested with.

    Raises:
        ConfigError: arguments that do not fit the format.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.export_labels("agreed.csv", "labels.db", rule="latest").written
        40
    """
    from heart2heart.labels.exporting import export_events, export_labels, export_reports

    label_store, target = open_label_store(labels), Path(out)
    if form == "sr":
        if rule is None or dicom is None or key is None or not store:
            remedy = "Give --rule, --store, --dicom and --key"
            raise ConfigError("structured reports carry agreed labels to the hospital's own files", remedy=remedy)
        stores = open_stores(store)
        return export_reports(label_store, target, rule, stores=stores, originals=Path(dicom), key=Path(key))
    if dicom is not None or key is not None or store:
        raise ConfigError("exports carry pseudonyms only", remedy="Give --store, --dicom and --key with --format sr")
    if rule is None:
        return export_events(label_store, target, form=form)
    return export_labels(label_store, target, rule, form=form)


def count_labels(
    labels: str | Path | LabelStore,
    store: str | Path | Sequence[str | Path] | FrameTables,
    *,
    rule: str = "latest",
) -> list[tuple[str, str, int, int, int]]:
    """Return hospital, view, and the labeled patients, clips and frames.

    Args:
        labels: The label store.
        store: The stores with the clips.
        rule: How a clip's events become one label.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.count_labels("labels.db", "store")[0]
        ('A', 'A2C', 6, 6, 12)
    """
    from heart2heart.labels.consensus import count_labels

    return count_labels(open_label_store(labels).events(), open_stores(store), rule)


@audited(AuditAction.IMPORT_LABELS, beside="out", reads=["parts"], writes=["out"])
def merge_labels(
    parts: Sequence[str | Path], out: str | Path, *, taxonomy_map: str | Path | None = None
) -> MergedEvents:
    """Merge label stores, or exports of their events, into a new label store; each event is kept once.

    Args:
        parts: Label stores, or exports of their events.
        out: The new label store.
        taxonomy_map: YAML `{version: {old view: view}}` for another taxonomy version.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import merge_labels
        >>> exported = h2h.export_labels("events.csv", "labels.db")
        >>> merge_labels(["labels.db", "events.csv"], "merged.db").shared
        40
    """
    from heart2heart.labels.events import read_taxonomy_maps
    from heart2heart.labels.merging import merge_files

    maps = None if taxonomy_map is None else read_taxonomy_maps(Path(taxonomy_map))
    return merge_files([Path(part) for part in parts], Path(out), maps=maps)


def open_label_store(labels: str | Path | LabelStore) -> LabelStore:
    """Return the label store at a path, or the one that is given.

    Args:
        labels: Its path, or the label store.

    Examples:
        >>> from heart2heart.api.labels import open_label_store
        >>> open_label_store("labels.db").path.name
        'labels.db'
    """
    from heart2heart.labels.label_store import LabelStore

    return labels if isinstance(labels, LabelStore) else LabelStore(labels)
