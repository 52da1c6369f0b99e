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


def test_events_come_back_in_order_and_only_once(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    events = [_event(index) for index in range(5)]
    assert book.append(events) == 5
    assert book.append([*events, _event(9)]) == 1
    assert book.events() == [*events, _event(9)]


def test_label_store_opens_a_path_given_as_text(tmp_path: Path) -> None:
    assert LabelStore(str(tmp_path / "labels.db")).append([_event(1)]) == 1
    assert LabelStore(str(tmp_path / "labels.db")).events() == LabelStore(tmp_path / "labels.db").events()


def test_an_event_is_never_changed(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([_event(1)])
    with sqlite3.connect(book.path) as connection:
        for statement in ("UPDATE events SET view = 'PLAX'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="label events are kept"):
                connection.execute(statement)
    connection.close()
    assert book.events() == [_event(1)]


def test_all_or_none(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    with pytest.raises(UnknownNameError, match="unknown view 'A9C'"):
        book.append([_event(1), _event(2, view="A9C")])
    assert not book.path.exists()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([_event(0)])
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda at: LabelStore(book.path).append([_event(at)]), range(1, 41)))
    assert sum(written) == 40
    assert len(book.events()) == 41


def test_bad_files_are_named(tmp_path: Path) -> None:
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


def test_export_holds_every_event(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([_event(1), _event(1, view="A2C"), _event(2, rater="Émile, MD")])
    assert export_events(book, tmp_path / "events.csv").written == 3
    lines = (tmp_path / "events.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        "clip,frame,view,rater,at,source,taxonomy,kind,answer,confidence,frame_hash,seconds,suggestion,suggested_by,"
        "suggestion_shown,retracts"
    )
    assert lines[3].startswith('0000000000000002,,A4C,"Émile, MD",')


def _first_version(path: Path) -> list[LabelEvent]:
    """Write a book as heart2heart 0.1.0 did, with `frame_hash` and its fellows unknown."""
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


def test_a_book_of_schema_1_is_read_as_it_is_and_upgraded_without_loss(tmp_path: Path) -> None:
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
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("SELECT DISTINCT recorded FROM events WHERE number < 4").fetchall() == [
            ("2020-02-02T00:00:00Z",)
        ]
        with pytest.raises(sqlite3.IntegrityError, match="label events are kept"):
            connection.execute("DELETE FROM events")
    connection.close()


def test_an_upgrade_that_fails_leaves_the_old_book(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    events = _first_version(path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE renewed (number INTEGER)")
    connection.close()
    with pytest.raises(LabelError, match="renewed already exists"):
        LabelStore(path).append([_event(7)])
    assert LabelStore(path).events() == events


def test_a_book_of_schema_2_gets_a_plan_and_keeps_its_events(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([_event(1), _event(2)])
    with sqlite3.connect(book.path) as connection:
        connection.execute("DROP TABLE plans")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert book.events() == [_event(1), _event(2)]
    assert book.update_plan(lambda kept: DoubleReadingPlan(0.5, 3) if kept is None else kept) == DoubleReadingPlan(
        0.5, 3
    )
    assert book.update_plan(lambda kept: kept or DoubleReadingPlan(1.0, 1)) == DoubleReadingPlan(0.5, 3)
    with sqlite3.connect(book.path) as connection, pytest.raises(sqlite3.IntegrityError, match="label events are kept"):
        connection.execute("DELETE FROM events")
    connection.close()
    assert book.events() == [_event(1), _event(2)]


def test_what_was_said_beside_the_view_comes_back(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    told = replace(
        _event(1), frame="f", kind=EventKind.ADJUDICATION, confidence=0.5, frame_hash="abc", seconds=1.25,
        suggestion="A2C", suggested_by="run 1", suggestion_shown=True,
    )  # fmt: skip
    back = told.retraction("2020-01-01T00:01:00Z")
    book.append([told, back])
    assert book.events() == [told, back]


def test_versions_count_the_events_of_a_clip(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([_event(1), _event(2), _event(1, view="A2C")])
    book.append([_event(2, view="PLAX"), _event(2)])
    assert [(entry.event.clip[-1], entry.version) for entry in book.stored_events()] == [
        ("1", 1), ("2", 1), ("1", 2), ("2", 2)
    ]  # fmt: skip


def test_a_check_sees_the_clips_events_and_can_refuse(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([_event(1), _event(2)])

    def refuse(entries: Sequence[StoredEvent]) -> None:
        assert list(entries) == [StoredEvent(1, 1, _event(1))]
        raise LabelConflictError("somebody was faster")

    with pytest.raises(LabelConflictError, match="somebody was faster"):
        book.append([_event(1, view="A2C")], check=refuse)
    assert len(book.events()) == 2


def test_of_many_who_saw_the_same_version_one_writes(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    book.append([])

    def once(rater: int) -> int:
        def first(entries: Sequence[StoredEvent]) -> None:
            if entries:
                raise LabelConflictError("labeled meanwhile")

        try:
            return LabelStore(book.path).append([_event(1, rater=f"rater {rater}")], check=first)
        except LabelConflictError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(once, range(16))) == 1
    assert len(book.events()) == 1


def test_a_book_held_by_another_process_is_busy_not_broken(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db", timeout=0.05)
    book.append([_event(1)])
    other = sqlite3.connect(book.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LabelStoreBusyError, match=r"another program locks this label store.*nothing was written"):
        book.append([_event(2)])
    assert len(book.events()) == 1
    other.execute("ROLLBACK")
    other.close()
    assert book.append([_event(2)]) == 1


def test_a_book_that_is_held_open_keeps_its_log(tmp_path: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    log = tmp_path / "labels.db-wal"
    book.append([_event(1)])
    assert not log.exists()
    with book.keep_open():
        book.append([_event(2)])
        assert log.stat().st_size > 0
    assert not log.exists()
    assert len(book.events()) == 2
