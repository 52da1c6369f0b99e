"""The book of files: one writer, readable while it writes."""

from pathlib import Path

import pytest

from heart2heart.errors import ConfigError, MissingInputError, NoSpaceError, StoreError
from heart2heart.ingest.ledger import Ledger, open_ledger_writer
from heart2heart.schema.status import StatusCode
from heart2heart.schema.store import LedgerEntry


def line(number: int, status: str = StatusCode.ACCEPTED, site: str = "a") -> LedgerEntry:
    return LedgerEntry(
        f"f{number}", site, StatusCode(status), "stamp", f"c{number}", f"k{number}" if status == "accepted" else None
    )


def test_ledger_counts_replaces_and_finds_its_lines(tmp_path: Path) -> None:
    with open_ledger_writer(tmp_path) as book:
        book.add([line(1), line(2), line(3, "failed:empty"), line(4, site="b")])
        assert Ledger(tmp_path).counts()["a"] == {"accepted": 2, "failed:empty": 1}  # while the book is open
        book.add([line(2, "failed:decode")])
        assert book.entries("b") == {"f4": ("accepted", "stamp")}
        assert book.accepted() == {"c1": "f1", "c4": "f4"}
    ledger = Ledger(tmp_path)
    assert ledger.counts() == {"a": {"accepted": 1, "failed:decode": 1, "failed:empty": 1}, "b": {"accepted": 1}}
    assert ledger.counts("b") == {"b": {"accepted": 1}}
    assert ledger.counts("c") == {}
    assert ledger.files_with(["failed:empty", "failed:decode"]) == {"f2", "f3"}


def test_open_ledger_writer_admits_one_writer_at_a_time(tmp_path: Path) -> None:
    with open_ledger_writer(tmp_path), pytest.raises(StoreError, match="another ingest"), open_ledger_writer(tmp_path):
        pass
    with open_ledger_writer(tmp_path) as book:
        book.add([line(1)])


def test_reconcile_strikes_lines_of_lost_clips_and_duplicates(tmp_path: Path) -> None:
    with open_ledger_writer(tmp_path) as book:
        book.add([line(1), line(2), line(3, "excluded:duplicate"), line(4, "failed:empty")])
        assert book.reconcile({"k1", "k2"}) == 0
        assert book.reconcile({"k1"}) == 1
    assert Ledger(tmp_path).counts() == {"a": {"accepted": 1, "failed:empty": 1}}


def test_register_site_keeps_key_and_settings_of_a_site(tmp_path: Path) -> None:
    with open_ledger_writer(tmp_path) as book:
        book.register_site("a", "k", "s")
        book.register_site("a", "k", "s")
        with pytest.raises(ConfigError, match="another key"):
            book.register_site("a", "x", "s")
        with pytest.raises(ConfigError, match="other settings"):
            book.register_site("a", "k", "x")
        book.register_site("b", "x", "x")
    assert Ledger(tmp_path).sites() == ["a", "b"]


def test_add_names_a_full_disk(tmp_path: Path) -> None:
    with open_ledger_writer(tmp_path) as book:
        book.add([line(0)])
        book._connection.execute("PRAGMA max_page_count = 10")
        with pytest.raises(NoSpaceError):
            book.add([line(index) for index in range(2000)])
    assert Ledger(tmp_path).counts() == {"a": {"accepted": 1}}


def test_ledger_names_a_missing_and_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no ledger"):
        Ledger(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        Ledger(tmp_path).counts()
    with pytest.raises(StoreError, match="damaged"), open_ledger_writer(tmp_path):
        pass


def test_not_accepted_keeps_the_makers_of_files_left_out(tmp_path: Path) -> None:
    with open_ledger_writer(tmp_path) as book:
        book.register_site("a", "check", "{}")
        makers = ("GE", "GE", None, "Philips")
        book.add(
            [
                LedgerEntry(f"f{n}", "a", StatusCode.FAILED_EMPTY, "s", manufacturer=name)
                for n, name in enumerate(makers)
            ]
        )
        book.add([LedgerEntry("x", "a", StatusCode.ACCEPTED, "s", "c", "clip", manufacturer="GE")])
        assert Ledger(tmp_path).not_accepted() == [
            ("failed:empty", "GE", 2), ("failed:empty", None, 1), ("failed:empty", "Philips", 1),
        ]  # fmt: skip
        book.add(
            [
                LedgerEntry("f0", "a", StatusCode.ACCEPTED, "s", "d", "clip2", manufacturer="GE"),
                LedgerEntry("f1", "a", StatusCode.FAILED_HEADER, "s"),
            ]
        )
    assert Ledger(tmp_path).not_accepted() == [
        ("failed:empty", None, 1), ("failed:empty", "Philips", 1), ("failed:header", None, 1),
    ]  # fmt: skip
