"""Exports of a label store: events that come back whole, labels by a rule, a record of both, and what is refused."""

import csv
import json
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, LabelError, LabelStoreBusyError, MissingInputError, UnknownNameError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.exporting import events_digest, export_events, export_labels
from heart2heart.labels.importing import import_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.table_files import read_events, write_events
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.store.frame_store import FrameStore
from tests.labels.hospital import make_hospital


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return make_hospital(tmp_path_factory.mktemp("hospital")).store


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=9)
_FORMULA = st.text("'=+-@\t", min_size=1, max_size=3)
_TIME = st.just("") | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(datetime.isoformat)
_EVENT = st.builds(
    LabelEvent, st.sampled_from(["c0", "c1"]), st.just(""), st.sampled_from(["A4C", "A2C"]), _TEXT | _FORMULA, _TIME,
    _TEXT, confidence=st.none() | st.floats(0, 1), seconds=st.none() | st.floats(0, 604_800),
    suggestion=_TEXT | _FORMULA, suggestion_shown=st.booleans(),
)  # fmt: skip


@given(st.lists(_EVENT, max_size=5), st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_export_events_come_back_as_they_were(tmp_path: Path, events: list[LabelEvent], parquet: bool) -> None:
    path = tmp_path / "events"
    write_events(events, path, parquet=parquet)
    assert read_events(path) == events


def _label_store(tmp_path: Path) -> LabelStore:
    label_store = LabelStore(tmp_path / "labels.db")
    readings = [("c0", "A4C", "a"), ("c0", "A4C", "b"), ("c1", "A4C", "a"), ("c1", "A2C", "b"), ("c2", "A2C", "a")]
    label_store.append([LabelEvent(clip, "", view, rater, "", "test") for clip, view, rater in readings])
    label_store.append([LabelEvent("c3", "", "", "a", "", "test", answer=LabelAnswer.UNUSABLE)])
    label_store.append([LabelEvent("c2", "c2:0001", "A3C", "a", "", "test")])
    return label_store


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_export_labels_are_written_with_their_rule_and_read_back(tmp_path: Path, store: FrameStore, name: str) -> None:
    label_store = _label_store(tmp_path)
    record = export_labels(label_store, tmp_path / name, "majority")
    assert (record.written, record.undecided, record.labels) == (4, 1, {"A2C": 1, "A3C": 1, "A4C": 1, "unusable": 1})
    fresh = LabelStore(tmp_path / "fresh.db")
    assert import_labels(tmp_path / name, fresh, store).new == 4
    assert [(e.clip, e.frame, e.value, e.rater) for e in fresh.events()] == [
        ("c0", "", "A4C", "consensus:majority"), ("c2", "", "A2C", "consensus:majority"),
        ("c2", "c2:0001", "A3C", "consensus:majority"), ("c3", "", "unusable", "consensus:majority"),
    ]  # fmt: skip


def test_export_labels_record_their_rule(tmp_path: Path) -> None:
    label_store = _label_store(tmp_path)
    export_labels(label_store, tmp_path / "labels.csv", "dawid_skene")
    record = json.loads((tmp_path / "labels.csv.record.json").read_text())
    assert (record["rule"], record["taxonomy"], record["events"], record["raters"]) == ("dawid_skene", "1", 7, 2)
    assert record["events_sha256"] == events_digest(label_store.events())
    assert record["events_by_taxonomy"] == {"1": 7}
    assert set(record["rule_details"]["right"]) == {"a", "b"}
    assert record["rule_details"]["steps"] > 1
    before = record["events_sha256"]
    label_store.append([LabelEvent("c0", "", "PLAX", "c", "", "test")])
    assert export_events(label_store, tmp_path / "events.parquet").events_sha256 != before
    assert pq.read_table(tmp_path / "events.parquet").num_rows == 8


def test_export_events_are_imported_with_every_field(tmp_path: Path, store: FrameStore) -> None:
    label_store = _label_store(tmp_path)
    first = label_store.events()[0]
    label_store.append(
        [
            LabelEvent("c0", "", "A2C", "z", "t", "page", kind=EventKind.ADJUDICATION, confidence=0.5),
            first.retraction("t"),
        ]
    )
    for name in ("events.csv", "events.parquet"):
        export_events(label_store, tmp_path / name)
        fresh = LabelStore(tmp_path / f"{name}.db")
        assert import_labels(tmp_path / name, fresh, store).new == 9
        assert fresh.events() == label_store.events()
        assert import_labels(tmp_path / name, fresh, store).new == 0


def _lines(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("clip,view,rater", "c0,A4C,a", "c1,A4C,a", "c0,A4C,a"), r"1 rows repeat an earlier row \(lines 4\)"),
        (("clip,view,rater", "c0,A4C,a", "c0,A2C,a"), r"1 rows contradict an earlier row .* \(lines 3\)"),
        (("clip,view", "c0,a4x", "c0,Apical"), r"'a4x' \(line 2; did you mean A4C\?\), 'Apical' \(line 3\).*--words"),
        (("clip,view,rater", "c0,A4C,Reader 2", "c1,A4C,Reader 1"), r"1 labels of unknown raters \(lines 2\)"),
        (("clip,kind,answer,taxonomy,retracts", "c0,label,view,1,"), "not an export of label events.*columns: at, "),
    ],
)  # fmt: skip
def test_import_labels_refuse_a_file_with_bad_rows(
    tmp_path: Path, store: FrameStore, lines: tuple[str, ...], message: str
) -> None:
    with pytest.raises(LabelError, match=message) as raised:
        import_labels(_lines(tmp_path, *lines), LabelStore(tmp_path / "l.db"), store, raters={"a", "Reader 1"})
    assert "Reader 2" not in str(raised.value)
    assert not (tmp_path / "l.db").exists()


