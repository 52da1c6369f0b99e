from __future__ import annotations

import datetime
import random

import pytest

from heart2heart.verify.identities import Identities
from heart2heart.verify.patterns import PatternSearcher, build_patterns, match_dates, scan_dates

START = datetime.date(2018, 1, 1)


def days(numbers: set[int]) -> set[datetime.date]:
    """Return days counted from `START`."""
    return {START + datetime.timedelta(days=number) for number in numbers}


def test_scan_dates_reads_the_year_first() -> None:
    text = b"20200229 2020-03-01, 2021.12.31; not 20200230, 2020-3-1, x20200401, 120200401, 2020-04.01"
    dates: set[datetime.date] = set()
    assert b"".join(scan_dates([text], dates)) == text
    assert dates == {
        datetime.date(2020, 2, 29), datetime.date(2020, 3, 1), datetime.date(2021, 12, 31),
    }  # fmt: skip


@pytest.mark.parametrize("number", [1, 5, 300])
def test_match_dates_finds_dates_that_were_not_moved(number: int) -> None:
    true = days(set(range(0, 2 * number, 2)))
    assert match_dates(true, true) == number


def test_match_dates_allows_chance_matches_of_moved_dates() -> None:
    draw = random.Random(0)
    true = days(set(draw.sample(range(2000), 900)))  # a busy laboratory: nearly every other day
    for _ in range(50):
        moved = {day - datetime.timedelta(days=draw.randrange(1, 3652)) for day in draw.sample(sorted(true), 400)}
        assert match_dates(moved, true) == 0


def cut(data: bytes, size: int) -> list[bytes]:
    """Return `data` in parts of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let blocks be so small that needles cross their borders."""
    monkeypatch.setattr("heart2heart.verify.artefacts.BLOCK", 16)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("id", "AB-471-147", "ab-471-147"), ("name", "ZQXPLÄNT^VORNAME^M", "Vorname Zqxplänt"),
        ("name", "ZQXPLÄNT^VORNAME^M", "ZQXPLÄNT, VORNAME"), ("name", "ZQX^ANN^MAY^^DR", "Ann May Zqx"),
        ("name", "ZQX^ANN=WANG^XIAO", "Xiao Wang"), ("date", "1943-11-22", "22.11.1943"),
        ("date", "1943-11-22", "November 22, 1943"), ("uid", "1.2.826.0.77777", "1.2.826.0.77777"),
    ],
)  # fmt: skip
def test_search_finds_a_pattern_wherever_a_block_is_cut(kind: str, value: str, written: str, encoding: str) -> None:
    identities = Identities()
    identities.add(kind, value)
    searcher = PatternSearcher(build_patterns(identities))
    for before in range(0, 40, 3):
        data = ("." * before + written + "." * 7).encode(encoding)
        whole = searcher.search([data], binary=False)
        assert whole[kind] >= 1
        assert all(searcher.search(cut(data, size), binary=False) == whole for size in (1, 7)), before


@pytest.mark.usefixtures("small_blocks")
def test_search_does_not_find_a_number_within_another_wherever_a_block_is_cut() -> None:
    identities = Identities()
    identities.add("id", "AB-471-147")
    searcher = PatternSearcher(build_patterns(identities))
    for before in range(40):
        assert not searcher.search([b"." * before + b"xab-471-147y"], binary=False), before


@pytest.mark.usefixtures("small_blocks")
def test_scan_dates_reads_a_date_once_wherever_a_block_is_cut() -> None:
    for before in range(40):
        dates: set[datetime.date] = set()
        text = b" " * before + b"2020-03-01 x20200401 202005011 20200502"
        assert b"".join(scan_dates(cut(text, 5), dates)) == text
        assert dates == {datetime.date(2020, 3, 1), datetime.date(2020, 5, 2)}, before
