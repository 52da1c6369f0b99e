"""Label files of hospitals: three ways to name a clip, foreign words, and all rows or none."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.testing.stores import random_store


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return random_store(tmp_path / "store", sites=["A"], patients=2, frames_each=2)


def _csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_import_labels_of_clips_and_frames(tmp_path: Path, store: FrameStore) -> None:
    one, two, *_ = store.clips["clip"].to_pylist()
    path = _csv(tmp_path, "clip,frame,view,rater,labeled_at", f"{one},,PLAX,r1,2020-01-01", f"{two},1,A4C,r2,")
    label_store = LabelStore(tmp_path / "labels.db")
    summary = import_labels(path, label_store, store)
    assert (summary.rows, summary.new) == (2, 2)
    assert [(e.clip, e.frame, e.view, e.rater, e.at) for e in label_store.events()] == [
        (one, "", "PLAX", "r1", "2020-01-01"),
        (two, f"{two}:0001", "A4C", "r2", ""),
    ]
    assert import_labels(path, label_store, store).new == 0


def test_import_labels_by_uid_and_file_need_the_key_and_keep_no_identity(tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    pseudonyms = Pseudonymizer(Key.open(key))
    uid = "1.2.840.99999.1.2.3"
    (tmp_path / "clip.dcm").write_bytes(b"whatever the file holds")
    store = FrameStore.create(tmp_path / "store", Geometry("tmed2", 16))
    with store.writer() as writer:
        row = {
            "clip": "f" * 16, "site": "A", "patient": "p", "study": "s", "instance": pseudonyms.uid(uid),
            "content": pseudonyms.content(tmp_path / "clip.dcm"), "source": "dicom", "synthetic": True,
            "mode": "b_mode", "rows": 1, "columns": 1, "n_source": 1, "quality": 0.5, "flags": [],
        }  # fmt: skip
        writer.add(row, random_store(tmp_path / "x").read(_zero())[:1], [{"index": 0, "quality": 0.5, "dhash": 1}])
    opened = FrameStore.open(store.root)
    for column, value in (("sop_instance_uid", uid), ("file", "clip.dcm")):
        label_store = LabelStore(tmp_path / f"{column}.db")
        path = _csv(tmp_path, f"{column},view", f"{value},Apical two chamber")
        with pytest.raises(LabelError, match="need the hospital's key"):
            import_labels(path, label_store, opened, vocabulary="clinical")
        assert import_labels(path, label_store, opened, vocabulary="clinical", key=key).new == 1
        assert [(event.clip, event.view) for event in label_store.events()] == [("f" * 16, "A2C")]
        assert uid.encode() not in label_store.path.read_bytes()
        assert b"clip.dcm" not in label_store.path.read_bytes()


def _zero() -> npt.NDArray[np.int64]:
    return np.zeros(1, np.int64)


def test_import_labels_refuse_a_file_with_unknown_labels(tmp_path: Path, store: FrameStore) -> None:
    clip = store.clips["clip"].to_pylist()[0]
    path = _csv(tmp_path, "clip,view", f"{clip},PLAX", f"{clip},sideways")
    label_store = LabelStore(tmp_path / "labels.db")
    with pytest.raises(LabelError, match=r"'sideways' \(line 3\).*nothing was imported"):
        import_labels(path, label_store, store)
    assert not label_store.path.exists()


def test_import_labels_refuse_or_count_unknown_clips(tmp_path: Path, store: FrameStore) -> None:
    clip = store.clips["clip"].to_pylist()[0]
    path = _csv(tmp_path, "clip,frame,view", f"{clip},,PLAX", "nobody,,A4C", f"{clip},99,A4C")
    label_store = LabelStore(tmp_path / "labels.db")
    with pytest.raises(LabelError, match=r"1 labels of clips not in the store \(lines 3\)") as raised:
        import_labels(path, label_store, store)
    assert "1 labels of frames that their clip does not have (lines 4)" in str(raised.value)
    assert "nobody" not in str(raised.value)
    assert not label_store.path.exists()
    summary = import_labels(path, label_store, store, skip_unknown=True)
    assert (summary.new, summary.unknown_clip) == (1, 2)


def test_import_labels_name_the_vocabulary_that_has_the_words(tmp_path: Path, store: FrameStore) -> None:
    clip = store.clips["clip"].to_pylist()[0]
    path = _csv(tmp_path, "clip,view", f"{clip},apical  2 chamber")
    with pytest.raises(LabelError, match=r"Name another --vocabulary \(clinical has these\)"):
        import_labels(path, LabelStore(tmp_path / "labels.db"), store, vocabulary="heart2heart")


def test_import_labels_count_labels_without_a_view(tmp_path: Path, store: FrameStore) -> None:
    clip = store.clips["clip"].to_pylist()[0]
    path = _csv(tmp_path, "clip,view", f"{clip},Not_Provided", f"{clip},A4CorA2CorOther")
    summary = import_labels(path, LabelStore(tmp_path / "labels.db"), store, vocabulary="tmed2")
    assert (summary.new, summary.without_view) == (1, 1)


@pytest.mark.parametrize("header", ["clip,label", "patient,view", ""])
def test_import_labels_name_missing_columns(tmp_path: Path, store: FrameStore, header: str) -> None:
    with pytest.raises(LabelError, match="Needed: view, and one of clip, sop_instance_uid, file"):
        import_labels(_csv(tmp_path, header, "a,b"), LabelStore(tmp_path / "l.db"), store)


def test_import_labels_refuse_other_files(tmp_path: Path, store: FrameStore) -> None:
    with pytest.raises(MissingInputError, match="no label file here"):
        import_labels(tmp_path / "none.csv", LabelStore(tmp_path / "l.db"), store)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(LabelError, match="not readable CSV"):
        import_labels(tmp_path / "binary.csv", LabelStore(tmp_path / "l.db"), store)
