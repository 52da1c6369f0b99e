"""Writing a whole synthetic hospital: patients in parallel, then labels and truth, published by one rename.

Its archive also holds files that are no clips: text, worksheets, reports, copies, and files that end too early.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from heart2heart.config import Config
from heart2heart.csv_files import CsvWriter
from heart2heart.errors import ExistsError, NoSpaceError
from heart2heart.parallel import map_ordered
from heart2heart.progress import NoProgress, Progress
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.dicom_file import StudyHeader, base_dataset, set_pixel_data
from heart2heart.synthetic.overlay import OverlayLayer
from heart2heart.synthetic.patient import make_uid
from heart2heart.synthetic.study import WrittenFile, invented_study, write_patient
from heart2heart.utils import read_json, write_json

SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
BASIC_TEXT_SR = UID("1.2.840.10008.5.1.4.1.1.88.11")


def write_non_clip_files(
    folder: Path, clips: list[Path], study: StudyHeader, hospital: HospitalConfig, seed: int
) -> int:
    """Write what `hospital.strays` asks for.

    Args:
        folder: The hospital's folder.
        clips: Multi-frame files of the hospital in a stable order, to copy and to cut.
        study: A study that worksheet and report belong to.
        hospital: Counts and habits.
        seed: Root seed, for UIDs.

    Returns:
        The number of files written.
    """
    strays, archive = hospital.strays, folder / "archive"
    archive.mkdir()
    for index in range(strays.text_files):
        text = f"Export log {index} of synthetic hospital {hospital.name}. No clip in here.\n"
        (archive / f"export{index}.txt").write_text(text, encoding="utf-8")
    for index in range(strays.captures):
        uid = make_uid(seed, hospital.name, "capture", index)
        _worksheet(study, hospital, uid, 900 + index).save_as(archive / f"capture{index}.dcm", enforce_file_format=True)
    for index in range(strays.reports):
        uid = make_uid(seed, hospital.name, "report", index)
        _structured_report(study, hospital, uid, 950 + index).save_as(
            archive / f"report{index}.dcm", enforce_file_format=True
        )
    count = strays.text_files + strays.captures + strays.reports
    # The last patients have no labels where a hospital has a pool: a cut file takes no label away.
    for index, path in enumerate(clips[::-1][strays.copies :][: strays.truncated]):
        whole = path.read_bytes()
        (archive / f"truncated{index}.dcm").write_bytes(whole[: len(whole) * 3 // 5])
        count += 1
    for index in range(min(strays.copies, len(clips))):
        (archive / f"copy{index}.dcm").write_bytes(clips[-1 - index].read_bytes())
        count += 1
    return count


def _worksheet(study: StudyHeader, hospital: HospitalConfig, uid: str, number: int) -> Dataset:
    dataset = base_dataset(SECONDARY_CAPTURE, uid, study, hospital, number, ExplicitVRLittleEndian)
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"
    layer = OverlayLayer(240, 320)
    for row, words in enumerate((*study.caption, "LVIDd 4.8 cm", "LVIDs 3.1 cm", "EF 60 %", "SYNTHETIC")):
        layer.draw_text(8, 8 + 16 * row, words, (220, 220, 220))
    set_pixel_data(dataset, layer.composite(np.zeros((1, 240, 320), dtype=np.uint8)), "native")
    return dataset


def _structured_report(study: StudyHeader, hospital: HospitalConfig, uid: str, number: int) -> Dataset:
    dataset = base_dataset(BASIC_TEXT_SR, uid, study, hospital, number, ExplicitVRLittleEndian)
    dataset.Modality = "SR"
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.ConceptNameCodeSequence = DicomSequence(
        [_code_item("125200", "DCM", "Adult Echocardiography Procedure Report")]
    )
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = DicomSequence([_code_item("121071", "DCM", "Finding")])
    item.TextValue = "Synthetic report: left ventricular function as simulated."
    dataset.ContentSequence = DicomSequence([item])
    return dataset


def _code_item(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


SIMULATOR_VERSION = 2
"""Version of the simulator's pictures; a change of pixels under the same seed is a new version."""

SUMMARY_FILE = "simulation.json"

_SILENT = NoProgress()


