"""The ordered map over processes."""

from __future__ import annotations

import os

import pytest

from heart2heart.errors import RunError
from heart2heart.parallel import map_ordered


def _square(number: int) -> int:
    return number * number


def _die_at_three(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number


@pytest.mark.parametrize(("workers", "chunk"), [(1, 1), (2, 1), (2, 7)])
def test_map_ordered_keeps_the_order(workers: int, chunk: int) -> None:
    assert list(map_ordered(_square, range(20), workers, chunk=chunk)) == [n * n for n in range(20)]


def test_map_ordered_names_the_death_of_a_process() -> None:
    with pytest.raises(RunError, match="a worker process died"):
        list(map_ordered(_die_at_three, range(5), 2))
