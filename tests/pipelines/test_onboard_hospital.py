"""The way of a new hospital in small: every step, resumption, changed inputs and bad inputs."""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import heart2heart as h2h
from heart2heart.api import load_run
from heart2heart.errors import ConfigError, ExistsError, Heart2HeartError, LabelError, LeakageError, MissingInputError
from heart2heart.schema.onboarding import OnboardingRecord, StepName, StepState, read_onboarding
from heart2heart.testing import tiny_store
from heart2heart.training.train import train
from heart2heart.utils import sha256_json, write_text
from pipelines import onboard_hospital
from pipelines.command_line import run
from pipelines.onboard_hospital import main, onboard
from pipelines.onboarding_settings import OnboardingSettings
from tests.golden_hospital import write_hospital

CRITERIA = "question: May it be used?\nwritten_by: AB\nbalanced_accuracy: 60\npatients: 3\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an archive with labels, train a run at another hospital, and go the whole way in three calls."""
    folder = tmp_path_factory.mktemp("onboarding")
    write_hospital(folder / "archive", "A")
    (folder / "criteria.yaml").write_text(CRITERIA)
    write_text(folder / "hospital.key", sha256_json("a key that is the same in every run") + "\n", mode=0o600)
    train(tiny_store(folder).config(), folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onboard_hospital, "print", lambda *args, **kwargs: None, raising=False)
        onboard(_settings(folder))
        shutil.copytree(folder / "out", folder / "unlabeled")
        onboard(replace(_settings(folder), labels=folder / "archive.csv"))
        shutil.copytree(folder / "out", folder / "without_criteria")
        onboard(_whole(folder))
    return folder


@pytest.fixture
def here(study: Path, tmp_path: Path) -> Path:
    """Copy the study."""
    shutil.copytree(study, tmp_path / "copy")
    return tmp_path / "copy"


def _settings(folder: Path) -> OnboardingSettings:
    return OnboardingSettings(
        site="E",
        run=folder / "run",
        out=folder / "out",
        archive=folder / "archive",
        key=folder / "hospital.key",
        vocabulary="tmed2",
        studies=50,
        replicates=100,
        workers=1,
    )


def _whole(folder: Path) -> OnboardingSettings:
    return replace(_settings(folder), labels=folder / "archive.csv", criteria=folder / "criteria.yaml")


def _states(record: OnboardingRecord) -> list[str]:
    return [f"{step.name}: {step.state}" for step in record.steps]


def _finished(record: OnboardingRecord) -> dict[str, tuple[str, float]]:
    return {str(step.name): (step.finished, step.seconds) for step in record.steps}


def test_onboard_waits_for_labels_and_says_how_many(study: Path) -> None:
    record = read_onboarding(study / "unlabeled" / "onboarding.json")
    assert _states(record)[-2:] == ["queue: done", "label: waiting"]
    step = record.find(StepName.LABEL)
    assert step is not None
    queue = (study / "unlabeled" / "queue.csv").read_text().splitlines()
    assert {fact.name: fact.value for fact in step.facts}["clips to label"] == str(len(queue) - 1)
    assert any(command.startswith("heart2heart curate OUT/store") for command in step.next_commands)
    page = (study / "unlabeled" / "onboarding.html").read_text()
    assert "Labels: waiting for a person" in page
    assert page.count("not reached") == 2


def test_onboard_waits_for_criteria_before_the_test(study: Path) -> None:
    record = read_onboarding(study / "without_criteria" / "onboarding.json")
    assert _states(record)[-2:] == ["label: done", "validate: waiting"]
    assert record.validations == 0
    assert not (study / "without_criteria" / "validation").exists()


def test_onboard_ends_with_a_decision_by_registered_criteria(study: Path) -> None:
    record = read_onboarding(study / "out" / "onboarding.json")
    assert [step.state for step in record.steps] == [StepState.DONE] * 8
    decision = json.loads((study / "out" / "report" / "decision.json").read_text())
    assert [each["site"] for each in decision["hospitals"]] == ["E"]
    assert not decision["claim"]["after_look"]
    assert (study / "out" / "report" / "decision.pdf").read_bytes().startswith(b"%PDF")
    assert (record.validations, record.first_validated is not None) == (1, True)
    assert decision["hospitals"][0]["reason"] in (study / "out" / "onboarding.html").read_text().replace("&#39;", "'")


