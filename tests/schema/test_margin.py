"""A registered margin: its hash, its time, and its three verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, EvaluationError, ExistsError, MissingInputError, StoreError
from heart2heart.schema.margin import MarginVerdict, RegisteredMargin, judge_margin, read_margin, register_margin


def margin(registered: str = "2026-03-01T12:00:00+00:00") -> RegisteredMargin:
    return RegisteredMargin(margin=5, question="May it be used?", registered_by="AB", registered=registered)


def test_register_margin_and_read_margin_agree(tmp_path: Path) -> None:
    path = tmp_path / "margin.json"
    written = register_margin(path, margin=5, question="May it be used?", registered_by="AB")
    assert read_margin(path) == written
    with pytest.raises(ExistsError, match="already registered"):
        register_margin(path, margin=10, question="May it be used?", registered_by="AB")
    assert read_margin(path).margin == 5


@pytest.mark.parametrize("value", [-3.0, 0.0, 100.0, 150.0, float("nan"), float("inf")])
def test_register_margin_refuses_impossible_values(tmp_path: Path, value: float) -> None:
    with pytest.raises(ConfigError, match="impossible"):
        register_margin(tmp_path / "margin.json", margin=value, question="?", registered_by="AB")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("question", "registered_by"), [("", "AB"), ("?", " ")])
def test_register_margin_refuses_empty_texts(tmp_path: Path, question: str, registered_by: str) -> None:
    with pytest.raises(ConfigError, match="needs a text"):
        register_margin(tmp_path / "margin.json", margin=5, question=question, registered_by=registered_by)


@pytest.mark.parametrize(
    "change", [{"margin": 9.0}, {"registered": "2020-01-01T00:00:00+00:00"}, {"sha256": "0" * 64}, {"extra": 1}]
)
def test_read_margin_refuses_a_changed_file(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "margin.json"
    register_margin(path, margin=5, question="?", registered_by="AB")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EvaluationError, match="changed after it was registered"):
        read_margin(path)


def test_read_margin_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_margin(tmp_path / "absent.json")
    (tmp_path / "text").write_text("margin: 5")
    with pytest.raises(StoreError):
        read_margin(tmp_path / "text")
    (tmp_path / "list").write_text("[5]")
    with pytest.raises(EvaluationError, match="no registered margin"):
        read_margin(tmp_path / "list")


@pytest.mark.parametrize(
    ("look", "after"),
    [("2026-03-01T11:59:59+00:00", True), ("2026-03-01T12:00:00Z", True), ("2026-03-01T12:00:01+00:00", False),
     ("2026-03-01T12:30:00+01:00", True), ("2026-03-01", True), ("", True), ("yesterday", True)],
)  # fmt: skip
def test_registered_after_compares_times_and_distrusts_what_it_cannot_read(look: str, after: bool) -> None:
    assert margin().registered_after(look) is after


def test_registered_margin_needs_a_time_zone() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        RegisteredMargin.parse(margin().model_dump() | {"registered": "2026-03-01T12:00:00"}, where="test")


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.001, 0.999))
def test_judge_margin_claims_only_what_the_whole_interval_shows(low: float, width: float, fraction: float) -> None:
    high = low + width
    verdict = judge_margin(low, high, fraction)
    assert (verdict is MarginVerdict.CARRIES_OVER) == (high < fraction)
    assert (verdict is MarginVerdict.LOSES_MORE) == (low > fraction and high >= fraction)
