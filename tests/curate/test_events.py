"""The label book keeps every event, in order, once, and refuses to change one."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from heart2heart.curate import LabelBook, LabelEvent, export_csv
from heart2heart.errors import LabelError, MissingInputError, UnknownNameError


def _event(number: int, view: str = "A4C", rater: str = "rater 1") -> LabelEvent:
    return LabelEvent(f"{number:016x}", "", view, rater, f"2020-01-01T00:00:{number % 60:02d}Z", "csv:heart2heart")


def test_events_come_back_in_order_and_only_once(tmp_path: Path) -> None:
    book = LabelBook(tmp_path / "labels.db")
    events = [_event(number) for number in range(5)]
    assert book.append(events) == 5
    assert book.append([*events, _event(9)]) == 1
    assert book.events() == [*events, _event(9)]


def test_an_event_is_never_changed(tmp_path: Path) -> None:
    book = LabelBook(tmp_path / "labels.db")
    book.append([_event(1)])
    with sqlite3.connect(book.path) as connection:
        for statement in ("UPDATE events SET view = 'PLAX'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="label events are kept"):
                connection.execute(statement)
    connection.close()
    assert book.events() == [_event(1)]


def test_all_or_none(tmp_path: Path) -> None:
    book = LabelBook(tmp_path / "labels.db")
    with pytest.raises(UnknownNameError, match="unknown view 'A9C'"):
        book.append([_event(1), _event(2, view="A9C")])
    assert not book.path.exists()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    book = LabelBook(tmp_path / "labels.db")
    book.append([_event(0)])
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda at: LabelBook(book.path).append([_event(at)]), range(1, 41)))
    assert sum(written) == 40
    assert len(book.events()) == 41


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no label book here"):
        LabelBook(tmp_path / "none.db").events()
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 40)
    with pytest.raises(LabelError, match="cannot be used"):
        LabelBook(tmp_path / "text.db").events()
    newer = sqlite3.connect(tmp_path / "newer.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LabelError, match="newer version"):
        LabelBook(tmp_path / "newer.db").append([_event(1)])


def test_export_holds_every_event(tmp_path: Path) -> None:
    book = LabelBook(tmp_path / "labels.db")
    book.append([_event(1), _event(1, view="A2C"), _event(2, rater="Émile, MD")])
    assert export_csv(book, tmp_path / "events.csv") == 3
    lines = (tmp_path / "events.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "clip,frame,view,rater,at,source,taxonomy"
    assert lines[3].startswith('0000000000000002,,A4C,"Émile, MD",')
