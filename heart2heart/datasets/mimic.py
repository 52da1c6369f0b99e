"""MIMIC-IV-ECHO (Boston, USA): DICOM below `files/`, listed in `echo-record-list.csv`.

The files are DICOM as a hospital's are, so they pass the ordinary ingest: identity ends there, with a key of their own,
and every file ends with one status. The list says how many there should be. No view is labeled and no split is given.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pyarrow.compute as pc

from heart2heart.datasets.file_readers import read_csv
from heart2heart.datasets.manifest import CountCheck, DatasetReport
from heart2heart.errors import MissingInputError
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.progress import NoProgress, Progress, SubProgress
from heart2heart.store.frame_store import FrameStore

NAME = "mimic"
COUNTS = {"1.0.1": (7228, 4572), "1.0": (7243, 4579)}
"""Version -> studies and patients with DICOM, newest first; version 0.1 has those of 1.0."""

_LISTS = ("echo-record-list.csv", "echo-record-list.csv.gz")
_REMEDY = "Name the folder that holds echo-record-list.csv and files/ of MIMIC-IV-ECHO"


def read_record_list(folder: Path) -> tuple[list[Path], int, int, int]:
    """Return the files of the record list that are there, and the number of files, studies and patients listed.

    Raises:
        MissingInputError: no record list, or none of its files.
        LabelError: the list cannot be read or lacks a column.
    """
    path = next((folder / name for name in _LISTS if (folder / name).is_file()), None)
    if path is None:
        raise MissingInputError("no echo-record-list.csv here", where=folder, remedy=_REMEDY)
    table = read_csv(path, ("subject_id", "study_id", "dicom_filepath"), remedy=_REMEDY)
    # Names in the list are untrusted: a path that leaves the folder is not followed.
    names = [PurePosixPath(name) for name in dict.fromkeys(table["dicom_filepath"])]
    inside = [name for name in names if not name.is_absolute() and ".." not in name.parts]
    there = [folder / name for name in inside if (folder / name).is_file()]
    if not there:
        raise MissingInputError("none of the listed files is here", where=folder, remedy=_REMEDY)
    return there, len(names), len(set(table["study_id"])), len(set(table["subject_id"]))


def add_mimic(
    folder: Path,
    root: Path,
    *,
    key: Path,
    size: int = 112,
    rule: str = "all",
    workers: int = 1,
    progress: Progress | None = None,
) -> DatasetReport:
    """Ingest the listed files as the site `mimic`.

    Args:
        folder: Holds the record list and `files/`.
        root: The store.
        key: Key of the pseudonyms; made on first use.
        size: Side of the frames, pixels.
        rule: Frames to keep of a clip.
        workers: Processes.
        progress: Told percent done.

    Raises:
        MissingInputError: not MIMIC-IV-ECHO's folder.
        LabelError: the record list cannot be read.
    """
    files, expected, studies, patients = read_record_list(folder)
    settings = IngestSettings(size=size, frames=rule)
    part = SubProgress(progress or NoProgress(), start=0, span=100, total=len(files))
    done = ingest(files, site=NAME, store=root, key=key, settings=settings, workers=workers, progress=part)
    store = FrameStore.open(root)
    clips = store.all_clips.filter(pc.equal(store.all_clips["site"], NAME))
    present = int(pc.count_distinct(clips["patient"]).as_py())
    version = next((name for name, counts in COUNTS.items() if counts == (studies, patients)), next(iter(COUNTS)))
    published_studies, published_patients = COUNTS[version]
    notes = ["no view is labeled and no split is given: label clips, then propose a split by patient"]
    if present > patients:
        notes.append(f"the headers name {present} patients, the list {patients}: some may count as several")
    if absent := expected - len(files):
        notes.append(f"{absent} listed files are not in this folder")
    report = DatasetReport(
        source=NAME,
        expected=expected,
        found=len(files),
        codes=done.total,
        files_not_in_store=(),
        clips=done.clips,
        frames=done.frames,
        patients=present,
        count_checks=(
            CountCheck(f"studies in the list of version {version}", published_studies, studies),
            CountCheck(f"patients in the list of version {version}", published_patients, patients),
        ),
        notes=tuple(notes),
    )
    report.save(root)
    return report
