"""The verb that adapts a run to a hospital: what it prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import Heart2HeartError, LeakageError, RunError
from heart2heart.training.run import Run
from heart2heart.training.train import train
from tests.training.adaptation_study import TRAINING, AdaptationStudy, adaptation_study, write_clips


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> AdaptationStudy:
    return adaptation_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def run(study: AdaptationStudy, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(study.tiny().config(**TRAINING), tmp_path_factory.mktemp("runs") / "source")


def adapt(run: Run, store: Path, out: Path, *options: str) -> tuple[int, str, BaseException | None]:
    arguments = ["adapt", str(run.path), "--store", str(store), "--out", str(out), *options]
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output, done.exception


def test_adapt_prints_checks_and_outcome(run: Run, study: AdaptationStudy, tmp_path: Path) -> None:
    code, output, _ = adapt(run, study.store, tmp_path / "at_b", "--site", "B")
    assert code == 0, output
    assert "adapted the statistics to B (48 frames of 4 patients of B)" in " ".join(output.split())
    assert [line.split()[1] for line in output.splitlines() if line.startswith(("views", "entropy"))] == [
        "pass",
        "pass",
    ]
    assert Run.load(tmp_path / "at_b").classes == run.classes


def test_adapt_ends_well_where_it_keeps_the_source_statistics(run: Run, tmp_path: Path) -> None:
    store = write_clips(tmp_path / "one_view", {"S": 6}, views=(0,), seed=4)
    code, output, _ = adapt(run, store.root, tmp_path / "kept")
    assert code == 0, output
    assert "kept the source's statistics because" in " ".join(output.split())
    assert "FAIL" in output


def test_adapt_refuses_a_scored_patient(run: Run, study: AdaptationStudy, tmp_path: Path) -> None:
    _, _, error = adapt(run, study.store, tmp_path / "out", "--site", "A", "--patient", "A-p0", "--patient", "A-p1",
                        "--patient", "A-p2", "--patient", "A-p3", "--patient", "A-p4", "--patient", "A-p5")  # fmt: skip
    assert isinstance(error, LeakageError)
    assert isinstance(error, Heart2HeartError)
    assert error.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_adapt_refuses_frames_of_another_geometry(run: Run, tmp_path: Path) -> None:
    store = write_clips(tmp_path / "other", {"N": 4}, step=2)
    _, _, error = adapt(run, store.root, tmp_path / "out")
    assert isinstance(error, RunError)
    assert "this run takes frames of" in str(error)
    assert "Ingest the hospital's clips with the run's geometry" in str(error)
