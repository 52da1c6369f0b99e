"""Tables of answers: one row a file, the same in CSV and Parquet, and no formula."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from heart2heart.errors import ConfigError
from heart2heart.prediction.answer_file import AnswerFile
from heart2heart.prediction.answer_tables import table_columns, write_answer_table
from heart2heart.schema.clip_answer import AnswerReason, AnswerStatus, ScopeScore
from heart2heart.schema.status import ClipFlag, StatusCode
from tests.prediction.samples import answer, failure, header


@pytest.fixture
def path(tmp_path: Path) -> Path:
    both = {"status": AnswerStatus.SET, "reason": AnswerReason.AMBIGUOUS, "views": ("A4C", "PLAX")}
    scope = ScopeScore(score="knn", value=0.5, threshold=2.0)
    with AnswerFile.open(tmp_path / "answers.jsonl", header()) as answers:
        answers.append([
            answer("=1+1.dcm", flags=(ClipFlag.NO_REGION, ClipFlag.SALVAGED), quality=0.5),
            answer("b.dcm", **both, scope=scope, coverage=0.9),
            failure("c.dcm", StatusCode.FAILED_UNREADABLE),
            failure("d.dcm", StatusCode.FAILED_TRUNCATED),
            answer("c.dcm"),
        ])  # fmt: skip
    return tmp_path / "answers.jsonl"


def test_write_answer_table_gives_one_row_a_file_in_both_forms(path: Path, tmp_path: Path) -> None:
    assert write_answer_table(path, tmp_path / "a.csv") == write_answer_table(path, tmp_path / "a.parquet") == 4
    with (tmp_path / "a.csv").open(newline="") as handle:
        texts = list(csv.DictReader(handle))
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert list(texts[0]) == list(rows[0]) == table_columns(header())
    assert [row["file"] for row in rows] == ["=1+1.dcm", "b.dcm", "d.dcm", "c.dcm"]
    assert [row["file"] for row in texts] == ["'=1+1.dcm", "b.dcm", "d.dcm", "c.dcm"]
    assert (
        [row["status"] for row in texts] == [row["status"] for row in rows] == ["answered", "set", "failed", "answered"]
    )
    assert (rows[1]["views"], texts[1]["views"]) == (["A4C", "PLAX"], "A4C | PLAX")
    assert (rows[0]["flags"], texts[0]["flags"]) == (["no_region", "salvaged"], "no_region | salvaged")
    assert (rows[2]["code"], texts[2]["code"], rows[2]["p_PLAX"], texts[2]["p_PLAX"]) == (
        "failed:truncated", "failed:truncated", None, "",
    )  # fmt: skip
    assert (rows[1]["scope_threshold"], texts[1]["scope_threshold"], rows[0]["scope_score"]) == (2.0, "2", None)
    assert {row["model_weights_sha256"] for row in rows} == {"a" * 64}


def test_write_answer_table_refuses_another_ending(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Known: \.csv, \.parquet"):
        write_answer_table(path, tmp_path / "a.xlsx")
    assert not (tmp_path / "a.xlsx").exists()
