"""CAMUS in miniature: two layouts, pixels that are not square, half sequences, the official split."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from heart2heart.datasets import camus
from heart2heart.datasets.add_files import add_manifest
from heart2heart.datasets.manifest import clip_id
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.store_files import read_official_splits
from tests.datasets import miniature


def _clip(key: str) -> str:
    return clip_id("camus", key)


def test_add_manifest_makes_pixels_square_and_keeps_facts(tmp_path: Path) -> None:
    report = add_manifest(camus.scan(miniature.camus(tmp_path / "in")), tmp_path / "store")
    assert (report.expected, report.found, report.accepted, report.patients) == (12, 12, 12, 3)
    store = FrameStore.open(tmp_path / "store")
    row = next(row for row in store.clips.to_pylist() if row["clip"] == _clip("patient0002_4CH_ES"))
    assert (row["rows"], row["columns"], row["patient"], row["age"], row["sex"]) == (120, 60, "camus-0002", 56, "F")
    np.testing.assert_allclose(row["spacing_mm"], [0.154, 0.308], rtol=1e-5)
    # 120 x 0.154 mm by 60 x 0.308 mm: a square, though the array is twice as high as wide.
    pixels = store.read(store.frames["row"].to_numpy())
    assert (pixels > 0).any(axis=0).all()
    phases = dict(zip(store.frames["clip"].to_pylist(), store.frames["phase"].to_pylist(), strict=True))
    assert phases[_clip("patient0001_2CH_ED")] == "ED"
    assert phases[_clip("patient0001_2CH_ES")] == "ES"
    assert report.labels[_clip("patient0001_2CH_ED")] == "A2C"
    assert report.labels[_clip("patient0001_4CH_ED")] == "A4C"
    differences = {known.what: known.difference for known in report.count_checks}
    assert differences == {
        "patients": "497 fewer",
        "ED and ES frames of A2C": "994 fewer",
        "ED and ES frames of A4C": "994 fewer",
    }


def test_add_manifest_does_not_exchange_rows_and_columns(tmp_path: Path) -> None:
    root = miniature.camus(tmp_path / "in", numbers=(1,))
    picture = np.zeros((120, 60), np.uint8)
    picture[:30] = 200  # bright at the top
    name = "patient0001_2CH_ED.nii.gz"
    miniature.volume(root / "database_nifti" / "patient0001" / name, picture, miniature.SPACING)
    add_manifest(camus.scan(root), tmp_path / "store")
    store = FrameStore.open(tmp_path / "store")
    row = store.frames["clip"].to_pylist().index(_clip("patient0001_2CH_ED"))
    pixels = store.read(store.frames["row"].to_numpy()[[row]])[0]
    assert pixels[:27].min() == 200
    assert pixels[30:].max() == 0


def test_scan_takes_half_sequences_only_if_set_and_outside_the_official_split(tmp_path: Path) -> None:
    root = miniature.camus(tmp_path / "in")
    report = add_manifest(camus.scan(root, sequences=True), tmp_path / "store")
    assert report.accepted == 18
    store = FrameStore.open(tmp_path / "store")
    clip = _clip("patient0001_2CH_sequence")
    frames = [row for row in store.frames.to_pylist() if row["clip"] == clip]
    assert [row["phase"] for row in frames] == ["ED", None, None, "ES"]
    np.testing.assert_allclose([row["time_ms"] for row in frames], [0, 20, 40, 60])
    roles = {row["clip"]: row["role"] for row in read_official_splits(tmp_path / "store", "camus").to_pylist()}
    assert roles[clip] == "excluded"
    assert roles[_clip("patient0001_2CH_ED")] == "train"
    assert roles[_clip("patient0002_2CH_ED")] == "validation"
    assert roles[_clip("patient0003_2CH_ED")] == "test"


def test_scan_of_the_older_release_gives_the_same_data(tmp_path: Path) -> None:
    report = add_manifest(camus.scan(miniature.camus_older(tmp_path / "in"), sequences=True), tmp_path / "store")
    assert (report.accepted, report.patients) == (12, 2)
    store = FrameStore.open(tmp_path / "store")
    assert set(store.clips["patient"].to_pylist()) == {"camus-0001", "camus-0451"}
    roles = {row["clip"]: row["role"] for row in read_official_splits(tmp_path / "store", "camus").to_pylist()}
    assert roles[_clip("patient0001_2CH_ED")] == "train"
    assert roles[_clip("patient0451_4CH_ES")] == "test"
    np.testing.assert_allclose(store.clips["spacing_mm"].to_pylist()[0], [0.154, 0.308], rtol=1e-5)


def test_scan_names_files_alike_in_both_releases_and_reads_the_newer(tmp_path: Path) -> None:
    root = miniature.camus_older(miniature.camus(tmp_path / "in"))
    plan = camus.scan(root)
    assert len(plan.files) == 12
    assert "older .mhd files" in " ".join(plan.notes)
    older = {item.key for item in camus.scan(miniature.camus_older(tmp_path / "older")).files}
    assert {item.key for item in plan.files if "patient0001" in item.key} == {key for key in older if "0001" in key}


def test_scan_counts_missing_broken_and_impossible_files(tmp_path: Path) -> None:
    root = miniature.camus(tmp_path / "in")
    folder = root / "database_nifti" / "patient0001"
    (folder / "patient0001_2CH_ED.nii.gz").unlink()
    whole = (folder / "patient0001_2CH_ES.nii.gz").read_bytes()
    (folder / "patient0001_2CH_ES.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "patient0001_4CH_ED.nii.gz").write_bytes(b"")
    miniature.volume(folder / "patient0001_4CH_ES.nii.gz", np.full((9, 9), 300, np.int16), (1.0, 1.0))
    (folder / "Info_2CH.cfg").write_bytes(b"\xff\xfe\x00")
    report = add_manifest(camus.scan(root), tmp_path / "store")
    assert dict(report.files_not_in_store) == {
        "patient0001_2CH_ED": "failed:missing",
        "patient0001_2CH_ES": "failed:truncated",
        "patient0001_4CH_ED": "failed:empty",
        "patient0001_4CH_ES": "failed:layout",
    }
    assert report.accepted == 8


def test_add_manifest_counts_a_raw_file_that_is_missing_or_cut_short(tmp_path: Path) -> None:
    root = miniature.camus_older(tmp_path / "in")
    cut = root / "training" / "patient0001" / "patient0001_4CH_ED.raw"
    cut.write_bytes(cut.read_bytes()[:-100])
    report = add_manifest(camus.scan(root), tmp_path / "store")
    assert len(report.files_not_in_store) == 1
    assert report.files_not_in_store[0][0] == "patient0001_4CH_ED"
    assert report.files_not_in_store[0][1] in ("failed:truncated", "failed:decode")  # by the version of the reader
    (root / "testing" / "patient0001" / "patient0001_2CH_ED.raw").unlink()
    assert camus.scan(root).missing == ("patient0451_2CH_ED",)


def test_scan_refuses_bad_split_lists(tmp_path: Path) -> None:
    root = miniature.camus(tmp_path / "in")
    lists = root / "database_split"
    (lists / "subgroup_testing.txt").write_text("patient0003\npatient0001\n")
    with pytest.raises(LabelError, match="two parts"):
        camus.scan(root)
    (lists / "subgroup_testing.txt").write_text("patient0003\npatient0009\n")
    assert "1 patients of the official split are not there" in " ".join(camus.scan(root).notes)
    (lists / "subgroup_testing.txt").write_text("all of them\n")
    with pytest.raises(LabelError, match="no patientNNNN"):
        camus.scan(root)
    (lists / "subgroup_testing.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(LabelError, match="not text"):
        camus.scan(root)
    for path in lists.iterdir():
        path.unlink()
    plan = camus.scan(root)
    assert len(plan.official_split) == 0
    assert "no official split" in " ".join(plan.notes)


def test_scan_refuses_what_is_not_camus(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    with pytest.raises(MissingInputError, match="database_nifti"):
        camus.scan(tmp_path)


def test_scan_reads_one_patient_folder_and_plain_nifti(tmp_path: Path) -> None:
    root = miniature.camus(tmp_path / "in")
    whole = add_manifest(camus.scan(root), tmp_path / "whole")
    one = root / "database_nifti" / "patient0002"
    for path in one.glob("*.nii.gz"):
        path.with_name(path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    report = add_manifest(camus.scan(one, sequences=True), tmp_path / "store")
    assert (report.expected, report.accepted, report.patients) == (6, 6, 1)
    store, reference = FrameStore.open(tmp_path / "store"), FrameStore.open(tmp_path / "whole")
    hashes = dict(zip(reference.clips["clip"].to_pylist(), reference.clips["pixel_hash"].to_pylist(), strict=True))
    same = [row for row in store.clips.to_pylist() if row["n_frames"] == 1]
    assert [row["pixel_hash"] for row in same] == [hashes[row["clip"]] for row in same]
    assert len(same) == 4
    roles = {row["role"] for row in read_official_splits(tmp_path / "store", "camus").to_pylist()}
    assert roles == {"validation", "excluded"}  # the lists of the release lie two folders up
    assert whole.accepted == 12


def test_scan_reads_loose_patient_folders_of_both_releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = miniature.camus(tmp_path / "in", numbers=(4, 7)) / "database_nifti"
    release.rename(tmp_path / "some_patients")
    manifest = camus.scan(tmp_path / "some_patients")
    assert {item.patient for item in manifest.files} == {"camus-0004", "camus-0007"}
    assert any("no official split" in note for note in manifest.notes)
    older = miniature.camus_older(tmp_path / "older") / "training" / "patient0001"
    older.rename(tmp_path / "patient0001")
    monkeypatch.chdir(tmp_path / "patient0001")
    manifest = camus.scan(Path())
    assert len(manifest.files) == 4
    assert not manifest.missing
    assert any("keep their own number" in note for note in manifest.notes)
