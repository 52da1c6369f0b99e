"""CAMUS (Saint-Etienne, France): end-diastolic and end-systolic frames of two apical views, with pixel spacing.

Two layouts are read: `database_nifti/patientNNNN/patientNNNN_{2CH,4CH}_{ED,ES}.nii.gz` with `_half_sequence` and
`Info_*CH.cfg`, and the older `{training,testing}/patientNNNN/*.mhd` with `_sequence`, where the numbers of the test
patients continue at 451. Where both are there, the newer one is read. Patient folders without the rest of a release, or
one such folder, are read too, and volumes that were unpacked to `.nii`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from heart2heart.datasets.manifest import DatasetFile, DatasetManifest, PublishedCount, clip_id, official_rows
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.store import OFFICIAL_SPLITS
from heart2heart.schema.views import translate_label

NAME = "camus"
PATIENTS = 500
_CHAMBERS = ("2CH", "4CH")
_PHASES = ("ED", "ES")
_FIRST_TEST = 450  # the older layout numbers its test patients from 1 again
_FOLDER = re.compile(r"patient(\d{4})")
_ROLES = {"training": SplitRole.TRAIN, "validation": SplitRole.VALIDATION, "testing": SplitRole.TEST}
_NIFTI, _PLAIN_NIFTI, _METAIMAGE = ".nii.gz", ".nii", ".mhd"
_REMEDY = "Name the folder that holds `database_nifti`, `training` and `testing` of the older release, or patientNNNN"


def scan(folder: Path, *, sequences: bool = False) -> DatasetManifest:
    """Find CAMUS's frames and read its official split.

    Args:
        folder: Holds one of the two layouts, at most two folders down, or is or holds patient folders.
        sequences: Take the half sequences too; they repeat the two frames and what lies between them.

    Raises:
        MissingInputError: not CAMUS's folder.
        LabelError: a patient stands in two parts of the official split, or a list cannot be read.
    """
    folder = folder.absolute()
    nifti = _release_folder(folder, "database_nifti")
    older = {part: _release_folder(folder, part) for part in ("training", "testing")}
    loose = [] if nifti or any(older.values()) else _loose_folders(folder)
    patients: dict[int, Path] = {}
    roles: dict[int, str] = {}
    suffix, notes = _NIFTI, list[str]()
    if nifti is not None or loose:
        patients = {_patient_number(path): path for path in (loose if nifti is None else _patient_folders(nifti))}
        if any(older.values()):
            notes.append("the older .mhd files are there too and were left out")
        roles = _official_roles(folder)
        if not roles:
            notes.append("database_split with subgroup_*.txt is missing, so there is no official split")
        if loose and not any(list(path.glob(f"*{_PLAIN_NIFTI}*")) for path in loose):
            suffix = _METAIMAGE
            notes.append(
                "the older release numbers its test patients from 1 again; these folders keep their own number"
            )
    else:
        suffix = _METAIMAGE
        for part, path in older.items():
            for each in _patient_folders(path) if path is not None else ():
                number = _patient_number(each) + (_FIRST_TEST if part == "testing" else 0)
                patients[number], roles[number] = each, _ROLES[part]
            if path is None:
                notes.append(f"the folder {part} is missing")
    if not patients:
        raise MissingInputError("no patient folder of CAMUS here", where=folder, remedy=_REMEDY)
    items: list[DatasetFile] = []
    missing: list[str] = []
    for number in sorted(patients):
        for item in _patient_files(number, patients[number], suffix, sequences=sequences):
            whole = item.path.exists() and all(path.exists() for path in item.companions)
            items.append(item) if whole else missing.append(item.key)
    if strangers := sorted(set(roles) - set(patients)):
        notes.append(f"{len(strangers)} patients of the official split are not there")
    return DatasetManifest(
        source=NAME,
        files=tuple(sorted(items, key=lambda item: item.key)),
        missing=tuple(sorted(missing)),
        official_split=_official_split(items, roles),
        published_counts=tuple(_published_counts(items)),
        notes=tuple(notes),
    )


def _release_folder(folder: Path, name: str) -> Path | None:
    """Return the folder that holds patients, of that name, here or in a folder of this one."""
    near = [folder, folder / name, folder / name / name, folder / "CAMUS_public" / name]
    return next((path for path in near if path.name == name and _patient_folders(path)), None)


def _patient_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _FOLDER.fullmatch(path.name) and path.is_dir())


def _loose_folders(folder: Path) -> list[Path]:
    """Return the folder itself if it is a patient's, or the patient folders in it."""
    return [folder] if _FOLDER.fullmatch(folder.name) and folder.is_dir() else _patient_folders(folder)