def test_read_events_name_bad_rows(tmp_path: Path, store: FrameStore) -> None:
    export_events(_label_store(tmp_path), tmp_path / "events.csv")
    text = (tmp_path / "events.csv").read_text().replace(",A2C,b,,test,1,label,view,", ",A9C,b,,test,1,label,view,inf")
    (tmp_path / "events.csv").write_text(text)
    with pytest.raises(LabelError, match=r"1 rows are not label events \(rows 5\)"):
        import_labels(tmp_path / "events.csv", LabelStore(tmp_path / "l.db"), store)


def test_detect_format_of_other_files(tmp_path: Path, store: FrameStore) -> None:
    label_store = _label_store(tmp_path)
    with pytest.raises(LabelError, match=r"not a file of labels, but a label store.*labels merge"):
        import_labels(label_store.path, LabelStore(tmp_path / "l.db"), store)
    export_labels(label_store, tmp_path / "labels.parquet", "latest")
    shutil.copy(tmp_path / "labels.parquet", tmp_path / "named.csv")
    assert import_labels(tmp_path / "named.csv", LabelStore(tmp_path / "l.db"), store).new > 0
    for form, message in (("csv", "not have the format of --format csv"), ("label_studio", "not JSON, but Parquet")):
        with pytest.raises(LabelError, match=message):
            import_labels(tmp_path / "named.csv", label_store, store, form=form)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "labels.parquet").read_bytes()[:-9])
    with pytest.raises(LabelError, match="cut short or damaged"):
        import_labels(tmp_path / "cut.parquet", label_store, store)
    with pytest.raises(UnknownNameError, match="Known: csv, cvat, label_studio, parquet, sr, view_code"):
        import_labels(tmp_path / "named.csv", label_store, store, form="xml")
    with pytest.raises(UnknownNameError, match="unknown label vocabulary"):
        import_labels(tmp_path / "named.csv", label_store, store, vocabulary="klinisch")


def test_export_labels_refuse(tmp_path: Path) -> None:
    label_store = _label_store(tmp_path)
    with pytest.raises(ConfigError, match="Give --format"):
        export_events(label_store, tmp_path / "labels")
    with pytest.raises(UnknownNameError, match="unknown format"):
        export_events(label_store, tmp_path / "labels", form="xml")
    with pytest.raises(ConfigError, match="Give --rule"):
        export_events(label_store, tmp_path / "labels", form="sr")
    with pytest.raises(ConfigError, match="Give --dicom, --key and --store"):
        export_labels(label_store, tmp_path / "labels", "latest", form="sr")
    with pytest.raises(UnknownNameError, match="unknown consensus rule"):
        export_labels(label_store, tmp_path / "labels.csv", "loudest")
    with pytest.raises(MissingInputError, match="no label store here"):
        export_events(LabelStore(tmp_path / "none.db"), tmp_path / "events.csv")
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".csv", ".json")] == []


def test_import_labels_refuse_a_locked_label_store(tmp_path: Path, store: FrameStore) -> None:
    label_store = _label_store(tmp_path)
    other = sqlite3.connect(label_store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(LabelStoreBusyError, match="nothing was written"):
            import_labels(_lines(tmp_path, "clip,view", "c0,PLAX"), LabelStore(label_store.path, timeout=0.05), store)
    finally:
        other.close()
    assert len(label_store.events()) == 7


def test_export_labels_writes_no_formula_and_reads_its_own_texts_back(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    event = LabelEvent("c0", "", "A4C", '=HYPERLINK("http://x","y")', "", "@source")
    label_store.append([event])
    export_events(label_store, tmp_path / "events.csv")
    with (tmp_path / "events.csv").open(newline="") as handle:
        cells = [cell for row in csv.reader(handle) for cell in row]
    assert not [cell for cell in cells if cell[:1] in set("=+-@")]
    assert read_events(tmp_path / "events.csv") == [event]
