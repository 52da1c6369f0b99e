from __future__ import annotations

import datetime
import random

import pytest

from heart2heart.verify import Identities
from heart2heart.verify.days import agree, days_in
from heart2heart.verify.patterns import Searcher, patterns

START = datetime.date(2018, 1, 1)


def days(numbers: set[int]) -> set[datetime.date]:
    """Return days counted from `START`."""
    return {START + datetime.timedelta(days=number) for number in numbers}


def test_dates_are_read_with_the_year_first() -> None:
    text = b"20200229 2020-03-01, 2021.12.31; not 20200230, 2020-3-1, x20200401, 120200401, 2020-04.01"
    assert set(days_in(text)) == {
        datetime.date(2020, 2, 29), datetime.date(2020, 3, 1), datetime.date(2021, 12, 31),
    }  # fmt: skip


@pytest.mark.parametrize("number", [1, 5, 300])
def test_dates_that_were_not_moved_are_found(number: int) -> None:
    true = days(set(range(0, 2 * number, 2)))
    assert agree(true, true) == number


def test_moved_dates_may_meet_true_ones_by_chance() -> None:
    draw = random.Random(0)
    true = days(set(draw.sample(range(2000), 900)))  # a busy laboratory: nearly every other day
    for _ in range(50):
        moved = {day - datetime.timedelta(days=draw.randrange(1, 3652)) for day in draw.sample(sorted(true), 400)}
        assert agree(moved, true) == 0


def test_a_pattern_is_found_wherever_a_chunk_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heart2heart.verify.patterns._CHUNK", 16)
    wanted = Identities()
    wanted.add("id", "AB-471-147")
    searcher = Searcher(patterns(wanted))
    for before in range(40):
        data = b"." * before + b"ab-471-147" + b"." * 7
        assert searcher.search(data, binary=False)["id"] == 1, before
        assert not searcher.search(b"." * before + b"xab-471-147y", binary=False), before
