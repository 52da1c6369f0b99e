from __future__ import annotations

import datetime
import random

import pytest

from heart2heart.verify.study_dates import match_dates, scan_dates
from tests.verify.blocks import cut

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


@pytest.mark.usefixtures("small_blocks")
def test_scan_dates_reads_a_date_once_wherever_a_block_is_cut() -> None:
    for before in range(40):
        dates: set[datetime.date] = set()
        text = b" " * before + b"2020-03-01 x20200401 202005011 20200502"
        assert b"".join(scan_dates(cut(text, 5), dates)) == text
        assert dates == {datetime.date(2020, 3, 1), datetime.date(2020, 5, 2)}, before
