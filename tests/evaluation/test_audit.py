"""The sample of an audit and its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from benchmarks.simulated_cases import simulate_cases
from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.evaluation.audit import AuditSample, audit_of_sample, read_sample
from heart2heart.evaluation.cases import Cases

ROWS = {"clip": ["c1", "c2"], "method": ["audit"] * 2, "view": ["A4C", None], "inclusion": [0.25, 1.0]}


def _cases() -> Cases:
    return simulate_cases(np.random.default_rng(0), 10, 2.0)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_read_sample_reads_both_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sample{suffix}"
    table = pa.table(ROWS)
    pyarrow.csv.write_csv(table, path) if suffix == ".csv" else pq.write_table(table, path)
    sample = read_sample(path)
    assert (sample.strategy, sample.inclusion) == ("audit", {"c1": 0.25, "c2": 1.0})


@pytest.mark.parametrize(
    "change",
    [{"method": ["badge"] * 2}, {"inclusion": [0.0, 1.0]}, {"inclusion": [None, 1.0]}, {"clip": ["c1", "c1"]}],
)
def test_read_sample_refuses_other_queues(tmp_path: Path, change: dict[str, list[object]]) -> None:
    pq.write_table(pa.table({**ROWS, **change}), tmp_path / "sample.parquet")
    with pytest.raises(EvaluationError, match="queue --by audit"):
        read_sample(tmp_path / "sample.parquet")


def test_read_sample_refuses_other_files(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(EvaluationError, match="no sample of an audit"):
        read_sample(tmp_path / "text.parquet")
    with pytest.raises(MissingInputError, match="no sample of an audit here"):
        read_sample(tmp_path / "none.parquet")


def test_audit_of_sample_weighs_read_clips_and_counts_the_others() -> None:
    cases = _cases()
    names = cases.case.tolist()
    labeled = cases.with_labels({names[0]: "A4C"})
    probabilities = cases.probabilities(cases.run_sets[0])
    views: dict[str, str | None] = {names[0]: None, names[1]: None}
    audit, unread = audit_of_sample(labeled, probabilities, AuditSample("audit", {names[0]: 0.2, names[1]: 0.5}, views))
    assert unread == 1
    assert audit.weight[:3].tolist() == [5.0, 0.0, 0.0]
    assert set(audit.stratum.tolist()) == {0}


def test_audit_of_sample_by_class_needs_the_predictions_of_the_draw() -> None:
    cases = _cases()
    name, probabilities = cases.case[0], cases.probabilities(cases.run_sets[0])
    predicted = cases.classes[int(probabilities[0].argmax())]
    labeled = cases.with_labels({name: "A4C"})
    audit, _ = audit_of_sample(labeled, probabilities, AuditSample("audit_by_class", {name: 0.5}, {name: predicted}))
    assert len(set(audit.stratum.tolist())) == len(cases.classes)
    with pytest.raises(EvaluationError, match="classes of other predictions"):
        audit_of_sample(labeled, probabilities, AuditSample("audit_by_class", {name: 0.5}, {name: "other"}))
    with pytest.raises(EvaluationError, match="no clip of the sample"):
        audit_of_sample(labeled, probabilities, AuditSample("audit", {"x": 0.5}, {"x": None}))
