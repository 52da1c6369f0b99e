"""TMED-2 (Tufts Medical Center, USA): single frames of 112 x 112 pixels, views by label, splits by table.

On disk (the loaders of tufts-ml/tmed2-echocardiogram-classifiers): frames are named
`<patient>s<study>_<i>.png` below `view_and_diagnosis_labeled_set/`, `view_labeled_set/` (each with `labeled/` and
`unlabeled/`) and `unlabeled_set/`; one name can occur in several folders, so a frame is known by folder and name.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.datasets.file_readers import ViewTranslator, merge_labels, read_csv
from heart2heart.datasets.manifest import DatasetFile, DatasetManifest, PublishedCount, clip_id, official_rows
from heart2heart.errors import MissingInputError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.store import EVERY_SPLIT
from heart2heart.schema.views import SCORED_VIEWS

NAME = "tmed2"
BUDGETS = ("DEV479", "DEV165", "DEV56")
FOLDS = (0, 1, 2)

TRAIN_COUNTS = {0: (632, 239, 405, 285), 1: (650, 223, 462, 325), 2: (572, 199, 379, 277)}
"""Training frames of DEV56 by fold, in the order of `SCORED_VIEWS` (Huang et al., AISTATS 2023, released code)."""

_FRAME_FOLDERS = ("view_and_diagnosis_labeled_set", "view_labeled_set", "unlabeled_set")
_FRAME = re.compile(r"(?P<patient>\d{1,9})s(?P<study>\d{1,9})_(?P<frame>\d{1,9})\.png")
_ROLES = {
    "train": SplitRole.TRAIN,
    "val": SplitRole.VALIDATION,
    "test": SplitRole.TEST,
    "unlabeled": SplitRole.UNLABELED,
}
_REMEDY = "Name the folder `approved_users_only` of TMED-2, or the one above it, as it was unpacked"


def scan(folder: Path) -> DatasetManifest:
    """Read TMED-2's tables and find its frames.

    Args:
        folder: `approved_users_only`, or the folder above it.

    Raises:
        MissingInputError: not TMED-2's folder.
        LabelError: a table cannot be read, lacks a column, or contradicts another.
    """
    root = next((each for each in (folder, folder / "approved_users_only") if _is_root(each)), None)
    if root is None:
        raise MissingInputError("no labels_per_image.csv here", where=folder, remedy=_REMEDY)
    paths, unnamed = _find_frames(root)
    words, notes = ViewTranslator("tmed2"), []
    labels: dict[str, str | None] = {}
    splits: list[pa.Table] = []
    for budget in BUDGETS:
        for fold in FOLDS:
            for part in ("labeledpart", "unlabeledpart"):
                path = root / budget / f"TMED2_fold{fold}_{part}.csv"
                if path.exists():
                    part_labels, rows = _read_split(path, f"{budget}/fold{fold}", words)
                    merge_labels(labels, part_labels, where=path)
                    splits.append(rows)
                else:
                    notes.append(f"{budget}/{path.name} is missing, so that split is not whole")
    named = set(labels)
    if elsewhere := sum(key.partition("/")[0] not in _FRAME_FOLDERS for key in named):
        where = ", ".join(_FRAME_FOLDERS)
        notes.append(f"{elsewhere} rows name a folder that is none of {where}: a table may be cut short")
    merge_labels(labels, _labels_per_image(root, [key for key in paths if _is_labeled(key)], words), where=root)
    items = tuple(_dataset_file(key, paths[key], labels.get(key)) for key in sorted(paths))
    pool = [clip_id(NAME, key) for key in paths if key.startswith("unlabeled_set")]
    splits.append(official_rows(EVERY_SPLIT, pool, [SplitRole.UNLABELED] * len(pool)))
    if unnamed:
        notes.append(f"{unnamed} PNG files lie elsewhere or are not named <patient>s<study>_<i>.png and were left out")
    official = pa.concat_tables(splits)
    return DatasetManifest(
        source=NAME,
        files=items,
        missing=tuple(sorted(named - set(paths))),
        official_split=official,
        published_counts=tuple(_published_counts(items, official)),
        notes=(*notes, *words.notes()),
    )


def _is_root(folder: Path) -> bool:
    return (folder / "labels_per_image.csv").is_file()


def _find_frames(root: Path) -> tuple[dict[str, Path], int]:
    """Return the frames by key, and how many PNG files are none."""
    paths: dict[str, Path] = {}
    unnamed = 0
    for top in _FRAME_FOLDERS:
        for directory, _, names in os.walk(root / top):
            folder = _without_repeats(Path(directory).relative_to(root).as_posix())
            for name in names:
                if _FRAME.fullmatch(name):
                    paths[f"{folder}/{name}"] = Path(directory) / name
                else:
                    unnamed += name.lower().endswith(".png")
    return paths, unnamed


def _without_repeats(text: str) -> str:
    """Return a folder's name without repeats: unpacking often makes unlabeled_set/unlabeled_set."""
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    return "/".join(part for index, part in enumerate(parts) if index == 0 or part != parts[index - 1])


