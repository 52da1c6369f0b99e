"""EchoNet-Dynamic (Stanford, USA): apical four-chamber videos as AVI, measures and split in `FileList.csv`.

Columns: FileName, EF, ESV, EDV, FrameHeight, FrameWidth, FPS, NumberOfFrames, Split (TRAIN, VAL, TEST). Each
video is of another patient (Ouyang et al., Nature 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from heart2heart.datasets.file_readers import read_csv
from heart2heart.datasets.manifest import DatasetFile, DatasetManifest, PublishedCount, clip_id, official_rows
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.schema.enums import SplitRole

NAME = "echonet"
COUNTS = {SplitRole.TRAIN: 7465, SplitRole.VALIDATION: 1288, SplitRole.TEST: 1277}
_VIEW = "A4C"
_ROLES = {"TRAIN": SplitRole.TRAIN, "VAL": SplitRole.VALIDATION, "TEST": SplitRole.TEST}
_REMEDY = "Name the folder that holds FileList.csv and Videos of EchoNet-Dynamic"


def scan(folder: Path) -> DatasetManifest:
    """Read EchoNet-Dynamic's list and find its videos.

    Args:
        folder: Holds `FileList.csv` and `Videos`.

    Raises:
        MissingInputError: not EchoNet-Dynamic's folder.
        LabelError: the list cannot be read, lacks a column, or names a video twice.
    """
    if not (folder / "Videos").is_dir():
        raise MissingInputError("no folder Videos here", where=folder, remedy=_REMEDY)
    table = read_csv(folder / "FileList.csv", ("FileName", "FPS", "Split"), remedy=_REMEDY)
    names = [name.removesuffix(".avi") for name in table["FileName"]]
    if len(set(names)) < len(names):
        what = f"{len(names) - len(set(names))} videos are in this list twice"
        raise LabelError(what, where=folder / "FileList.csv", remedy="Get the list again from the data set's home")
    there = {path.stem: path for path in (folder / "Videos").glob("*.avi")}
    rates = dict(zip(names, table["FPS"], strict=True))
    items = tuple(_dataset_file(there[name], rates[name]) for name in sorted(set(names) & set(there)))
    roles = [_ROLES.get(word.upper(), SplitRole.EXCLUDED) for word in table["Split"]]
    clips = [clip_id(NAME, f"{name}.avi") for name in names]
    unlisted = len(set(there) - set(names))
    return DatasetManifest(
        source=NAME,
        files=items,
        missing=tuple(sorted(f"{name}.avi" for name in set(names) - set(there))),
        official_split=official_rows("official", clips, roles, [_VIEW] * len(clips)),
        published_counts=tuple(_published_counts(dict(zip(clips, roles, strict=True)))),
        notes=(f"{unlisted} videos are not in FileList.csv and were left out",) if unlisted else (),
    )


def _dataset_file(path: Path, rate: str) -> DatasetFile:
    patient = f"{NAME}-{path.stem}"
    return DatasetFile(path.name, path, "video", patient, patient, _VIEW, frame_time_ms=_frame_time(rate))


def _frame_time(rate: str) -> float | None:
    try:
        value = float(rate)
    except ValueError:
        return None
    return 1000 / value if 0 < value < 1e4 else None


def _published_counts(roles: dict[str, str]) -> Iterator[PublishedCount]:
    for role, count in COUNTS.items():
        yield PublishedCount(f"{role} videos", count, {clip: clip for clip, part in roles.items() if part == role})