def test_onboard_never_scores_who_adapted_the_model(study: Path) -> None:
    from heart2heart.schema.predictions import Predictions

    record = load_run(study / "out" / "adapted").directory.record.adaptation
    assert record is not None
    predictions = Predictions.read(study / "out" / "validation" / "predictions.parquet")
    rows = [row for row in predictions.table.to_pylist() if row["site"] == "E"]
    assert rows
    assert not {row["patient"] for row in rows} & set(record.patients)
    assert {run.run for run in predictions.provenance.runs} == {"run", "adapted"}


def test_onboard_skips_what_is_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _finished(read_onboarding(here / "out" / "onboarding.json"))
    # The run of the copy is at another path, with the same content.
    assert _finished(onboard(_whole(here))) == before
    assert capsys.readouterr().out.count("unchanged") == 8


def test_onboard_goes_on_after_a_kill_within_a_step(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (here / "out" / "report" / "decision.json").read_text()
    shutil.rmtree(here / "out" / "report")

    def stop(*args: object, **kwargs: object) -> None:
        (here / "out" / "report").mkdir(exist_ok=True)
        (here / "out" / "report" / "report.html").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(h2h, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            onboard(_whole(here))
    record = read_onboarding(here / "out" / "onboarding.json")
    assert record.find(StepName.DECIDE) is None
    kept = _finished(record)
    assert {name: _finished(onboard(_whole(here)))[name] for name in kept} == kept
    assert (here / "out" / "report" / "decision.json").read_text() == whole


def test_onboard_decides_anew_by_changed_criteria_and_says_so(here: Path) -> None:
    before = _finished(read_onboarding(here / "out" / "onboarding.json"))
    (here / "criteria.yaml").write_text(CRITERIA.replace("60", "20"))
    record = onboard(_whole(here))
    after = _finished(record)
    assert {name for name in before if before[name] != after[name]} <= {"decide"}
    assert json.loads((here / "out" / "report" / "decision.json").read_text())["claim"]["after_look"]
    assert record.validations == 1


def test_onboard_ingests_new_files_and_keeps_what_does_not_depend_on_them(here: Path) -> None:
    before = read_onboarding(here / "out" / "onboarding.json")
    shutil.copy(here / "archive" / "study0" / "IM0.dcm", here / "archive" / "again.dcm")
    record = onboard(_whole(here))
    step = record.find(StepName.HEALTH)
    assert step is not None
    assert "excluded:duplicate" in {fact.name: fact.value for fact in step.facts}["files that were not accepted"]
    names = (StepName.ADAPT, StepName.QUEUE, StepName.VALIDATE, StepName.DECIDE)
    assert [record.find(name) == before.find(name) for name in names] == [True] * len(names)
    assert record.validations == 1


def test_onboard_validates_again_with_other_labels_and_counts_the_looks(here: Path) -> None:
    first = onboard(_whole(here))
    lines = (here / "archive.csv").read_text().splitlines()
    (here / "archive.csv").write_text("\n".join(line for line in lines if ",A2C," not in line) + "\n")
    record = onboard(_whole(here))
    step = record.find(StepName.VALIDATE)
    assert step is not None
    assert record.validations == first.validations + 1
    assert any(sentence.startswith(f"This is validation {record.validations} ") for sentence in step.missing)


def test_onboard_waits_until_the_queue_is_labeled(here: Path) -> None:
    shutil.rmtree(here / "out")
    shutil.copytree(here / "unlabeled", here / "out")
    store = here / "out" / "store"
    labels = h2h.LabelStore(here / "out" / "labels.db")
    h2h.import_labels(here / "archive.csv", labels, store, key=here / "hospital.key", vocabulary="tmed2")
    first = onboard(replace(_settings(here), criteria=here / "criteria.yaml")).find(StepName.LABEL)
    assert first is not None
    assert first.state is StepState.WAITING  # two patients of the hospital have no label
    facts = {fact.name: fact.value for fact in first.facts}
    assert 0 < int(facts["clips labeled"]) < int(facts["clips to label"])


def _other_labels(folder: Path) -> OnboardingSettings:
    (folder / "other.csv").write_text("clip,view\n0123456789abcdef,PLAX\n")
    return replace(_whole(folder), labels=folder / "other.csv")


def _other_store(folder: Path) -> OnboardingSettings:
    event = h2h.LabelStore(folder / "out" / "scored.db").events()[0]
    h2h.LabelStore(folder / "other.db").append([replace(event, clip="0123456789abcdef")])
    return replace(_whole(folder), labels=folder / "other.db")


def _criteria(folder: Path, text: str) -> OnboardingSettings:
    (folder / "other.yaml").write_text(CRITERIA + text)
    return replace(_whole(folder), criteria=folder / "other.yaml")


def _margin(folder: Path) -> OnboardingSettings:
    from heart2heart.api import register_margin

    register_margin(folder / "margin.json", margin=5, question="May it be used?", registered_by="AB")
    return replace(_criteria(folder, "loss: 8\n"), margin=folder / "margin.json")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda f: replace(_whole(f), archive=f / "none"), MissingInputError, "no archive here"),
        (lambda f: replace(_whole(f), archive=None), ConfigError, "an archive or a store"),
        (lambda f: replace(_whole(f), archive=f), ConfigError, "in the archive"),
        (lambda f: replace(_whole(f), site="A"), LeakageError, "'A' trained this model"),
        (lambda f: replace(_whole(f), site="F"), ExistsError, "hospital 'E'"),
        (lambda f: replace(_whole(f), run=f / "none"), MissingInputError, "none"),
        (lambda f: replace(_whole(f), labels=f / "none.csv"), MissingInputError, "no such file"),
        (
            lambda f: replace(_whole(f), archive=None, filled_store=f / "out" / "store", site="G"),
            MissingInputError,
            "There are: E",
        ),
        (_other_labels, LabelError, "clip"),
        (_other_store, LabelError, "no label names a clip of this store"),
        (lambda f: _criteria(f, "patients_of_rarest_class: 9\n"), ConfigError, "contradict"),
        (lambda f: _criteria(f, "hospitals: [F]\n"), ConfigError, "not about E"),
        (lambda f: _criteria(f, "loss: registered\n"), ConfigError, "there is none"),
        (lambda f: _criteria(f, "sensitivity: {TEE: 80}\n"), Heart2HeartError, "TEE"),
        (_margin, ConfigError, "contradicts the registered margin"),
    ],
)
def test_onboard_refuses_bad_input(here: Path, change: object, error: type[Heart2HeartError], text: str) -> None:
    assert callable(change)
    with pytest.raises(error, match=text) as raised:
        onboard(change(here))
    assert raised.value.exit_code == 2