def _patient_number(path: Path) -> int:
    return int(path.name.removeprefix("patient"))


def _patient_files(number: int, folder: Path, suffix: str, *, sequences: bool) -> Iterator[DatasetFile]:
    """Yield the expected files of a patient's folder."""
    patient = f"{NAME}-{number:04d}"
    for chamber in _CHAMBERS:
        info = _read_info(folder / f"Info_{chamber}.cfg")
        kinds = [(phase, {0: phase}) for phase in _PHASES]
        if sequences:
            marks = {int(info[phase]) - 1: phase for phase in _PHASES if info.get(phase, "").isdecimal()}
            kinds.append(("half_sequence" if suffix == _NIFTI else "sequence", marks))
        for kind, phases in kinds:
            path = folder / f"{folder.name}_{chamber}_{kind}{suffix}"
            plain = path.with_name(path.name.removesuffix(".gz"))
            path = plain if plain.exists() and not path.exists() else path
            yield DatasetFile(
                key=f"patient{number:04d}_{chamber}_{kind.removeprefix('half_')}",
                path=path,
                reader="volume",
                patient=patient,
                study=patient,
                view=translate_label(chamber, NAME),
                phases=phases,
                frame_time_ms=_frame_time(info) if "sequence" in kind else None,
                age=min(90, round(float(info["Age"]))) if _is_number(info.get("Age", "")) else None,
                sex=info["Sex"] if info.get("Sex") in ("F", "M") else None,
                companions=(path.with_suffix(".raw"),) if suffix == _METAIMAGE else (),
            )


def _read_info(path: Path) -> dict[str, str]:
    """Return the entries of an `Info_*CH.cfg`; none if it is not there or is no text."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}(\.\d+)?", text) is not None


def _frame_time(info: dict[str, str]) -> float | None:
    rate = info.get("FrameRate", "")
    return 1000 / float(rate) if _is_number(rate) and float(rate) > 0 else None


def _official_roles(folder: Path) -> dict[int, str]:
    """Return the role of each patient by the official lists of the NIfTI release."""
    roles: dict[int, str] = {}
    for root in (folder, folder.parent, folder / "CAMUS_public", folder.parent.parent):
        for part, role in _ROLES.items():
            path = root / "database_split" / f"subgroup_{part}.txt"
            if not path.is_file():
                continue
            try:
                names = path.read_text(encoding="utf-8").split()
            except UnicodeDecodeError as error:
                raise LabelError("this list of patients is not text", where=path, remedy=_REMEDY) from error
            for name in names:
                match = _FOLDER.fullmatch(name)
                if match is None:
                    raise LabelError("a line of this list is no patientNNNN", where=path, remedy=_REMEDY)
                if roles.setdefault(int(match[1]), role) != role:
                    what = "a patient is in two parts of the official split"
                    raise LabelError(what, where=path, remedy="Get database_split again from the data set's home")
        if roles:
            break
    return roles


def _official_split(items: list[DatasetFile], roles: dict[int, str]) -> pa.Table:
    """Return the official split of the ED and ES frames; half sequences repeat them and stay outside."""
    rows = [(item, roles.get(int(item.key[7:11]))) for item in items]
    kept = [(item, SplitRole.EXCLUDED if item.key.endswith("sequence") else role) for item, role in rows if role]
    if not kept:
        return OFFICIAL_SPLITS.empty_table()
    clips, views = [clip_id(NAME, item.key) for item, _ in kept], [item.view for item, _ in kept]
    return official_rows("official", clips, [role for _, role in kept], views)


def _published_counts(items: list[DatasetFile]) -> Iterator[PublishedCount]:
    frames = {clip_id(NAME, item.key): item for item in items if not item.key.endswith("sequence")}
    yield PublishedCount("patients", PATIENTS, {clip: item.patient for clip, item in frames.items()})
    for view in ("A2C", "A4C"):
        these = {clip: clip for clip, item in frames.items() if item.view == view}
        yield PublishedCount(f"ED and ES frames of {view}", 2 * PATIENTS, these)