def _is_labeled(key: str) -> bool:
    return key.rpartition("/")[0].endswith("/labeled")


def _read_split(path: Path, split: str, words: ViewTranslator) -> tuple[dict[str, str | None], pa.Table]:
    """Return the label of each frame that a split's table names, and the rows of the split."""
    table = read_csv(path, ("query_key", "view_label", "view_classifier_split", "SourceFolder"), remedy=_REMEDY)
    keys = [
        f"{_without_repeats(row_index)}/{name}"
        for row_index, name in zip(table["SourceFolder"], table["query_key"], strict=True)
    ]
    views = [words.translate(word) for word in table["view_label"]]
    labels: dict[str, str | None] = {}
    for key, view in zip(keys, views, strict=True):
        merge_labels(labels, {key: view}, where=path)
    roles = [_ROLES.get(word, SplitRole.EXCLUDED) for word in table["view_classifier_split"]]
    once = {key: row_index for row_index, key in enumerate(keys)}.values()
    clips = [clip_id(NAME, keys[row_index]) for row_index in once]
    return labels, official_rows(
        split, clips, [roles[row_index] for row_index in once], [views[row_index] for row_index in once]
    )


def _labels_per_image(root: Path, labeled: Sequence[str], words: ViewTranslator) -> dict[str, str | None]:
    """Return the view of frames in labeled folders by the table that tells bare names only.

    A name that it gives two views, or that lies in two labeled folders, says nothing here; the splits' tables tell
    folder and name. A name may also stand in it as `Not_Provided`, for the frame of that name in an unlabeled folder.
    """
    table = read_csv(root / "labels_per_image.csv", ("query_key", "view_label"), remedy=_REMEDY)
    views_by_name: dict[str, set[str]] = {}
    for name, word in zip(table["query_key"], table["view_label"], strict=True):
        if (view := words.translate(word)) is not None:
            views_by_name.setdefault(name, set()).add(view)
    times = Counter(key.rpartition("/")[2] for key in labeled)
    labels: dict[str, str | None] = {}
    for key in labeled:
        name = key.rpartition("/")[2]
        views = views_by_name.get(name, set())
        if times[name] == 1 and len(views) == 1:
            labels[key] = min(views)
    return labels


def _dataset_file(key: str, path: Path, view: str | None) -> DatasetFile:
    match = _FRAME.fullmatch(path.name)
    assert match is not None
    patient = f"{NAME}-{int(match['patient'])}"
    return DatasetFile(key, path, "png", patient, f"{patient}s{int(match['study'])}", view, index=int(match["frame"]))


def _published_counts(items: tuple[DatasetFile, ...], official: pa.Table) -> Iterator[PublishedCount]:
    clips = {clip_id(NAME, item.key): item for item in items}
    both = {clip: item for clip, item in clips.items() if item.key.startswith(f"{_FRAME_FOLDERS[0]}/labeled/")}
    views = {clip: clip for clip, item in clips.items() if item.key.startswith(f"{_FRAME_FOLDERS[1]}/labeled/")}
    pool = {clip: clip for clip, item in clips.items() if item.key.startswith(_FRAME_FOLDERS[2])}
    yield PublishedCount("frames with view and diagnosis", 17270, {clip: clip for clip in both})
    yield PublishedCount("patients with view and diagnosis", 576, {clip: item.patient for clip, item in both.items()})
    yield PublishedCount("studies with view and diagnosis", 598, {clip: item.study for clip, item in both.items()})
    yield PublishedCount("frames with a view only", 7694, views)
    yield PublishedCount("labeled frames in all", 24964, {clip: clip for clip in both} | views)
    yield PublishedCount("frames of the unlabeled set", 353500, pool)
    by_cell: dict[tuple[str, str, str | None], dict[str, str]] = {}
    counted = official.filter(pc.starts_with(official["split"], "DEV56/"))
    for row in counted.to_pylist():
        by_cell.setdefault((row["split"], row["role"], row["view"]), {})[row["clip"]] = row["clip"]
    for fold, counts in TRAIN_COUNTS.items():
        for view, count in zip(SCORED_VIEWS, counts, strict=True):
            what = f"DEV56/fold{fold} train {view}"
            yield PublishedCount(what, count, by_cell.get((f"DEV56/fold{fold}", SplitRole.TRAIN, view), {}))
    for role, count in ((SplitRole.VALIDATION, 235), (SplitRole.TEST, 2019)):
        merged: dict[str, str] = {}
        for view in SCORED_VIEWS:
            merged |= by_cell.get(("DEV56/fold1", role, view), {})
        yield PublishedCount(f"DEV56/fold1 {role}", count, merged)
