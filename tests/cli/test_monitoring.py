"""The verbs for few labels: their tables, and the exit codes of `monitor`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from benchmarks.simulated_cases import SKILLS, simulate_cases
from heart2heart.cli import app
from heart2heart.cli.monitoring import ALARM
from heart2heart.errors import ExistsError
from heart2heart.evaluation.cases import Cases


def _run(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def _write(path: Path, cases: Cases, *, labeled: bool = False) -> Path:
    probabilities = cases.probabilities(cases.run_sets[0])
    lines = [",".join(["case", "patient", "site", "truth", *cases.classes])]
    for row, name in enumerate(cases.case.tolist()):
        truth = cases.classes[cases.truth[row]] if labeled else ""
        cells = ",".join(f"{value:.6f}" for value in probabilities[row])
        lines.append(f"{name},p{cases.patient[row]},{cases.site[row]},{truth},{cells}")
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path, Cases]:
    generator = np.random.default_rng(0)
    source = simulate_cases(generator, 60, SKILLS[0.85], site="A")
    harder = simulate_cases(generator, 60, SKILLS[0.70])
    return _write(tmp_path / "A.csv", source, labeled=True), _write(tmp_path / "E.csv", harder), harder


def test_estimate_prints_alarms_with_their_errors(tables: tuple[Path, Path, Cases], tmp_path: Path) -> None:
    source, predicted, _ = tables
    shown = _run("estimate", predicted, "--reference", source, "--out", tmp_path / "estimate.json")
    assert "atc" in shown
    assert "200 simulated hospitals" in shown
    assert "the predictions hold one seed; two are needed" in shown
    assert "These are alarms, not accuracies" in shown
    assert (tmp_path / "estimate.json").is_file()


def test_audit_prints_estimates_and_what_is_not_estimable(tables: tuple[Path, Path, Cases], tmp_path: Path) -> None:
    _, predicted, cases = tables
    first = [int(np.flatnonzero(cases.patient == patient)[0]) for patient in range(30)]
    sizes = np.bincount(cases.patient)
    sample = {
        "clip": [cases.case[row] for row in first],
        "method": ["audit"] * 30,
        "view": [None] * 30,
        "inclusion": [0.5 / sizes[cases.patient[row]] for row in first],
    }
    pq.write_table(pa.table(sample), tmp_path / "sample.parquet")
    rows = [f"{cases.case[row]},{cases.classes[cases.truth[row]]}" for row in first[:29]]
    (tmp_path / "read.csv").write_text("\n".join(["clip,truth", *rows]))
    files = ("--sample", tmp_path / "sample.parquet", "--labels", tmp_path / "read.csv")
    shown = _run("audit-accuracy", predicted, *files)
    assert "accuracy" in shown
    assert "not estimable" in shown
    assert "29 audited clips of 29 patients" in shown
    assert "1 drawn clips have no label" in shown


def test_conformal_prints_coverage_and_its_limit(tables: tuple[Path, Path, Cases]) -> None:
    source, _, _ = tables
    shown = _run("conformal", source, "--calibration", source, "--recalibrate", "5", "--score", "lac")
    assert "9 patients are needed" in shown
    assert "as a mean over patients" in shown


def test_monitor_add_ends_with_the_code_of_an_alarm(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    journal, page = tmp_path / "monitor.jsonl", tmp_path / "monitor.html"
    reference = _write(tmp_path / "reference.csv", simulate_cases(generator, 120, SKILLS[0.97]))
    assert "120 patients" in _run("monitor", "start", journal, "--reference", reference, "--least-accuracy", "0.9")
    assert "0 weeks" in _run("monitor", "show", journal)
    quiet = _write(tmp_path / "1.csv", simulate_cases(generator, 30, SKILLS[0.97]))
    assert "2026-W01" in _run("monitor", "add", journal, quiet, "--week", "2026-W01")
    changed = simulate_cases(generator, 60, SKILLS[0.70])
    loud = _write(tmp_path / "2.csv", changed)
    shown = _run("monitor", "add", journal, loud, "--week", "2026-W02", "--page", page, code=ALARM)
    assert "since 2026-W02" in shown
    assert "Alarm: confidence since 2026-W02" in page.read_text(encoding="utf-8")
    rows = [f"{name},{changed.classes[changed.truth[row]]}" for row, name in enumerate(changed.case.tolist())]
    (tmp_path / "read.csv").write_text("\n".join(["clip,truth", *rows]))
    words = ("monitor", "audit", journal, loud, "--week", "2026-W02", "--labels", tmp_path / "read.csv")
    assert _run(*words, code=ALARM).count("since 2026-W02") == 2
    with pytest.raises(ExistsError, match="2026-W02 was added before"):
        _run("monitor", "add", journal, loud, "--week", "2026-W02")