def test_onboard_keeps_a_second_process_out(here: Path) -> None:
    with (here / "out" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ExistsError, match="another process"):
            onboard(_whole(here))


def test_onboard_records_a_step_that_failed(here: Path) -> None:
    with pytest.raises(LabelError):
        onboard(_other_store(here))
    step = read_onboarding(here / "out" / "onboarding.json").find(StepName.LABEL)
    assert step is not None
    assert step.state is StepState.FAILED
    page = (here / "out" / "onboarding.html").read_text()
    assert "Labels: failed" in page
    assert "out of date" in page


def test_main_ends_with_exit_code_2_and_no_trace(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--archive", str(here / "none"), "--site", "E", "--run", str(here / "run"), "--out", str(here / "new")]
    monkeypatch.setattr(sys, "argv", ["onboard_hospital", *options])
    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: no archive here")


def test_main_takes_every_option(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "archive": here / "archive", "key": here / "hospital.key", "site": "E",
        "run": here / "run", "out": here / "out", "vocabulary": "tmed2",
        "labels": here / "archive.csv", "criteria": here / "criteria.yaml", "studies": 50, "replicates": 100,
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", ["onboard_hospital", *words])
    with pytest.raises(SystemExit) as stop:
        run(main)
    assert stop.value.code == 0
    assert capsys.readouterr().out.count("unchanged") == 8