class SimulationSummary(Config):
    """What one synthetic hospital holds; kept as `simulation.json` in its folder."""

    hospital: str
    """Its name."""
    synthetic: bool = True
    """Always true."""
    version: int
    """Version of the simulator."""
    seed: int
    """Root seed."""
    config_sha256: str
    """Hash of its configuration."""
    patients: int
    """Patients."""
    labeled_patients: int
    """Patients with labels."""
    files: int
    """Files: recordings and strays, not counting the lists beside them."""
    clips: int
    """Multi-frame files."""
    stills: int
    """Single-frame ultrasound files."""
    frames: int
    """Frames in all."""
    labels: int
    """Rows of `labels.csv`."""


def simulate_hospital(
    config: HospitalConfig, out: Path, seed: int, *, workers: int = 1, progress: Progress = _SILENT
) -> SimulationSummary:
    """Write one synthetic hospital as `<out>/<name>/<study>/IMxxxx`, with `labels.csv` and `truth.csv`.

    The same configuration and seed give the same headers and tables, whatever the number of workers. Pixels are the
    same on processors of one kind; rounding differs between kinds. The folder gets its final name when it is complete.
    Leftovers of a stopped run are removed first. A finished hospital of the same configuration and seed is kept.
    `truth.csv` names the true view of every recording.

    Args:
        config: The hospital.
        out: Folder to put it in.
        seed: Root seed.
        workers: Processes.
        progress: Told the number of finished patients.

    Raises:
        ExistsError: the folder holds something else.
        NoSpaceError: the disk is full; nothing stays behind.
    """
    final, partial = out / config.name, out / f".{config.name}.part"
    if final.exists():
        return _existing_summary(final, config, seed)
    if partial.exists():
        shutil.rmtree(partial)
    try:
        partial.mkdir(parents=True)
        summary = _write_hospital(config, partial, seed, workers, progress)
        write_json(partial / SUMMARY_FILE, summary.model_dump(mode="json"))
        partial.rename(final)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "no space left on the disk"
            raise NoSpaceError(what, where=out, remedy="Free some space and run the same command again") from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return summary


def _existing_summary(folder: Path, config: HospitalConfig, seed: int) -> SimulationSummary:
    remedy = "Choose another output folder, or remove this one"
    if not (folder / SUMMARY_FILE).is_file():
        raise ExistsError("this folder is not a synthetic hospital", where=folder, remedy=remedy)
    summary = SimulationSummary.parse(read_json(folder / SUMMARY_FILE, what="simulation summary"), where=folder)
    if (summary.version, summary.seed, summary.config_sha256) != (SIMULATOR_VERSION, seed, config.digest()):
        raise ExistsError("this hospital was simulated with another seed or configuration", where=folder, remedy=remedy)
    return summary


def _write_hospital(
    config: HospitalConfig, folder: Path, seed: int, workers: int, progress: Progress
) -> SimulationSummary:
    written: list[WrittenFile] = []
    write = partial(write_patient, config, folder, seed)
    for done, files in enumerate(map_ordered(write, range(config.patients), workers), start=1):
        written += files
        progress.update(done, f"hospital {config.name}")
    clips = [folder / file.path for file in written if file.frames > 1]
    strays = write_non_clip_files(folder, clips, invented_study(config, seed), config, seed)
    labels = [(file.uid, file.label, file.rater, file.labeled_at) for file in written if file.label]
    _write_table(folder / "labels.csv", ("sop_instance_uid", "view", "rater", "labeled_at"), labels)
    truth = [(file.uid, file.view, file.mode) for file in written]
    _write_table(folder / "truth.csv", ("sop_instance_uid", "view", "mode"), truth)
    return SimulationSummary(
        hospital=config.name, version=SIMULATOR_VERSION, seed=seed, config_sha256=config.digest(),
        patients=config.patients, labeled_patients=config.labeled_patients, files=len(written) + strays,
        clips=len(clips),
        stills=len(written) - len(clips), frames=sum(file.frames for file in written), labels=len(labels),
    )  # fmt: skip


def _write_table(path: Path, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = CsvWriter(handle)
        writer.writerow(names)
        writer.writerows(rows)
