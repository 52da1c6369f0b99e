"""CVAT's XML: its documented form read, ours written and read back as the same events."""

from pathlib import Path

import pytest

from heart2heart.errors import LabelError
from heart2heart.labels.exporting import export_events, export_labels
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.store.frame_store import FrameStore
from tests.labels.hospital import make_hospital
from tests.labels.round_trip import EVERY_KIND, check_comes_back


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return make_hospital(tmp_path_factory.mktemp("hospital")).store


EXPORT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>4</id><name>echo</name><labels><label><name>Apical four chamber</name></label></labels></task></meta>
  <image id="0" name="stills/c0.png" width="800" height="600">
    <tag label="Apical four chamber" source="manual"></tag>
    <box label="valve" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"><attribute name="rater">nobody</attribute></box>
  </image>
  <image id="1" name="c1.jpg" width="800" height="600">
    <tag label="Other" source="manual"><attribute name="rater">Reader &amp; Co</attribute>
      <attribute name="seconds">3.5</attribute><attribute name="at">no time</attribute></tag>
  </image>
  <image id="2" name="c2.png" width="800" height="600"></image>
</annotations>
"""


def _write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "annotations.xml"
    path.write_text(content, encoding="utf-8")
    return path


def test_read_images_of_cvats_export(tmp_path: Path, store: FrameStore) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    summary = import_labels(_write(tmp_path, EXPORT), label_store, store, vocabulary="clinical")
    assert (summary.rows, summary.new, summary.without_view) == (3, 2, 1)
    assert [(e.clip, e.value, e.rater, e.seconds, e.at) for e in label_store.events()] == [
        ("c0", "A4C", "cvat", None, ""), ("c1", "OTHER", "Reader & Co", 3.5, "")
    ]  # fmt: skip


def test_write_images_come_back_as_the_same_events(tmp_path: Path, store: FrameStore) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append(EVERY_KIND)
    record = export_events(label_store, tmp_path / "out.xml")
    assert (record.form, record.written) == ("cvat", 4)
    check_comes_back(tmp_path / "out.xml", label_store, store)
    export_labels(label_store, tmp_path / "agreed.xml", "adjudicated")
    assert 'label="A2C"' in (tmp_path / "agreed.xml").read_text()


ENTITIES = '<!DOCTYPE a [<!ENTITY b "bbbb">]><annotations><version>&b;</version></annotations>'


@pytest.mark.parametrize(
    ("content", "message"),
    [(ENTITIES, "defines a document type"), ("<html></html>", "no XML of CVAT"), (EXPORT[:-20], "cannot be read"),
     ("<a>" * 40, "nested too deep")],
    ids=["entities", "another root", "half a file", "deep"],
)  # fmt: skip
def test_read_images_refuses_other_xml(tmp_path: Path, store: FrameStore, content: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        import_labels(_write(tmp_path, content), LabelStore(tmp_path / "labels.db"), store)


def test_read_images_names_unknown_labels_and_clips(tmp_path: Path, store: FrameStore) -> None:
    content = EXPORT.replace("stills/c0.png", "gone.png")
    with pytest.raises(LabelError, match=r"1 labels of clips not in the store"):
        import_labels(_write(tmp_path, content), LabelStore(tmp_path / "labels.db"), store, vocabulary="clinical")
    content = EXPORT.replace('label="Other"', 'label="PSAXX"')
    with pytest.raises(LabelError, match="'PSAXX'"):
        import_labels(_write(tmp_path, content), LabelStore(tmp_path / "labels.db"), store, vocabulary="clinical")
    assert not (tmp_path / "labels.db").exists()
