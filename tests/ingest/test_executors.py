"""Order, and what a dying process costs."""

from pathlib import Path

import pytest

from heart2heart.errors import ConfigError
from heart2heart.ingest.executors import run_ordered
from tests.ingest.archive import Deadly, Stillborn


@pytest.mark.parametrize("workers", [1, 2])
def test_outcomes_come_in_order(workers: int) -> None:
    paths = [Path(f"f{number}") for number in range(25)]
    codes = [outcome.code for outcome in run_ordered(Deadly(), paths, workers)]
    assert codes == [f"excluded:f{number}" for number in range(25)]
    assert list(run_ordered(Deadly(), [], workers)) == []


def test_a_dying_process_costs_only_the_file_that_killed_it() -> None:
    paths = [Path(name) for name in ("a", "deadly1", "b", "c", "deadly2")]
    codes = [outcome.code for outcome in run_ordered(Deadly(), paths, 2)]
    assert codes == ["excluded:a", "failed:crashed", "excluded:b", "excluded:c", "failed:crashed"]


def test_processes_that_cannot_start_are_not_blamed_on_files() -> None:
    with pytest.raises(ConfigError, match="__main__"):
        list(run_ordered(Stillborn(), [Path("a"), Path("b")], 2))
