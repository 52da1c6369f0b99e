"""What studies share: every job's result once, and the whole lines of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heart2heart.errors import RunError
from pipelines.study_jobs import process_device, read_lines, run_all


@pytest.mark.parametrize("workers", [1, 2])
def test_run_all_yields_each_result_once(workers: int) -> None:
    assert sorted(run_all(abs, [-3, 1, -2], workers)) == [(0, 3), (1, 1), (2, 2)]


def _device_of(job: int) -> str:
    return process_device()


@pytest.mark.parametrize("workers", [1, 2])
def test_run_all_gives_each_process_a_device(workers: int) -> None:
    devices = ["cuda:0", "cuda:1"][:workers]
    taken_devices = {device for _, device in run_all(_device_of, [0, 1, 2, 3], workers, devices)}
    assert taken_devices <= set(devices)
    assert dict(run_all(_device_of, [0], 1)) == {0: "cpu"}


def _die(job: int) -> int:
    os._exit(1)


def test_run_all_says_that_a_process_died() -> None:
    with pytest.raises(RunError, match="a process of the study died"):
        list(run_all(_die, [0, 1], 2))


def test_read_lines_leaves_a_torn_line_out(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert read_lines(path) == []
    path.write_text('{"seed": 0}\n{"seed": 1}\n{"se')
    assert read_lines(path) == [{"seed": 0}, {"seed": 1}]
    path.write_text('{"se')
    assert read_lines(path) == []
