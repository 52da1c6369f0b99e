"""The runner of studies: order, resumption, torn lines, and the refusal of a second process."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, RunError
from pipelines import study_engine
from pipelines.study_engine import Line, ResultsFile, lock_study, run_study


def _key(job: int) -> dict[str, int]:
    return {"seed": job}


def _square(job: int) -> Line:
    return {"score": job * job}


def test_run_study_runs_only_what_is_missing_and_keeps_the_order(tmp_path: Path) -> None:
    results, ran = tmp_path / "results.jsonl", []

    def record(job: int) -> Line:
        ran.append(job)
        return _square(job)

    first = run_study([3, 1], record, key=_key, results=results)
    lines = run_study([1, 2, 3], record, key=_key, results=results)
    assert ran == [3, 1, 2]
    assert [line["score"] for line in lines] == [1, 4, 9]
    assert lines[0] == first[1]
    assert all(line["device"] == "cpu" and line["seconds"] >= 0 and line["cpu_seconds"] >= 0 for line in lines)
    assert len(results.read_text().splitlines()) == 3


def test_run_study_in_several_processes_gives_the_same_lines(tmp_path: Path) -> None:
    lines = run_study(list(range(5)), _square, key=_key, results=tmp_path / "results.jsonl", workers=2)
    assert [(line["seed"], line["score"]) for line in lines] == [(job, job * job) for job in range(5)]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 400))
def test_run_study_repairs_a_line_torn_at_any_byte(tmp_path_factory: pytest.TempPathFactory, kept: int) -> None:
    results = tmp_path_factory.mktemp("study") / "results.jsonl"
    run_study([0, 1, 2], _square, key=_key, results=results)
    whole = results.read_bytes()
    results.write_bytes(whole[: kept % len(whole)])
    lines = run_study([0, 1, 2], _square, key=_key, results=results)
    assert [line["score"] for line in lines] == [0, 1, 4]
    assert [json.loads(text)["seed"] for text in results.read_text().splitlines()] == [0, 1, 2]


def test_run_study_stopped_by_an_error_keeps_what_is_finished(tmp_path: Path) -> None:
    results, recorded = tmp_path / "results.jsonl", []

    def stop_at_two(job: int) -> Line:
        if job == 2:
            raise KeyboardInterrupt
        return _square(job)

    with pytest.raises(KeyboardInterrupt):
        run_study([0, 1, 2], stop_at_two, key=_key, results=results, on_line=lambda job, _: recorded.append(job))
    assert recorded == [0, 1]
    assert [line["seed"] for line in run_study([0, 1], _square, key=_key, results=results)] == [0, 1]


KILLED = """
import sys, time
from pathlib import Path
from pipelines.study_engine import run_study

def job(number):
    if number == 2:
        print("third", flush=True)
        time.sleep(600)
    return {"score": number}

run_study(range(4), job, key=lambda number: {"seed": number}, results=Path(sys.argv[1]))
"""


def test_run_study_continues_after_a_kill_and_refuses_a_second_process(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(results)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "third"
    with pytest.raises(RunError, match="another process runs this study"):
        run_study([0, 1], _square, key=_key, results=results)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 120
    while True:  # the lock ends with the process
        try:
            lines = run_study([0, 1, 2, 3], _square, key=_key, results=results)
            break
        except RunError:
            assert time.monotonic() < deadline
    assert [line["score"] for line in lines] == [0, 1, 4, 9]


ORPHANS = """
import os, sys, time
from pathlib import Path
from pipelines.study_engine import run_study

def job(number):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(600)
    return {}

def key(number):
    return {"seed": number}

if __name__ == "__main__":
    run_study([0, 1], job, key=key, results=Path(sys.argv[1], "results.jsonl"), workers=2)
"""


def _runs(process: int) -> bool:
    """Whether a process runs; one that ended and was not waited for has no command line."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_run_study_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    script, folder = tmp_path / "orphans.py", tmp_path / "out"
    script.write_text(ORPHANS)
    folder.mkdir()
    child = subprocess.Popen([sys.executable, str(script), str(folder)], env={**os.environ, "PYTHONPATH": "."})
    while len(workers := [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]) < 2:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    deadline = time.monotonic() + 120
    while any(_runs(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_lock_study_is_free_after_its_block(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "study.lock"
    with lock_study(path), pytest.raises(RunError), lock_study(path):
        pass
    with lock_study(path):
        assert path.exists()


def test_results_file_takes_the_last_line_of_a_job_and_refuses_equal_jobs(tmp_path: Path) -> None:
    file = ResultsFile[int](tmp_path / "results.jsonl", _key)
    for score in (1, 2):
        file.append({"seed": 0, "score": score})
    assert file.lines([0, 1]) == [{"seed": 0, "score": 2}, None]
    with pytest.raises(ConfigError, match="two jobs of this study are the same"):
        file.lines([0, 0])


def test_run_study_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from heart2heart.testing.tiny import tiny_store  # here, since the processes of a study import this module

    tiny = tiny_store(tmp_path / "tiny")
    page = (Path(study_engine.__file__).parents[1] / "docs/how-to/study.md").read_text()
    code = next(
        block for block in re.findall(r"^```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE) if "run_study" in block
    )
    assert len([line for line in code.splitlines() if line.strip()]) <= 32
    small = '"steps": 1, "network": {"options": {"depth": 10, "widen": 1}}'
    changes = {"STORE": str(tiny.store), "SPLIT": str(tiny.split), '"steps": 400': small}
    for text, other in (changes | {"range(8)": "range(2)", "workers=2": "workers=1"}).items():
        assert text in code
        code = code.replace(text, other)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.py").write_text(code)
    runpy.run_path(str(tmp_path / "example.py"), run_name="__main__")
    assert len((tmp_path / "rates_output/results.jsonl").read_text().splitlines()) == 4
