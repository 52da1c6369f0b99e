"""`decision.json` is read as it was written, and other files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.schema.criteria import Criteria, claim_criteria
from heart2heart.schema.decision import DecisionRecord, Ranking, read_decision


def record() -> DecisionRecord:
    criteria = Criteria(question="Use?", written_by="AB", loss=5)
    return DecisionRecord(
        method="model", model_sha256=None, configs_sha256={}, predictions_sha256="0", split_sha256="", predicted="",
        code_version="0", synthetic=True, unit="patient", task="view", claim=claim_criteria(criteria, ""),
        loss_limit=0.05, each=0.95, intervals=1, hospitals=(), notes=(),
    )  # fmt: skip


def test_read_decision_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "decision.json"
    path.write_text(record().model_dump_json())
    assert read_decision(path) == record()
    with pytest.raises(MissingInputError):
        read_decision(tmp_path / "absent.json")


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"hospitals": [{}]}, {"extra": 1}])
def test_read_decision_refuses_other_files(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(json.loads(record().model_dump_json()) | change))
    with pytest.raises(EvaluationError):
        read_decision(path)


@pytest.mark.parametrize(("low", "sufficient"), [(None, False), (0.89, False), (0.9, True)])
def test_ranking_is_sufficient_with_its_whole_interval(low: float | None, sufficient: bool) -> None:
    assert Ranking(class_name="A4C", auroc=0.95, low=low, needed=0.9).sufficient is sufficient
