"""The demo at a small size: the whole way, stopped by kill -9 and run again, and done within seconds when finished."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from benchmarks.determinism import Findings, Setting, read_findings, repeat_demo, table
from heart2heart.demo import METHODS
from heart2heart.schema.predictions import Predictions

ROOT = Path(__file__).parents[1]
SEEDS = range(2)
SMALL = ("--scale", "0.2", "--seeds", "2", "--override", "steps=6", "--override", "evaluate_every=3",
         "--override", "log_every=3", "--override", "checkpoint_every=3")  # fmt: skip
"""Three labeled patients at the source: the smallest hospitals that a split can have."""


def _demo(out: Path, workers: int) -> list[str]:
    return [sys.executable, "-m", "heart2heart", "demo", "--out", str(out), "--workers", str(workers), *SMALL]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a demo that was killed twice: in its ingest, and while two processes trained."""
    out, empty = tmp_path_factory.mktemp("demo") / "out", tmp_path_factory.mktemp("empty")
    milestones = {
        out / "stores" / "B" / "store.json": 1,
        out / "runs" / "fixmatch" / "seed-1" / "checkpoints" / "last.pt": 2,
    }
    for milestone, workers in milestones.items():
        process = subprocess.Popen(
            _demo(out, workers),
            cwd=empty,  # the demo needs nothing from the folder where it is started
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not milestone.exists():
            assert process.poll() is None, f"the demo ended before it made {milestone.name}"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / "report.html").exists()
    return out


@dataclass(frozen=True)
class FinishedDemo:
    """A finished demo: its folder, and what it printed."""

    out: Path
    printed: str


@pytest.fixture(scope="module")
def finished(stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedDemo:
    """Run the stopped demo again: it does the rest in one process, which loads torch and MONAI once."""
    command = _demo(stopped, workers=1)
    done = subprocess.run(command, cwd=tmp_path_factory.mktemp("empty"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return FinishedDemo(stopped, done.stdout)


@pytest.mark.timeout(600)
def test_run_demo_stopped_anywhere_and_run_again(finished: FinishedDemo) -> None:
    out = finished.out
    assert finished.printed.rstrip().endswith(f"Report: {out / 'report.html'}")
    assert "SYNTHETIC" in finished.printed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert re.search("synthetic", page, re.IGNORECASE)
    predictions = Predictions.read(out / "evaluation" / "predictions.parquet")
    assert [site.site for site in predictions.provenance.sites] == ["A", "B", "C", "D"]
    assert all(site.synthetic and site.files["accepted"] > 0 for site in predictions.provenance.sites)
    runs = [run.run for run in predictions.provenance.runs]
    members = [f"{method}/seed-{seed}" for method in METHODS for seed in SEEDS]
    assert runs[: len(members)] == members
    adapted = predictions.provenance.runs[len(members) :]
    assert len(adapted) == len(SEEDS)
    assert all(run.method.endswith("adapted at B, C, D") for run in adapted)
    leftovers = [path for path in out.rglob("*") if path.name.endswith(".tmp") or path.name.endswith(".part")]
    assert not leftovers

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    study = [sys.executable, "-m", "pipelines.demo", "--out", str(out), *SMALL]
    again = subprocess.run(study, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "The demo is finished" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


OTHER_PROCESSORS = (Setting("default", "default", workers=1), Setting("two threads", "avx2", 1, 2))
BOTH_CHANGES = Setting("default instructions, two threads", "default", workers=1, threads=2)


@pytest.mark.timeout(600)
def test_repeat_demo_has_nearly_the_same_numbers_on_other_processors(finished: FinishedDemo, tmp_path: Path) -> None:
    """After six steps networks are at chance, where single frames move a word; the median and clear words stay."""
    (finished.out / "runs" / "adapted" / "audit.jsonl").touch()  # as `adapt` leaves it where no other log is named
    first = read_findings(finished.out)
    again = repeat_demo(finished.out, tmp_path / "again", BOTH_CHANGES, SMALL)
    changes = [abs(again.accuracies[name] - value) for name, value in first.accuracies.items()]
    assert median(changes) < 0.03
    assert again.verdicts.keys() == first.verdicts.keys()
    differing = [name for name, word in first.verdicts.items() if again.verdicts[name] != word]
    assert len(differing) <= len(first.verdicts) / 4
    assert all(min(first.margins[name], again.margins[name]) < 0.15 for name in differing if name in first.margins)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_repeat_demo_of_full_size_has_the_same_verdicts_on_other_processors(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "heart2heart", "demo", "--out", str(tmp_path / "demo")], check=True)
    first = read_findings(tmp_path / "demo")
    for setting in OTHER_PROCESSORS:
        again = repeat_demo(tmp_path / "demo", tmp_path / setting.name, setting)
        assert again.verdicts == first.verdicts


def test_table_names_the_verdicts_that_differ() -> None:
    first = Findings({"b minus a, B": "better", "b minus a, C": "open"}, {"a, B": 0.5, "b, B": 0.7}, {})
    again = Findings({"b minus a, B": "open", "b minus a, C": "open"}, {"a, B": 0.5, "b, B": 0.65}, {})
    assert table({"first": first, "again": again}).splitlines()[-1] == "| again | 2 | b minus a, B | 5.00 |"
