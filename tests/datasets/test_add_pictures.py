"""Pictures into a store: every file one code, names nowhere, and a repeated run changes nothing."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heart2heart.datasets.add_pictures import PictureSettings, add_pictures
from heart2heart.datasets.manifest import DatasetReport
from heart2heart.datasets.picture_labels import OWN
from heart2heart.datasets.picture_lists import list_pictures
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings, Limits
from heart2heart.ingest.source_files import locate_files
from heart2heart.schema.status import ClipFlag
from heart2heart.splits.certify import certify
from heart2heart.splits.official import freeze_official
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.store_files import read_official_splits
from heart2heart.store.viewing_copies import ViewingCopy, viewing_path
from tests.datasets import miniature
from tests.dicom.build import speckle_frames, write
from tests.shared_data import shared_file

SETTINGS = PictureSettings(size=32, frames="even:4")
NAMES = ("DOE_JANE", "MUELLER", "1950-03-04")


def _still(path: Path, seed: int) -> Path:
    return miniature.png(path, speckle_frames(1, seed=seed)[0])


def _collection(root: Path) -> Path:
    """Write a table of ten files, of which five can be read; names of files and patients identify people."""
    _still(root / "DOE_JANE_a4c.png", 1)
    (root / "copy.png").write_bytes((root / "DOE_JANE_a4c.png").read_bytes())
    miniature.video(root / "MUELLER 1950-03-04.mp4", speckle_frames(6, seed=2), "mpeg4")
    frames = [Image.fromarray(frame[..., 0]) for frame in speckle_frames(6, seed=3)]
    frames[0].save(root / "plax.gif", save_all=True, append_images=frames[1:], duration=[40, 80, 40, 40, 40, 40])
    _still(root / "psax.jpg", 4)
    smooth = np.tile(np.linspace(40, 200, 96).astype(np.uint8)[:, None], (1, 128))
    miniature.png(root / "other.tif", smooth)  # noise looks like text, and is kept back
    (root / "empty.png").touch()
    (root / "zip.jpg").write_bytes(b"PK\x03\x04" + bytes(100))
    whole = _still(root / "cut.png", 6).read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    miniature.table(root / "list.csv", "file,label,patient,site,split", [
        "DOE_JANE_a4c.png,A4C,DOE_JANE,A,train", "MUELLER 1950-03-04.mp4,A2C,MUELLER,A,val",
        "plax.gif,PLAX,DOE_JANE,A,train", "psax.jpg,PSAX,MUELLER,B,test", "other.tif,banana,,B,",
        "empty.png,A4C,x,A,train", "zip.jpg,A4C,x,A,train", "cut.png,A4C,x,A,train", "missing.png,A4C,x,A,train",
        "copy.png,A4C,DOE_JANE,A,train",
    ])  # fmt: skip
    return root / "list.csv"


def _add(table: Path, root: Path, *, workers: int = 0, vocabulary: str = "heart2heart") -> DatasetReport:
    key = root.with_name("hospital.key")
    return add_pictures(list_pictures(table), root, key=key, vocabulary=vocabulary, settings=SETTINGS, workers=workers)


def test_add_pictures_gives_every_file_one_code_and_stores_the_rest(tmp_path: Path) -> None:
    report = _add(_collection(tmp_path / "in"), tmp_path / "store")
    assert report.codes == {
        "accepted": 5, "failed:empty": 1, "excluded:not_picture": 1, "failed:truncated": 1, "failed:missing": 1,
        "excluded:duplicate": 1,
    }  # fmt: skip
    assert report.files_not_in_store == (
        ("row 7", "failed:empty"), ("row 8", "excluded:not_picture"), ("row 9", "failed:truncated"),
        ("row 10", "failed:missing"), ("row 11", "excluded:duplicate"),
    )  # fmt: skip
    store = FrameStore.open(tmp_path / "store")
    assert (report.clips, report.frames, report.patients) == (5, 11, 4)  # MUELLER of B is another than of A
    rows = store.clips.to_pylist()
    assert {row["source"] for row in rows} == {"pictures"}
    times = [row["time_ms"] for row in store.frames.to_pylist() if row["time_ms"]]
    assert times
    assert sorted(report.labels.values()) == ["A2C", "A4C", "PLAX", "PSAX"]
    nameless = [row for row in rows if ClipFlag.NO_PATIENT_ID in row["flags"]]
    assert len(nameless) == 1
    assert any("1 labels are outside the vocabulary" in note and "row 6" in note for note in report.notes)
    assert any("1 files name no patient" in note for note in report.notes)


def test_add_pictures_keeps_viewing_copies_that_change_no_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame) for frame in speckle_frames(12)]
    frames[0].save(tmp_path / "MUELLER.tif", save_all=True, append_images=frames[1:])
    miniature.table(tmp_path / "list.csv", "file,label", ["MUELLER.tif,A4C"])
    digests = set()
    for viewing in (False, True):
        root = tmp_path / f"store{viewing}"
        settings = PictureSettings(size=32, viewing_copies=viewing)
        add_pictures(list_pictures(tmp_path / "list.csv"), root, key=tmp_path / "hospital.key", settings=settings)
        store = FrameStore.open(root)
        digests.add(store.digest())
        (clip,) = store.clips["clip"].to_pylist()
        assert viewing_path(root, clip).exists() == viewing
    copy = ViewingCopy(viewing_path(root, clip), clip)
    assert (copy.is_intact(), copy.header.index) == (True, tuple(range(12)))
    assert b"MUELLER" not in viewing_path(root, clip).read_bytes()
    assert len(digests) == 1


def test_add_pictures_keeps_the_split_of_each_site(tmp_path: Path) -> None:
    report = _add(_collection(tmp_path / "in"), tmp_path / "store")
    roles = {
        site: sorted((row["split"], row["role"], row["view"]) for row in table.to_pylist())
        for site in ("A", "B")
        for table in [read_official_splits(tmp_path / "store", site)]
    }
    assert roles == {
        "A": [("official", "train", "A4C"), ("official", "train", "PLAX"), ("official", "validation", "A2C")],
        "B": [("official", "test", "PSAX")],
    }
    assert report.splits == {
        ("A:official", "train", "A4C"): 1, ("A:official", "train", "PLAX"): 1,
        ("A:official", "validation", "A2C"): 1, ("B:official", "test", "PSAX"): 1,
    }  # fmt: skip


def test_add_pictures_writes_no_name_of_a_file_or_patient(tmp_path: Path) -> None:
    report = _add(_collection(tmp_path / "in"), tmp_path / "store")
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(files) > 4
    for path in files:
        raw = path.read_bytes()
        assert not any(name.encode() in raw for name in NAMES), path.name
    assert not any(name in json.dumps(report.to_json()) for name in NAMES)
    with sqlite3.connect(tmp_path / "store" / "ledger.sqlite") as ledger:
        dump = "\n".join(ledger.iterdump())
    assert not any(name in dump for name in NAMES)
    stored = FrameStore.open(tmp_path / "store")
    assert not any(name in str(stored.clips.to_pylist()) for name in NAMES)


def test_add_pictures_again_changes_nothing_and_takes_what_is_new(tmp_path: Path) -> None:
    table = _collection(tmp_path / "in")
    first = _add(table, tmp_path / "store")
    digest = FrameStore.open(tmp_path / "store").digest()
    (tmp_path / "in" / "plax.gif").unlink()  # a file that was removed after it was added is not missing
    again = _add(table, tmp_path / "store")
    assert FrameStore.open(tmp_path / "store").digest() == digest
    assert (again.clips, again.codes, again.labels) == (0, first.codes, first.labels)
    _still(tmp_path / "in" / "missing.png", 9)
    third = _add(table, tmp_path / "store")
    assert third.clips == 1
    assert "failed:missing" not in third.codes


def test_add_pictures_in_processes_makes_the_same_store(tmp_path: Path) -> None:
    table = _collection(tmp_path / "in")
    one, two = _add(table, tmp_path / "one"), _add(table, tmp_path / "two", workers=1)
    assert one.codes == two.codes
    assert FrameStore.open(tmp_path / "one").digest() == FrameStore.open(tmp_path / "two").digest()


def test_add_pictures_ends_a_file_that_takes_too_long(tmp_path: Path) -> None:
    _still(tmp_path / "in" / "A4C" / "x.png", 1)
    report = add_pictures(
        list_pictures(tmp_path / "in"), tmp_path / "store", key=tmp_path / "key", settings=SETTINGS, workers=1,
        limits=Limits(seconds=1e-4),
    )  # fmt: skip
    assert report.codes == {"failed:timeout": 1}


def test_add_pictures_and_ingest_share_a_site_and_its_key(tmp_path: Path) -> None:
    write(tmp_path / "dicom" / "clip.dcm", speckle_frames(6), PatientID="DOE_JANE")
    settings = IngestSettings(size=32, frames="even:4")
    ingest([tmp_path / "dicom"], site="A", store=tmp_path / "store", key=tmp_path / "hospital.key", settings=settings)
    _add(_collection(tmp_path / "in"), tmp_path / "store")
    clips = FrameStore.open(tmp_path / "store").clips.to_pylist()
    patients = {row["source"]: row["patient"] for row in clips if row["site"] == "A" and row["n_source"] == 6}
    assert set(patients) == {"dicom", "pictures"}
    by_source = {source: {row["patient"] for row in clips if row["source"] == source} for source in patients}
    assert by_source["dicom"] < by_source["pictures"]  # one patient in both


def test_add_pictures_names_files_as_the_ledger_of_an_ingest_does(tmp_path: Path) -> None:
    _add(_collection(tmp_path / "in"), tmp_path / "store")
    key = tmp_path / "hospital.key"
    located = locate_files([tmp_path / "in"], store=tmp_path / "store", key=key, codes=["failed:truncated"])
    assert [path.name for path in located] == ["cut.png"]
    assert Ledger(tmp_path / "store").sites() == ["A", "B"]


def test_add_pictures_refuses_a_site_a_lost_key_and_other_settings(tmp_path: Path) -> None:
    table = _collection(tmp_path / "in")
    listed = list_pictures(table)
    with pytest.raises(ConfigError, match="site"):
        add_pictures(listed, tmp_path / "store", key=tmp_path / "hospital.key", site="../x")
    _add(table, tmp_path / "store")
    other = PictureSettings(size=32, frames="even:4", whole=True)
    with pytest.raises(ConfigError, match="other settings"):
        add_pictures(listed, tmp_path / "store", key=tmp_path / "hospital.key", settings=other)
    (tmp_path / "hospital.key").unlink()
    with pytest.raises(MissingInputError, match="key"):
        _add(table, tmp_path / "store")


def test_ledger_text_of_picture_settings_is_that_of_an_ingest() -> None:
    assert SETTINGS.ledger_text() == IngestSettings(size=32, frames="even:4").ledger_text()
    assert '"whole":true' in PictureSettings(whole=True).ledger_text()


def test_add_pictures_of_a_second_table_keeps_the_split_of_the_first(tmp_path: Path) -> None:
    for name, seed, role in (("one", 1, "train"), ("two", 2, "test")):
        _still(tmp_path / name / "x.png", seed)
        miniature.table(tmp_path / name / "list.csv", "file,label,site,split", [f"x.png,A4C,A,{role}"])
        _add(tmp_path / name / "list.csv", tmp_path / "store")
    rows = read_official_splits(tmp_path / "store", "A").to_pylist()
    assert sorted(row["role"] for row in rows) == ["test", "train"]
    miniature.table(tmp_path / "two" / "list.csv", "file,label,site,split", ["x.png,A4C,A,"])
    report = _add(tmp_path / "two" / "list.csv", tmp_path / "store")  # the row lost its role
    assert [row["role"] for row in read_official_splits(tmp_path / "store", "A").to_pylist()] == ["train"]
    assert report.splits == {}


def test_add_pictures_gives_hashes_by_which_a_certificate_finds_a_recompressed_copy(tmp_path: Path) -> None:
    rows = []
    for seed, view in enumerate(("PLAX", "PSAX", "A4C", "A2C")):
        for part in ("train", "val", "test"):
            name = f"{view}_{part}.png"
            picture = speckle_frames(1, seed=10 * seed + len(part))[0].repeat(4, axis=0).repeat(4, axis=1)
            miniature.png(tmp_path / "in" / name, picture)
            rows.append(f"{name},{view},{part}{seed},A,{part}")
    clean = miniature.table(tmp_path / "in" / "clean.csv", "file,label,patient,site,split", rows)
    Image.open(tmp_path / "in" / "PLAX_train.png").save(tmp_path / "in" / "again.jpg", quality=80)
    leaking = miniature.table(
        tmp_path / "in" / "leaking.csv", "file,label,patient,site,split", [*rows, "again.jpg,PLAX,q,A,test"]
    )
    statuses = []
    for table in (clean, leaking):
        root = tmp_path / table.stem
        report = _add(table, root)
        stores = FrameStores.open([root])
        split = freeze_official(stores, {}, "A:official", tmp_path / f"split_{table.stem}")
        statuses += [check.status for check in certify(split, stores).checks if check.name == "near_duplicates"]
        assert report.accepted == len(rows) + (table is leaking)
    assert statuses == ["pass", "fail"]


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_add_pictures_reads_the_real_lung_clips(tmp_path: Path, every: int) -> None:
    table = shared_file("lung_ultrasound/clips.csv")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows.sort(key=lambda row: (Path(row["file"]).suffix.casefold(), row["file"]))
    chosen = rows[::every]
    folder = tmp_path / "lung"
    folder.mkdir()
    for row in chosen:
        (folder / row["file"]).write_bytes((table.parent / row["file"]).read_bytes())
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    report = _add(folder / "clips.csv", tmp_path / "store", vocabulary=OWN)
    assert report.codes == {"accepted": len(chosen)}
    store = FrameStore.open(tmp_path / "store")
    assert set(store.clips["site"].to_pylist()) == {row["site"] for row in chosen}
    assert set(store.clips["mode"].to_pylist()) == {"b_mode"}
    kept = {
        row["view"]
        for site in {row["site"] for row in chosen}
        for row in read_official_splits(store.root, site).to_pylist()
    }
    assert kept == {row["label"] for row in chosen}
    assert all(np.ptp(frame) > 0 for frame in store.read(np.arange(len(store.frames))))
