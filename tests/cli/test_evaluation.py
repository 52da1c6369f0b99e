"""The verb `report` with criteria: templates, registration, the decision in the terminal, and every bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app, main
from tests.evaluation.decision_studies import hospital, one_method

GOOD = "question: May it be used?\nwritten_by: A. Reader\n"


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", *map(str, words)])
    return result.exit_code, result.stdout if result.exception is None else f"{result.stdout}{result.exception}"


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predictions") / "predictions.parquet"
    one_method(hospital("good", 6.0), hospital("bad", 0.4)).write(path)
    return path


def test_report_writes_templates_and_registers_criteria(tmp_path: Path) -> None:
    criteria, study = tmp_path / "criteria.yaml", tmp_path / "study.yaml"
    assert run("--criteria-template", criteria) == (0, f"{criteria}\n")
    assert run("--about-template", study) == (0, f"{study}\n")
    for option, path in (("--criteria-template", criteria), ("--about-template", study)):
        code, text = run(option, path)
        assert code != 0
        assert "this file exists" in text
    criteria.write_text(criteria.read_text().replace('written_by: ""', "written_by: AB"))
    code, text = run("--register-criteria", criteria)
    assert code == 0
    assert "registered, " in text
    assert "already registered" in run("--register-criteria", criteria)[1]


def test_report_prints_and_writes_the_decision_of_each_hospital(predictions: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"{GOOD}balanced_accuracy: 70\npatients: 30\n")
    (tmp_path / "s.yaml").write_text("funding: A grant.\n")
    page = tmp_path / "report.html"
    code, text = run(
        predictions, "--accept", tmp_path / "c.yaml", "--about", tmp_path / "s.yaml", "--out", page, "--replicates", 100
    )
    assert code == 0
    assert "good: Use (criteria not registered). All criteria are shown: " in text
    assert "bad: Do not use. Missed: " in text
    assert "A grant. (study.yaml)" in page.read_text()
    record = json.loads(page.with_name("decision.json").read_text())
    assert [each["decision"] for each in record["hospitals"]] == ["use", "do_not_use"]
    assert page.with_name("decision.pdf").stat().st_size > 5000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{GOOD}balanced_accuracy: 120\n", "120 is not between 0 and 100"),
        (f"{GOOD}sensitivity: {{A9C: 80}}\n", "unknown class 'A9C'"),
        (f"{GOOD}loss: 5\nhospitals: [nowhere]\n", "unknown hospital 'nowhere'"),
        (f"{GOOD}loss: 5\nmethod: other\n", "unknown model 'other'"),
        (f"{GOOD}loss: registered\n", "there is none"),
        (f"{GOOD}patients: 10\npatients_of_rarest_class: 20\nloss: 5\n", "contradict each other"),
        (GOOD, "no criterion is set"),
        ("question: [", "not readable YAML"),
    ],
)
def test_report_ends_with_code_2_for_bad_criteria(
    predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content)
    page = tmp_path / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        words = ["heart2heart", "report", predictions, "--accept", path, "--out", page, "--replicates", 100]
        patch.setattr("sys.argv", [str(word) for word in words])
        with pytest.raises(SystemExit) as raised:
            main()
    assert raised.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not page.exists()


def test_report_needs_predictions() -> None:
    code, text = run()
    assert code != 0
    assert "no predictions to report" in text
