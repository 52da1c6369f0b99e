"""CAMEO: single frames as PNG of nine views of 100 patients, in `CAMEO/NNN/VIEW/`, with an official split by patient.

The layout and the split are those of the authors' script and list (rayleikai/Cardiac-Multi-view-EchO-Dataset-CAMEO on
GitHub; Lee et al., IEEE Data Descriptions 2026, 3:47).
"""

from __future__ import annotations

import re
from pathlib import Path

from heart2heart.datasets.file_readers import ViewTranslator
from heart2heart.datasets.manifest import DatasetFile, DatasetManifest, PublishedCount, clip_id, official_rows
from heart2heart.errors import MissingInputError
from heart2heart.schema.enums import SplitRole

NAME = "cameo"
PATIENTS = 100
TEST_PATIENTS = frozenset({5, 8, 15, 18, 25, *range(27, 34), 41, 71, *range(74, 80)})
"""Numbers of the official test patients; all others train."""

_PATIENT = re.compile(r"\d{3}")
_REMEDY = "Name the folder that holds CAMEO with its patient folders 001 to 100, or CAMEO itself"


def scan(folder: Path) -> DatasetManifest:
    """Find CAMEO's frames.

    Args:
        folder: Holds `CAMEO`, or the patient folders.

    Raises:
        MissingInputError: not CAMEO's folder.
    """
    top = next((path for path in (folder / "CAMEO", folder) if any(_patient_folders(path))), None)
    if top is None:
        raise MissingInputError("no patient folder of CAMEO here", where=folder, remedy=_REMEDY)
    translator = ViewTranslator(NAME)
    items: list[DatasetFile] = []
    misplaced = 0
    for patient in _patient_folders(top):
        for path in sorted(patient.rglob("*")):
            if path.suffix.casefold() != ".png":
                continue
            if path.parent.parent != patient:
                misplaced += 1
                continue
            name = f"{NAME}-{patient.name}"
            key = path.relative_to(top).as_posix()
            items.append(DatasetFile(key, path, "png", name, name, translator.translate(path.parent.name)))
    if not items:
        raise MissingInputError("no PNG in a folder NNN/VIEW of CAMEO here", where=folder, remedy=_REMEDY)
    notes = translator.notes()
    if misplaced:
        notes.append(f"{misplaced} PNG files are not in a folder NNN/VIEW and were left out")
    clips = {clip_id(NAME, item.key): item for item in items}
    roles = [_role(item) for item in items]
    views = [item.view for item in items]
    return DatasetManifest(
        source=NAME,
        files=tuple(sorted(items, key=lambda item: item.key)),
        official_split=official_rows("official", list(clips), roles, views),
        published_counts=tuple(
            PublishedCount(what, count, {clip: item.patient for clip, item in clips.items() if _role(item) in role})
            for what, count, role in (
                ("patients", PATIENTS, (SplitRole.TRAIN, SplitRole.TEST)),
                ("training patients", PATIENTS - len(TEST_PATIENTS), (SplitRole.TRAIN,)),
                ("test patients", len(TEST_PATIENTS), (SplitRole.TEST,)),
            )
        ),
        notes=tuple(notes),
    )


def _patient_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _PATIENT.fullmatch(path.name) and path.is_dir())


def _role(item: DatasetFile) -> SplitRole:
    number = int(item.patient.rpartition("-")[2])
    return SplitRole.TEST if number in TEST_PATIENTS else SplitRole.TRAIN
