"""Unity Imaging (17 UK hospitals): single frames as PNG, views in `view_index.csv`.

A frame is named `01-<64 hex>-NNNN.png`: class of the data set, hash of the DICOM clip, number of the frame. On disk it
lies in `png-cache/01/<aa>/<bb>/`, with the prefix or without it. No patient is published; the clip's hash is the
smallest cluster that the names tell, so frames of one clip count as one patient and two clips of one patient as two.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from heart2heart.datasets.file_readers import ViewTranslator, merge_labels, read_csv
from heart2heart.datasets.manifest import DatasetFile, DatasetManifest
from heart2heart.errors import MissingInputError

NAME = "unity"
_FRAME = re.compile(r"(?:(?P<kind>\d\d)-)?(?P<hash>[0-9a-f]{64})-(?P<frame>\d{4})\.png", re.IGNORECASE)
_HASH_KEPT = 24  # hexadecimal digits: enough that no two clips meet
_REMEDY = "Name the folder that holds `png-cache` and view_index.csv of the Unity Imaging data set"


def scan(folder: Path) -> DatasetManifest:
    """Read Unity's view index and find its frames.

    Args:
        folder: Holds `png-cache` at any depth, and `view_index.csv` in itself or a folder of it.

    Raises:
        MissingInputError: not Unity's folder.
        LabelError: the index cannot be read, lacks a column, or gives one frame two views.
    """
    paths: dict[str, Path] = {}
    repeated: list[str] = []
    indices: list[Path] = []
    misnamed = 0
    for directory, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(directory) / name
            if name == "view_index.csv":
                indices.append(path)
            elif name.lower().endswith(".png"):
                key = canonical_name(path.relative_to(folder).as_posix())
                if key is None:
                    misnamed += 1
                elif key in paths:
                    repeated.append(path.relative_to(folder).as_posix())
                else:
                    paths[key] = path
    if not paths or not indices:
        raise MissingInputError("no view_index.csv or no frame of Unity here", where=folder, remedy=_REMEDY)
    words, labels = ViewTranslator("unity"), dict[str, str | None]()
    unnamed = 0
    for path in indices:
        table = read_csv(path, ("file", "view"), remedy=_REMEDY)
        for file, word in zip(table["file"], table["view"], strict=True):
            key = canonical_name(file)
            unnamed += key is None
            if key is not None:
                merge_labels(labels, {key: words.translate(word)}, where=path)
    notes = words.notes()
    if unnamed:
        notes.append(f"{unnamed} rows of view_index.csv name no frame of Unity and were left out")
    if misnamed:
        notes.append(f"{misnamed} PNG files are not named <class>-<hash>-<frame>.png and were left out")
    bare = sum(key not in labels for key in paths)
    if bare:
        notes.append(f"{bare} frames are not in view_index.csv; they are kept without a label")
    notes.append("Unity publishes no patient: a clip's hash stands for one, so intervals may be too narrow")
    return DatasetManifest(
        source=NAME,
        files=tuple(_dataset_file(key, paths[key], labels.get(key)) for key in sorted(paths)),
        missing=tuple(sorted(set(labels) - set(paths))),
        duplicates=tuple(repeated),
        notes=tuple(notes),
    )


def canonical_name(name: str) -> str | None:
    """Return a frame's name as `01-<hash>-NNNN.png` from either spelling, path or bare name; None if it is none.

    Without a prefix the class is that of the folder above `<aa>/<bb>/`, and 01 where no folder is told.
    """
    *folders, last = name.replace("\\", "/").split("/")
    match = _FRAME.fullmatch(last)
    if match is None:
        return None
    above = folders[-3] if len(folders) >= 3 and re.fullmatch(r"\d\d", folders[-3]) else "01"
    return f"{match['kind'] or above}-{match['hash'].lower()}-{match['frame']}.png"


def _dataset_file(key: str, path: Path, view: str | None) -> DatasetFile:
    match = _FRAME.fullmatch(key)
    assert match is not None
    cluster = f"{NAME}-{match['hash'][:_HASH_KEPT]}"
    return DatasetFile(key, path, "png", cluster, cluster, view, index=int(match["frame"]))
