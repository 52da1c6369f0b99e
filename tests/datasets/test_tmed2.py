"""TMED-2 in miniature: names that repeat, a class outside the four, frames that are missing, splits that leak."""

from pathlib import Path

import numpy as np
import pytest

from heart2heart.datasets import tmed2
from heart2heart.datasets.add_files import add_manifest
from heart2heart.datasets.manifest import clip_id
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.schema.store import EVERY_SPLIT
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.store_files import read_official_splits
from tests.datasets import miniature


def _clip(key: str) -> str:
    return clip_id("tmed2", key)


def test_add_manifest_adds_every_frame_unchanged_with_patient_study_and_label(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    report = add_manifest(tmed2.scan(root), tmp_path / "store")
    assert (report.expected, report.found, report.accepted) == (23, 22, 22)
    assert report.files_not_in_store == ((f"{miniature.BOTH}/labeled/4s1_0.png", "failed:missing"),)
    store = FrameStore.open(tmp_path / "store")
    clips = {row["clip"]: row for row in store.clips.to_pylist()}
    row = clips[_clip(f"{miniature.VIEWS}/labeled/7s2_0.png")]
    assert (row["site"], row["patient"], row["study"], row["source"]) == ("tmed2", "tmed2-7", "tmed2-7s2", "tmed2")
    pixels = store.read(store.frames["row"].to_numpy())
    by_clip = dict(zip(store.frames["clip"].to_pylist(), pixels, strict=True))
    np.testing.assert_array_equal(by_clip[row["clip"]], miniature.noise(70, 112, 112))
    assert report.labels[row["clip"]] == "A4C"
    assert report.labels[_clip(f"{miniature.BOTH}/labeled/3s1_4.png")] == "OTHER"
    assert len(report.labels) == 17


def test_scan_takes_one_name_in_two_folders_as_two_frames_and_labels_one(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    report = add_manifest(tmed2.scan(root), tmp_path / "store")
    labeled, bare = (_clip(f"{miniature.BOTH}/{part}/2s1_0.png") for part in ("labeled", "unlabeled"))
    assert report.labels[labeled] == "PLAX"
    assert bare not in report.labels
    store = FrameStore.open(tmp_path / "store")
    assert {labeled, bare} <= set(store.clips["clip"].to_pylist())
    hashes = dict(zip(store.clips["clip"].to_pylist(), store.clips["pixel_hash"].to_pylist(), strict=True))
    assert hashes[labeled] != hashes[bare]


def test_scan_keeps_the_official_split_word_for_word(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    report = add_manifest(tmed2.scan(root), tmp_path / "store")
    rows = {
        (r["split"], r["clip"]): (r["role"], r["view"])
        for r in read_official_splits(tmp_path / "store", "tmed2").to_pylist()
    }
    assert rows["DEV56/fold0", _clip(f"{miniature.BOTH}/labeled/1s1_0.png")] == ("train", "PLAX")
    assert rows["DEV56/fold0", _clip(f"{miniature.BOTH}/labeled/3s1_4.png")] == ("validation", "OTHER")
    assert rows["DEV56/fold0", _clip(f"{miniature.BOTH}/unlabeled/4s1_9.png")] == ("unlabeled", None)
    assert rows[EVERY_SPLIT, _clip(f"{miniature.POOL}/100s1_0.png")] == ("unlabeled", None)
    assert len(rows) == 16 + 2 + 3
    assert report.splits["DEV56/fold0", "train", "PLAX"] == 2
    assert sum("is missing, so that split is not whole" in note for note in report.notes) == 16


def test_scan_compares_known_counts(tmp_path: Path) -> None:
    report = add_manifest(tmed2.scan(miniature.tmed2(tmp_path / "in")), tmp_path / "store")
    checks = {known.what: (known.expected, known.found, known.difference) for known in report.count_checks}
    assert checks["DEV56/fold0 train PLAX"] == (632, 2, "630 fewer")
    counts = [checks[f"DEV56/fold0 train {view}"][0] for view in ("PLAX", "PSAX", "A4C", "A2C")]
    assert counts == [632, 239, 405, 285]
    assert checks["frames with view and diagnosis"][:2] == (17270, 16)
    assert checks["patients with view and diagnosis"][:2] == (576, 4)
    assert checks["studies with view and diagnosis"][:2] == (598, 4)
    assert checks["frames with a view only"][:2] == (7694, 1)
    assert checks["frames of the unlabeled set"][:2] == (353500, 3)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_train_counts_are_the_totals_of_the_paper(fold: int) -> None:
    assert sum(tmed2.TRAIN_COUNTS[fold]) == {0: 1561, 1: 1660, 2: 1427}[fold]


def test_scan_of_folders_of_the_published_size_agrees_with_every_published_count(tmp_path: Path) -> None:
    top = tmp_path / "approved_users_only"
    folder = top / miniature.BOTH / "labeled"
    folder.mkdir(parents=True)
    for fold, counts in tmed2.TRAIN_COUNTS.items():
        views = [view for view, count in zip(SCORED_VIEWS, counts, strict=True) for _ in range(count)]
        names = [f"{1 + fold}s1_{index}.png" for index in range(len(views))]
        for name in names:
            (folder / name).touch()  # a scan reads no picture
        rows = [
            f"{name},{view},x,train,train,{miniature.BOTH}/labeled" for name, view in zip(names, views, strict=True)
        ]
        miniature.table(top / "DEV56" / f"TMED2_fold{fold}_labeledpart.csv", miniature.SPLIT_HEAD, rows)
    miniature.table(top / "labels_per_image.csv", "query_key,view_label,diagnosis_label", ["1s1_0.png,PLAX,x"])
    checks = {
        each.what: (each.expected, len(set(each.names.values()))) for each in tmed2.scan(tmp_path).published_counts
    }
    train = {what: numbers for what, numbers in checks.items() if " train " in what}
    assert len(train) == 12
    assert all(published == there for published, there in train.values())
    assert checks["labeled frames in all"] == (24964, 1561 + 1660 + 1427)
    assert checks["frames of the unlabeled set"] == (353500, 0)


def test_scan_notes_or_refuses_half_a_download(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    table = root / "approved_users_only" / "DEV56" / "TMED2_fold0_labeledpart.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[:-10])  # the last row's folder is cut
    assert any("1 rows name a folder that is none of view_and" in note for note in tmed2.scan(root).notes)
    table.write_bytes(whole[:-50])  # the last row has too few columns
    with pytest.raises(LabelError, match="It may be cut short: get it again"):
        tmed2.scan(root)
    table.write_bytes(whole)
    first = next(root.rglob("1s1_0.png"))
    first.write_bytes(first.read_bytes()[:500])
    next(root.rglob("1s1_1.png")).unlink()
    report = add_manifest(tmed2.scan(root), tmp_path / "store")
    labeled = f"{miniature.BOTH}/labeled"
    assert set(report.files_not_in_store) >= {
        (f"{labeled}/1s1_0.png", "failed:decode"),
        (f"{labeled}/1s1_1.png", "failed:missing"),
    }
    assert f"{labeled}/1s1_0.png" not in report.labels


def test_scan_refuses_tables_that_contradict(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    path = root / "approved_users_only" / "DEV56" / "TMED2_fold1_labeledpart.csv"
    miniature.table(path, miniature.SPLIT_HEAD, [f"1s1_0.png,A2C,no_AS,train,train,{miniature.BOTH}/labeled"])
    with pytest.raises(LabelError, match="labels contradict"):
        tmed2.scan(root)
    path.unlink()
    images = root / "approved_users_only" / "labels_per_image.csv"
    images.write_text(images.read_text().replace("1s1_0.png,PLAX", "1s1_0.png,PSAX"))
    with pytest.raises(LabelError, match="labels contradict"):
        tmed2.scan(root)


def test_scan_notes_unknown_words_and_files_outside_the_tables(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    top = root / "approved_users_only"
    miniature.png(top / miniature.POOL / "preview.png", miniature.noise(0, 8, 8))
    images = top / "labels_per_image.csv"
    images.write_text(images.read_text() + "900s1_0.png,Sideways,no_AS\n")
    notes = " ".join(tmed2.scan(root).notes)
    assert "1 PNG files" in notes
    assert "'Sideways' (1)" in notes


def test_scan_names_missing_columns_and_folders(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="approved_users_only"):
        tmed2.scan(tmp_path)
    root = miniature.tmed2(tmp_path / "in")
    table = root / "approved_users_only" / "labels_per_image.csv"
    table.write_text("query_key,diagnosis_label\n1s1_0.png,no_AS\n")
    with pytest.raises(LabelError, match="lacks a column; needed: query_key, view_label"):
        tmed2.scan(root)
    for raw in (b"", b"query_key,view_label\n\xff\xfe,PLAX\n", b"query_key,view_label\na,b\nc\n"):
        table.write_bytes(raw)
        with pytest.raises(LabelError, match="not readable CSV"):
            tmed2.scan(root)
