"""The record of an onboarding: order of the steps, and files that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import MissingInputError, StoreError
from heart2heart.schema.onboarding import OnboardingRecord, StepName, StepRecord, StepState, read_onboarding


def _step(name: StepName, state: StepState = StepState.DONE) -> StepRecord:
    return StepRecord(name=name, state=state, summary="Done.")


@given(st.lists(st.sampled_from(list(StepName))))
def test_with_step_keeps_the_order_and_one_record_a_step(names: list[StepName]) -> None:
    record = OnboardingRecord(site="E", model="run", code_version="0")
    for name in names:
        record = record.with_step(_step(name))
    assert [step.name for step in record.steps] == [name for name in StepName if name in names]
    for name in names:
        assert record.without_step(name).find(name) is None


def test_with_step_replaces_an_older_record() -> None:
    record = OnboardingRecord(site="E", model="run", code_version="0").with_step(_step(StepName.PLAN))
    step = record.with_step(_step(StepName.PLAN, StepState.FAILED)).find(StepName.PLAN)
    assert step is not None
    assert step.state is StepState.FAILED


def test_read_onboarding_returns_what_was_written(tmp_path: Path) -> None:
    record = OnboardingRecord(site="E", model="run", code_version="0").with_step(_step(StepName.INGEST))
    (tmp_path / "onboarding.json").write_text(record.model_dump_json())
    assert read_onboarding(tmp_path / "onboarding.json") == record


@pytest.mark.parametrize(
    ("content", "text"),
    [("{", "not readable"), ("[]", "schema version"), ('{"schema_version": 9}', "schema version")],
)
def test_read_onboarding_refuses_other_files(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "onboarding.json").write_text(content)
    with pytest.raises(StoreError, match=text):
        read_onboarding(tmp_path / "onboarding.json")


def test_read_onboarding_names_a_damaged_or_missing_record(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_onboarding(tmp_path / "none.json")
    content = OnboardingRecord(site="E", model="run", code_version="0").model_dump() | {"steps": [{"name": "other"}]}
    (tmp_path / "onboarding.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match="steps"):
        read_onboarding(tmp_path / "onboarding.json")
