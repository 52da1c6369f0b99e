"""Criteria: the template, impossible and contradicting limits, and the registration by hash and time."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from heart2heart.errors import ConfigError, EvaluationError, ExistsError, Heart2HeartError, MissingInputError
from heart2heart.schema.criteria import (
    MAX_BYTES,
    Criteria,
    claim_criteria,
    criteria_template,
    read_criteria,
    register_criteria,
)


def write(path: Path, **keys: object) -> Path:
    path.write_text(yaml.safe_dump({"question": "Use?", "written_by": "AB", "balanced_accuracy": 80} | keys))
    return path


def test_criteria_template_names_every_key_and_needs_only_an_author(tmp_path: Path) -> None:
    path = tmp_path / "criteria.yaml"
    path.write_text(criteria_template())
    keys = set(yaml.safe_load(criteria_template()))
    assert keys == set(Criteria.model_fields) - {"registration"}
    assert all("#" in line for line in criteria_template().splitlines() if not line.startswith("schema_version"))
    with pytest.raises(ConfigError, match="written_by"):
        read_criteria(path)
    path.write_text(criteria_template().replace('written_by: ""', "written_by: AB"))
    assert read_criteria(path).sensitivity == 75


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"balanced_accuracy": 101}, "balanced_accuracy: 101 is not between 0 and 100"),
        ({"sensitivity": {"A4C": 120}}, "120 is not between"),
        ({"sensitivity": 0}, "0 is not between"),
        ({"loss": 100}, "100 is not between"),
        ({"loss": "soon"}, "loss"),
        ({"calibration": -1}, "-1 is not between"),
        ({"power": 100}, "100 is not between"),
        ({"patients": 0}, "patients"),
        ({"patients": 20, "patients_of_rarest_class": 30}, "contradict each other"),
        ({"patients": 300, "most_patients": 200}, "contradict"),
        ({"balanced_accuracy": None}, "no criterion is set"),
        ({"written_by": " "}, "write a text"),
        ({"question": "a\u0007"}, "cannot be printed"),
        ({"minimum": 80}, "unknown key"),
        ({"interval": "wide"}, "interval"),
        ({"balanced_accuracy": float("nan")}, "balanced_accuracy"),
    ],
)
def test_read_criteria_refuses_what_cannot_be_met_or_contradicts(
    tmp_path: Path, keys: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_criteria(write(tmp_path / "criteria.yaml", **keys))
    assert "criteria.yaml" in str(raised.value.where)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "error"),
    [("- a", ConfigError), ("a: [", ConfigError), ("#" * (MAX_BYTES + 1), ConfigError), ("", ConfigError),
     ("schema_version: 2\nquestion: Q\nwritten_by: A\nloss: 5", EvaluationError)],
)  # fmt: skip
def test_read_criteria_refuses_other_files(tmp_path: Path, content: str, error: type[Heart2HeartError]) -> None:
    path = tmp_path / "criteria.yaml"
    path.write_text(content)
    with pytest.raises(error):
        read_criteria(path)
    with pytest.raises(MissingInputError, match="criteria-template"):
        read_criteria(tmp_path / "absent.yaml")


def test_register_criteria_keeps_the_file_and_refuses_a_second_time(tmp_path: Path) -> None:
    path = tmp_path / "criteria.yaml"
    text = criteria_template().replace('written_by: ""', "written_by: AB")
    path.write_text(text)
    before = read_criteria(path)
    registered = register_criteria(path)
    assert path.read_text().startswith(text)
    assert registered.registration is not None
    assert registered.registration.sha256 == before.content_sha256() == registered.content_sha256()
    assert registered.model_copy(update={"registration": None}) == before
    with pytest.raises(ExistsError, match="already registered"):
        register_criteria(path)


@pytest.mark.parametrize(
    ("old", "new"), [("balanced_accuracy: 85", "balanced_accuracy: 60"), ("\n  sha256: '", "\n  sha256: '0")]
)
def test_read_criteria_refuses_a_change_after_the_registration(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "criteria.yaml"
    path.write_text(criteria_template().replace('written_by: ""', "written_by: AB"))
    register_criteria(path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(EvaluationError, match="changed after they were registered"):
        read_criteria(path)


def test_claim_criteria_says_whether_they_came_before_the_result(tmp_path: Path) -> None:
    criteria = read_criteria(write(tmp_path / "criteria.yaml"))
    unregistered = claim_criteria(criteria, "2026-01-01T00:00:00Z")
    assert unregistered.after_look
    assert "not registered" in unregistered.note()
    registered = register_criteria(tmp_path / "criteria.yaml")
    late, early, unknown = (
        claim_criteria(registered, look) for look in ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "")
    )
    assert (late.after_look, early.after_look, unknown.after_look) == (True, False, True)
    assert "written after the result" in late.note()
    assert "before the model was first tested (2100-01-01)" in early.note()
    assert "unknown date" in unknown.note()
    assert late.sha256 == criteria.content_sha256()
