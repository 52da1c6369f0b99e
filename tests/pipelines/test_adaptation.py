"""The study of adaptation: its jobs, its table, and a miniature study that is continued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.run import Run
from heart2heart.training.train import train
from pipelines import adaptation
from pipelines.adaptation import WAYS, find_jobs, main, table
from tests.training.adaptation_study import TRAINING, adaptation_study


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder like a demo's: two hospitals in one store, a split, and a run; the truth comes from the store."""
    study = adaptation_study(tmp_path / "study")
    folder = tmp_path / "demo"
    shutil.copytree(study.store, folder / "stores" / "both")
    shutil.copytree(study.split, folder / "split")
    train(study.tiny().config(**{**TRAINING, "steps": 10}), folder / "runs" / "labels_only" / "seed-0")
    monkeypatch.setattr(adaptation, "true_views", lambda job, store: study.labels)
    return folder


def test_find_jobs_takes_every_case_at_every_held_out_hospital(demo: Path) -> None:
    jobs = find_jobs(demo, demo / "runs", [], [4, 2], demo / "out")
    views = SplitManifest.load(demo / "split").classes
    run = demo / "runs" / "labels_only" / "seed-0"
    assert [(job.run, job.site, job.patients) for job in jobs[:2]] == [(run, "B", 4), (run, "B", 2)]
    assert {job.views for job in jobs if len(job.views) == 1} == {(view,) for view in views}
    assert len({job.out for job in jobs}) == len(jobs)
    with pytest.raises(ConfigError, match="no trained run"):
        find_jobs(demo, demo / "runs", ["fixmatch"], [4], demo / "out")


def test_main_scores_each_case_and_continues(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = demo / "out"
    main(demo, out, None, [4], 1)
    first, text = capsys.readouterr().out, (out / "results.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    everything = next(line for line in lines if not line["views"])
    assert set(everything["ways"]) == set(WAYS)
    assert len(lines) == len(find_jobs(demo, demo / "runs", [], [4], out))
    run = Run.load(demo / "runs" / "labels_only" / "seed-0")
    assert run.directory.record.adaptation is None
    assert all(line["ways"]["auto"] == line["unadapted"] for line in lines if line["ways"] and not line["adapted"])
    refused = [line for line in lines if line["ways"] and "of the information" in line.get("outcome", "")]
    assert refused
    source = run.directory.record.validation_information
    assert source is not None
    for line in refused:  # the outcome says both as shares of the most that there can be
        before, after = (source * line[f"information_{when}"] for when in ("before", "after"))
        assert f"hold {after:.0%} of the information" in line["outcome"]
        assert f"held {before:.0%} before" in line["outcome"]
    assert not list(out.glob("job-*"))
    main(demo, out, None, [4], 1)
    assert capsys.readouterr().out == first
    assert (out / "results.jsonl").read_text() == text


def test_table_averages_hospitals_within_a_run_and_names_the_worst_gain() -> None:
    lines = [
        {"run": f"fixmatch/seed-{seed}", "site": site, "case": "4 patients, all views", "unadapted": 0.5,
         "adapted": gain > 0, "ways": dict.fromkeys(WAYS, 0.5 + gain)}
        for seed, gains in enumerate([(0.1, 0.2), (-0.1, 0.4)]) for site, gain in zip("BC", gains, strict=True)
    ]  # fmt: skip
    skipped = {"run": "fixmatch/seed-0", "site": "D", "case": "4 patients, all views", "unadapted": 0, "ways": {}}
    row = table([*lines, skipped]).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    # The runs gain 15 points each: the interval has no width.
    assert cells == [
        "4 patients, all views",
        "fixmatch",
        "50.0",
        *["65.0"] * 5,
        "15.0 (15.0 to 15.0)",
        "-10.0",
        "3 of 4",
    ]
