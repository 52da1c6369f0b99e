"""What studies share: every job's result once, and the whole lines of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.study_jobs import read_lines, run_all


@pytest.mark.parametrize("workers", [1, 2])
def test_run_all_yields_each_result_once(workers: int) -> None:
    assert sorted(run_all(abs, [-3, 1, -2], workers)) == [1, 2, 3]


def test_read_lines_leaves_a_torn_line_out(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert read_lines(path) == []
    path.write_text('{"seed": 0}\n{"seed": 1}\n{"se')
    assert read_lines(path) == [{"seed": 0}, {"seed": 1}]
    path.write_text('{"se')
    assert read_lines(path) == []
