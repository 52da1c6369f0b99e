"""Paths in label files: found from the table, from above it and from the archive; and why a clip is not found."""

import zipfile
from pathlib import Path

import pytest

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import LabelError
from heart2heart.labels.clip_index import (
    CHANGED,
    NO_CLIP,
    NO_SUCH_FILE,
    NOT_INGESTED,
    ClipIndex,
)
from heart2heart.labels.consensus import count_labels
from heart2heart.labels.importing import LabelImport, import_labels, read_label_file
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.status import ClipFlag
from heart2heart.schema.store import frame_id
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.testing.stores import random_store
from tests.dicom.build import speckle_frames, write
from tests.ingest.archive_kit import make_archive, run


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `archive`, `store` and `store.key`; the archive holds a zip file with one clip too."""
    root = tmp_path_factory.mktemp("labels")
    archive = make_archive(root / "archive")
    loose = write(root / "loose", speckle_frames(2, seed=77), PatientID="TEST-9", SOPInstanceUID="1.2.3.77")
    with zipfile.ZipFile(archive / "more.zip", "w") as more:
        more.write(loose, "2024/inside.dcm")
    run(archive, root / "store")
    return root


def _read(root: Path, table: Path, *files: str, archives: tuple[Path, ...] = ()) -> LabelImport:
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text("file,view\n" + "".join(f"{file},Ap4\n" for file in files), encoding="utf-8")
    store = FrameStore.open(root / "store")
    return read_label_file(table, store, key=root / "store.key", archives=archives)


def test_clip_index_finds_files_from_the_table_and_from_above_it(ingested: Path) -> None:
    beside = _read(ingested, ingested / "archive" / "labels.csv", "study 1/clip1", "study 2\\clip2")
    below = _read(ingested, ingested / "archive" / "tables" / "2024" / "labels.csv", "study 1/clip1")
    assert (len(beside.parsed.events), len(below.parsed.events)) == (2, 1)
    assert beside.parsed.events[0][1].clip == below.parsed.events[0][1].clip


def test_clip_index_finds_files_from_the_archive(ingested: Path, tmp_path: Path) -> None:
    table = tmp_path / "elsewhere" / "labels.csv"
    assert _read(ingested, table, "study 1/clip1").unknown_clips == {NO_SUCH_FILE: 1}
    files = ("study 1/clip1", "more.zip/2024/inside.dcm", "more.zip/2024/other.dcm")
    read = _read(ingested, table, *files, archives=(ingested / "archive",))
    assert read.unknown_clips == {NO_SUCH_FILE: 1}
    assert len({event.clip for _, event in read.parsed.events}) == 2


def test_clip_index_tells_what_became_of_files_that_were_ingested(ingested: Path) -> None:
    (ingested / "archive" / "new").write_bytes(b"never ingested")
    table = ingested / "archive" / "labels.csv"
    read = _read(ingested, table, "notes.txt", "empty.dcm", "new", "copy of clip0", "nowhere")
    assert read.unknown_clips == {
        f"{NO_CLIP}excluded:not_dicom": 1,
        f"{NO_CLIP}failed:empty": 1,
        NOT_INGESTED: 1,
        NO_SUCH_FILE: 1,
    }
    assert len(read.parsed.events) == 1, "a copy of a clip has the clip's label"
    with pytest.raises(LabelError) as raised:
        read.check()
    assert "1 labels of clips not in the store (lines 4)" in str(raised.value)
    assert "excluded:not_dicom (lines 2)" in str(raised.value)
    assert "nowhere" not in str(raised.value)


def test_clip_index_tells_of_a_file_that_changed_after_the_ingest(ingested: Path) -> None:
    clip = ingested / "archive" / "study 2" / "clip5"
    whole = clip.read_bytes()
    try:
        clip.write_bytes(whole + b"\0\0")
        assert _read(ingested, ingested / "archive" / "labels.csv", "study 2/clip5").unknown_clips == {CHANGED: 1}
    finally:
        clip.write_bytes(whole)


def test_clip_index_refuses_another_key_before_it_looks_for_clips(ingested: Path, tmp_path: Path) -> None:
    Key.open(tmp_path / "other.key")
    index = ClipIndex(FrameStore.open(ingested / "store"), tmp_path / "other.key")
    with pytest.raises(LabelError, match="no hospital of the stores was ingested with this key"):
        index.need_key("labels by file", tmp_path)


def test_import_labels_of_a_table_with_semicolons(ingested: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("sop_instance_uid;view;rater\n1.2.3.1;Vierkammerblick;Leser, 1\n", encoding="utf-8")
    label_store = LabelStore(tmp_path / "labels.db")
    assert import_labels(table, label_store, FrameStore.open(ingested / "store"), key=ingested / "store.key").new == 1
    assert [(event.view, event.rater, event.source) for event in label_store.events()] == [
        ("A4C", "Leser, 1", "csv:usual")
    ]


def test_clip_index_holds_clips_that_wait_for_the_review_of_their_text(tmp_path: Path) -> None:
    clip = "a00000".ljust(16, "0")
    flags = {clip: [ClipFlag.TEXT_SUSPECTED, ClipFlag.TEXT_QUARANTINED]}
    store = random_store(tmp_path / "store", sites=["A"], patients=1, flags=flags)
    assert clip not in store.clips["clip"].to_pylist()
    for stores in (store, FrameStores([store])):
        index = ClipIndex(stores, None)
        assert index.finder("clip", tmp_path)({"clip": clip}) == clip
        assert index.frame(clip, "0") == frame_id(clip, 0)
    table = tmp_path / "labels.csv"
    table.write_text(f"clip,view\n{clip},A4C\n")
    label_store = LabelStore(tmp_path / "labels.db")
    assert import_labels(table, label_store, store).new == 1
    assert [row[3] for row in count_labels(label_store.events(), store, "latest")] == []  # it is used for nothing
