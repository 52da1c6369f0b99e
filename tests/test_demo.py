"""The demo at a small size: the whole way, stopped by kill -9 and run again, and done within seconds when finished."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heart2heart.demo import METHODS
from heart2heart.schema.predictions import Predictions

ROOT = Path(__file__).parents[1]
SEEDS = range(2)
SMALL = ("--scale", "0.2", "--seeds", "2", "--override", "steps=12", "--override", "evaluate_every=6",
         "--override", "log_every=3", "--override", "checkpoint_every=3")  # fmt: skip


def _demo(out: Path, workers: int) -> list[str]:
    return [sys.executable, "-m", "heart2heart", "demo", "--out", str(out), "--workers", str(workers), *SMALL]


@pytest.mark.timeout(600)
def test_run_demo_stopped_anywhere_and_run_again(tmp_path: Path) -> None:
    """Two processes begin; the last call does the rest in one, which loads torch and MONAI once."""
    out = tmp_path / "demo"
    empty = tmp_path / "empty"  # the demo needs nothing from the folder where it is started
    empty.mkdir()
    milestones = (out / "stores" / "B" / "store.json", out / "runs" / "fixmatch" / "seed-1" / "checkpoints" / "last.pt")
    for milestone in milestones:
        process = subprocess.Popen(
            _demo(out, workers=2),
            cwd=empty,
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

    done = subprocess.run(_demo(out, workers=1), cwd=empty, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"Report: {out / 'report.html'}")
    assert "SYNTHETIC" in done.stdout
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
