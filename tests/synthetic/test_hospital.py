from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from heart2heart.errors import ExistsError
from heart2heart.schema.views import SCORED_VIEWS, translate_label
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.hospital import SimulationSummary, simulate_hospital
from heart2heart.utils import sha256_file

SEED = 11


@pytest.fixture(scope="module")
def written(hospital: HospitalConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulationSummary]:
    out = tmp_path_factory.mktemp("hospitals")
    return out, simulate_hospital(hospital, out, SEED)


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_simulate_hospital_writes_the_same_bytes_with_more_workers(
    written: tuple[Path, SimulationSummary], hospital: HospitalConfig, tmp_path: Path
) -> None:
    again = simulate_hospital(hospital, tmp_path, SEED, workers=2)
    assert again == written[1]
    assert _digests(tmp_path / "T") == _digests(written[0] / "T")


def test_simulate_hospital_of_another_seed_gives_other_pictures_and_uids(
    written: tuple[Path, SimulationSummary], hospital: HospitalConfig, tmp_path: Path
) -> None:
    small = hospital.model_copy(update={"patients": 1})
    simulate_hospital(small, tmp_path, SEED + 1)
    first = {row["sop_instance_uid"] for row in _rows(written[0] / "T" / "truth.csv")}
    assert first.isdisjoint(row["sop_instance_uid"] for row in _rows(tmp_path / "T" / "truth.csv"))


def test_simulate_hospital_lists_every_recording_in_the_truth(written: tuple[Path, SimulationSummary]) -> None:
    folder, summary = written[0] / "T", written[1]
    truth = {row["sop_instance_uid"]: row for row in _rows(folder / "truth.csv")}
    files = sorted(folder.glob("study*/IM*.dcm"))
    assert len(files) == len(truth) == summary.clips + summary.stills
    for path in files:
        dataset = pydicom.dcmread(path)
        row = truth[dataset.SOPInstanceUID]
        assert dataset.SyntheticData == "YES"
        assert dataset.pixel_array.shape[-1] == 3
        assert (int(dataset.get("NumberOfFrames", 1)) > 1) == (row["mode"] in ("b_mode", "colour"))


def test_simulate_hospital_labels_truly_in_the_words_of_the_hospital(written: tuple[Path, SimulationSummary]) -> None:
    folder = written[0] / "T"
    truth = {row["sop_instance_uid"]: row for row in _rows(folder / "truth.csv")}
    labels = _rows(folder / "labels.csv")
    assert list(labels[0]) == ["sop_instance_uid", "view", "rater", "labeled_at"]
    assert len(labels) == written[1].labels < len(truth)
    for label in labels:
        row = truth[label["sop_instance_uid"]]
        assert row["mode"] in ("b_mode", "colour")
        assert translate_label(label["view"], "tmed2") == (row["view"] if row["view"] in SCORED_VIEWS else "OTHER")
    assert {truth[label["sop_instance_uid"]]["view"] for label in labels} >= set(SCORED_VIEWS)


def test_simulate_hospital_labels_patients_of_the_labeled_share_alone(written: tuple[Path, SimulationSummary]) -> None:
    folder = written[0] / "T"
    uids = {row["sop_instance_uid"] for row in _rows(folder / "labels.csv")}
    people = {
        str(dataset.PatientID)
        for path in folder.glob("study*/IM*.dcm")
        if (dataset := pydicom.dcmread(path, stop_before_pixels=True)).SOPInstanceUID in uids
    }
    assert len(people) == 1


def test_simulate_hospital_writes_non_clip_files_as_listed(written: tuple[Path, SimulationSummary]) -> None:
    folder, summary = written[0] / "T", written[1]
    archive = folder / "archive"
    assert len(list(archive.iterdir())) == 6
    assert summary.files == summary.clips + summary.stills + 6
    assert "PixelData" not in pydicom.dcmread(archive / "report0.dcm")
    assert pydicom.dcmread(archive / "capture0.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    clips = {sha256_file(path) for path in folder.glob("study*/IM*.dcm")}
    assert sha256_file(archive / "copy0.dcm") in clips
    assert sha256_file(archive / "truncated0.dcm") not in clips


def test_simulate_hospital_leaves_a_finished_hospital_alone(
    written: tuple[Path, SimulationSummary], hospital: HospitalConfig
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (written[0] / "T").rglob("*")}
    assert simulate_hospital(hospital, written[0], SEED) == written[1]
    assert {path: path.stat().st_mtime_ns for path in (written[0] / "T").rglob("*")} == before


def test_simulate_hospital_refuses_another_seed_or_a_foreign_folder(
    written: tuple[Path, SimulationSummary], hospital: HospitalConfig, tmp_path: Path
) -> None:
    with pytest.raises(ExistsError, match="another seed or configuration"):
        simulate_hospital(hospital, written[0], SEED + 1)
    (tmp_path / "T").mkdir()
    with pytest.raises(ExistsError, match="not a synthetic hospital"):
        simulate_hospital(hospital, tmp_path, SEED)


def test_simulate_hospital_replaces_what_a_killed_run_left(hospital: HospitalConfig, tmp_path: Path) -> None:
    leftover = tmp_path / ".T.part" / "study0000_1"
    leftover.mkdir(parents=True)
    (leftover / "IM0001.dcm").write_bytes(b"half a file")
    small = hospital.model_copy(update={"patients": 1})
    simulate_hospital(small, tmp_path, SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["T"]
    pydicom.dcmread(tmp_path / "T" / "study0000_1" / "IM0001.dcm", stop_before_pixels=True)


def test_simulate_hospital_is_imported_without_heavy_libraries() -> None:
    heavy = ("numpy", "scipy", "pydicom", "PIL")
    code = f"import sys, heart2heart.synthetic; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
