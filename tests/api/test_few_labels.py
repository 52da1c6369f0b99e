"""Few labels end to end: a queue draws the audit, a table of labels comes back, and the estimates are written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from heart2heart.api.cases import read_audit_labels, read_cases
from heart2heart.api.conformal import conformal_sets
from heart2heart.api.few_labels import audit_accuracy
from heart2heart.api.monitoring import PICTURES, add_week, measure_pictures, start_monitor
from heart2heart.api.queue import make_queue
from heart2heart.errors import ConfigError, EvaluationError, MissingInputError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run


@pytest.fixture(scope="module")
def drawn(tiny: TinyStore, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw an audit of the tiny store, and label every drawn clip with the predicted view."""
    folder = tmp_path_factory.mktemp("audit")
    queue = make_queue(
        tiny.store, folder / "audit.parquet", budget=8, by="audit", run=run, frames="even:2",
        predictions=folder / "pool.parquet",
    )  # fmt: skip
    rows = queue.table.to_pylist()
    lines = ["clip,truth", *(f"{row['clip']},{row['view']}" for row in rows)]
    (folder / "read.csv").write_text("\n".join(lines))
    events = [LabelEvent(row["clip"], "", row["view"], "reader", "", "page") for row in rows]
    LabelStore(folder / "labels.db").append(events)
    return folder


def test_audit_accuracy_joins_sample_labels_and_predictions(drawn: Path) -> None:
    cases = read_cases(drawn / "pool.parquet")
    site = cases.sites[0]
    rows = pq.read_table(drawn / "audit.parquet").to_pylist()
    report = audit_accuracy(
        drawn / "pool.parquet", drawn / "audit.parquet", drawn / "read.csv", site=site, out=drawn / "audit.json"
    )
    assert report.audited_clips == sum(row["site"] == site for row in rows)
    assert (report.draw, report.unread, report.outside) == ("audit", 0, 0)
    assert report.clips == len(cases.at(site))
    assert json.loads((drawn / "audit.json").read_text())["kind"] == "audit"
    same = audit_accuracy(drawn / "pool.parquet", drawn / "audit.parquet", drawn / "labels.db", site=site)
    assert same == report


def test_audit_accuracy_refuses_several_hospitals_and_other_clips(drawn: Path, tmp_path: Path) -> None:
    if len(read_cases(drawn / "pool.parquet").sites) > 1:
        with pytest.raises(EvaluationError, match="several hospitals"):
            audit_accuracy(drawn / "pool.parquet", drawn / "audit.parquet", drawn / "read.csv")
    (tmp_path / "other.csv").write_text("clip,truth\nnone,A4C\n")
    with pytest.raises(EvaluationError, match="none of these cases has a label"):
        audit_accuracy(
            drawn / "pool.parquet",
            drawn / "audit.parquet",
            tmp_path / "other.csv",
            site=read_cases(drawn / "pool.parquet").sites[0],
        )


def test_make_queue_refuses_limits_that_change_a_draw(tiny: TinyStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="an audit is a random draw"):
        make_queue(tiny.store, tmp_path / "audit.csv", budget=4, by="audit", per_patient=1)
    with pytest.raises(ConfigError, match="predictions need a model"):
        make_queue(tiny.store, tmp_path / "audit.csv", budget=4, by="audit", predictions=tmp_path / "pool.csv")


def test_read_audit_labels_refuses_contradictions(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,view\na,A4C\nb,\na,PLAX\n")
    with pytest.raises(EvaluationError, match=r"another label before: .*row 4"):
        read_audit_labels(path)
    path.write_text("name,view\na,A4C\n")
    with pytest.raises(EvaluationError, match="lacks a column"):
        read_audit_labels(path)
    with pytest.raises(MissingInputError):
        read_audit_labels(tmp_path / "none.db")


def test_read_cases_refuses_what_is_no_prediction(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no predictions here"):
        read_cases(tmp_path)
    (tmp_path / "predictions.parquet").write_text("damaged")
    with pytest.raises(EvaluationError, match="damaged"):
        read_cases(tmp_path)


def test_conformal_sets_write_the_set_of_every_clip(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = ["case,patient,site,truth,A4C,PLAX"]
    for index in range(80):
        chance = generator.uniform(0.5, 1)
        truth, first = ("A4C", chance) if index % 2 else ("PLAX", 1 - chance)
        rows.append(f"c{index},p{index // 2},{'A' if index < 40 else 'E'},{truth},{first:.4f},{1 - first:.4f}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    report = conformal_sets(
        tmp_path / "table.csv", site="E", calibration=tmp_path / "table.csv", calibration_site="A",
        recalibrate=(10,), sets=tmp_path / "sets.csv", out=tmp_path / "conformal.json",
    )  # fmt: skip
    lines = (tmp_path / "sets.csv").read_text().splitlines()
    assert lines[0] == "site,case,size,set"
    assert len(lines) == 41
    assert [line.calibrated_on for line in report.coverage] == ["A", "E, 10 patients"]
    assert json.loads((tmp_path / "conformal.json").read_text())["patients"] == 20
    with pytest.raises(ConfigError, match="no score is called"):
        conformal_sets(tmp_path / "table.csv", score="best")
    with pytest.raises(EvaluationError, match="no hospital of the training"):
        conformal_sets(tmp_path / "table.csv")


def test_measure_pictures_reads_the_clips_of_a_store(drawn: Path, tiny: TinyStore) -> None:
    cases = read_cases(drawn / "pool.parquet")
    measured = measure_pictures(tiny.store, cases)
    assert list(measured) == list(PICTURES)
    assert all(len(values) == len(cases) for values in measured.values())
    with pytest.raises(EvaluationError, match="none of these clips"):
        measure_pictures(tiny.store, replace(cases, case=np.full(len(cases), "another", object)))


def test_start_monitor_and_add_week_need_patients_and_the_same_classes(tmp_path: Path) -> None:
    rows = [f"c{i},p{i},E,{0.5 + i / 100},{0.5 - i / 100}" for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["case,patient,site,A4C,PLAX", *rows]))
    (tmp_path / "few.csv").write_text("\n".join(["case,patient,site,A4C,PLAX", *rows[:5]]))
    (tmp_path / "other.csv").write_text("\n".join(["case,patient,site,A4C,PSAX", *rows]))
    (tmp_path / "nobody.csv").write_text("file,frame,view,A4C,PLAX\na.dcm,,A4C,0.9,0.1\n")
    journal = tmp_path / "monitor.jsonl"
    with pytest.raises(EvaluationError, match="5 patients; 20 are needed"):
        start_monitor(journal, tmp_path / "few.csv")
    with pytest.raises(ConfigError, match="false_alarms"):
        start_monitor(journal, tmp_path / "a.csv", false_alarms=2)
    assert not journal.exists()
    start_monitor(journal, tmp_path / "a.csv")
    with pytest.raises(EvaluationError, match="other classes"):
        add_week(journal, tmp_path / "other.csv", "2026-W01")
    with pytest.raises(EvaluationError, match="name no patients"):
        add_week(journal, tmp_path / "nobody.csv", "2026-W01")
    with pytest.raises(ConfigError, match="no ISO week"):
        add_week(journal, tmp_path / "few.csv", "week 1")
