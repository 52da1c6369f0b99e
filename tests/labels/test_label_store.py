"""The label store keeps every event, in order, once, and refuses to change one."""

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from heart2heart.errors import LabelConflictError, LabelError, LabelStoreBusyError, MissingInputError, UnknownNameError
from heart2heart.labels.double_reading import DoubleReadingPlan
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.exporting import export_events
from heart2heart.labels.label_store import LabelStore, StoredEvent
from heart2heart.schema.enums import EventKind, LabelAnswer


def _event(number: int, view: str = "A4C", rater: str = "rater 1") -> LabelEvent:
    return LabelEvent(f"{number:016x}", "", view, rater, f"2020-01-01T00:00:{number % 60:02d}Z", "csv:heart2heart")


def test_append_keeps_order_and_stores_an_event_once(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    events = [_event(index) for index in range(5)]
    assert label_store.append(events) == 5
    assert label_store.append([*events, _event(9)]) == 1
    assert label_store.events() == [*events, _event(9)]


def test_label_store_opens_a_path_given_as_text(tmp_path: Path) -> None:
    assert LabelStore(str(tmp_path / "labels.db")).append([_event(1)]) == 1
    assert LabelStore(str(tmp_path / "labels.db")).events() == LabelStore(tmp_path / "labels.db").events()


def test_label_store_never_changes_an_event(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([_event(1)])
    with sqlite3.connect(label_store.path) as connection:
        for statement in ("UPDATE events SET view = 'PLAX'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="label events are kept"):
                connection.execute(statement)
    connection.close()
    assert label_store.events() == [_event(1)]


def test_append_writes_all_or_none(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    with pytest.raises(UnknownNameError, match="unknown view 'A9C'"):
        label_store.append([_event(1), _event(2, view="A9C")])
    assert not label_store.path.exists()


def test_append_by_many_writers_loses_nothing(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([_event(0)])
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda at: LabelStore(label_store.path).append([_event(at)]), range(1, 41)))
    assert sum(written) == 40
    assert len(label_store.events()) == 41


def test_label_store_names_bad_files(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no label store here"):
        LabelStore(tmp_path / "none.db").events()
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 40)
    with pytest.raises(LabelError, match="cannot be read"):
        LabelStore(tmp_path / "text.db").events()
    newer = sqlite3.connect(tmp_path / "newer.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LabelError, match="newer version"):
        LabelStore(tmp_path / "newer.db").append([_event(1)])


def test_to_frame_holds_every_event(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([_event(1), _event(1, view="A2C"), _event(2, rater="Émile, MD")])
    assert export_events(label_store, tmp_path / "events.csv").written == 3
    lines = (tmp_path / "events.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        "clip,frame,view,rater,at,source,taxonomy,kind,answer,confidence,frame_hash,seconds,suggestion,suggested_by,"
        "suggestion_shown,retracts"
    )
    assert lines[3].startswith('0000000000000002,,A4C,"Émile, MD",')


def _first_version(path: Path) -> list[LabelEvent]:
    """Write a label store of schema 1, without `frame_hash` and the other later columns."""
    events = [_event(1), _event(2, view="PSAX"), _event(1, view="A2C", rater="rater 2")]
    columns = "clip, frame, view, rater, at, source, taxonomy"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, identifier TEXT NOT NULL UNIQUE, "
            + columns.replace(",", " TEXT NOT NULL,")
            + " TEXT NOT NULL, recorded TEXT NOT NULL DEFAULT '2020-02-02T00:00:00Z');"
            "CREATE INDEX events_clip ON events (clip);"
            "CREATE TRIGGER events_keep BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'kept'); END;"
            "CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'kept'); END;"
            "PRAGMA user_version = 1;"
        )
        connection.executemany(
            f"INSERT INTO events (identifier, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(event.identifier, *astuple(event)[:7]) for event in events],
        )
    connection.close()
    return events


def test_label_store_of_version_1_is_migrated_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    events = _first_version(path)
    before = path.read_bytes()
    assert LabelStore(path).stored_events() == [
        StoredEvent(1, 1, events[0]),
        StoredEvent(2, 1, events[1]),
        StoredEvent(3, 2, events[2]),
    ]
    assert path.read_bytes() == before
    more = replace(_event(1, view="", rater="rater 3"), answer=LabelAnswer.UNUSABLE, seconds=2.5)
    assert LabelStore(path).append([*events, more]) == 1
    assert [(entry.version, entry.event) for entry in LabelStore(path).stored_events(2)] == [(2, events[2]), (3, more)]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)
        assert connection.execute("SELECT DISTINCT recorded FROM events WHERE number < 4").fetchall() == [
            ("2020-02-02T00:00:00Z",)
        ]
        with pytest.raises(sqlite3.IntegrityError, match="label events are kept"):
            connection.execute("DELETE FROM events")
    connection.close()


def test_label_store_is_left_as_it_was_by_a_failed_migration(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    events = _first_version(path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE renewed (number INTEGER)")
    connection.close()
    with pytest.raises(LabelError, match="renewed already exists"):
        LabelStore(path).append([_event(7)])
    assert LabelStore(path).events() == events


def test_label_store_of_version_2_gets_a_plan(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([_event(1), _event(2)])
    with sqlite3.connect(label_store.path) as connection:
        for table in ("plans", "clip_events"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert label_store.events() == [_event(1), _event(2)]
    assert label_store.update_plan(
        lambda kept: DoubleReadingPlan(0.5, 3) if kept is None else kept
    ) == DoubleReadingPlan(0.5, 3)
    assert label_store.update_plan(lambda kept: kept or DoubleReadingPlan(1.0, 1)) == DoubleReadingPlan(0.5, 3)
    with (
        sqlite3.connect(label_store.path) as connection,
        pytest.raises(sqlite3.IntegrityError, match="label events are kept"),
    ):
        connection.execute("DELETE FROM events")
    connection.close()
    assert label_store.events() == [_event(1), _event(2)]


def test_append_keeps_every_field(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    event = replace(
        _event(1), frame="f", kind=EventKind.ADJUDICATION, confidence=0.5, frame_hash="abc", seconds=1.25,
        suggestion="A2C", suggested_by="run 1", suggestion_shown=True,
    )  # fmt: skip
    back = event.retraction("2020-01-01T00:01:00Z")
    label_store.append([event, back])
    assert label_store.events() == [event, back]


def test_stored_events_count_versions_of_a_clip(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([_event(1), _event(2), _event(1, view="A2C")])
    label_store.append([_event(2, view="PLAX"), _event(2)])
    assert [(entry.event.clip[-1], entry.version) for entry in label_store.stored_events()] == [
        ("1", 1), ("2", 1), ("1", 2), ("2", 2)
    ]  # fmt: skip


def test_append_check_sees_the_events_of_the_clip_and_can_refuse(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([_event(1), _event(2)])

    def refuse(entries: Sequence[StoredEvent]) -> None:
        assert list(entries) == [StoredEvent(1, 1, _event(1))]
        raise LabelConflictError("somebody was faster")

    with pytest.raises(LabelConflictError, match="somebody was faster"):
        label_store.append([_event(1, view="A2C")], check=refuse)
    assert len(label_store.events()) == 2


def test_append_lets_one_of_many_write_after_the_same_version(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append([])

    def once(rater: int) -> int:
        def first(entries: Sequence[StoredEvent]) -> None:
            if entries:
                raise LabelConflictError("labeled meanwhile")

        try:
            return LabelStore(label_store.path).append([_event(1, rater=f"rater {rater}")], check=first)
        except LabelConflictError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(once, range(16))) == 1
    assert len(label_store.events()) == 1


def test_append_to_a_locked_store_is_busy(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db", timeout=0.05)
    label_store.append([_event(1)])
    other = sqlite3.connect(label_store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LabelStoreBusyError, match=r"another program locks this label store.*nothing was written"):
        label_store.append([_event(2)])
    assert len(label_store.events()) == 1
    other.execute("ROLLBACK")
    other.close()
    assert label_store.append([_event(2)]) == 1


def test_keep_open_keeps_the_log(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    log = tmp_path / "labels.db-wal"
    label_store.append([_event(1)])
    assert not log.exists()
    with label_store.keep_open():
        label_store.append([_event(2)])
        assert log.stat().st_size > 0
    assert not log.exists()
    assert len(label_store.events()) == 2
