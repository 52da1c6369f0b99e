"""A study as data: order of its jobs, verdicts of its controls, its tables, its plan, and a whole miniature."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from heart2heart.errors import ConfigError, MissingInputError, RunError
from heart2heart.training.algorithms import ALGORITHMS
from pipelines import study
from pipelines.study_controls import banner, check_preconditions
from pipelines.study_design import StudyDesign
from pipelines.study_engine import lock_study
from pipelines.study_measures import balanced_accuracy, confusion, pseudo_label_measures
from pipelines.study_plan import cost_text, job_costs, pooled_deviation, power_text
from pipelines.study_report import compare, compare_averages, family_size, report
from pipelines.study_schedules import SCHEDULES, schedule_of
from pipelines.study_statistics import detectable_effect
from tests.pipelines.test_mismatch import _images

PUBLISHED = Path(study.__file__).parent / "studies" / "uncurated_fashion.yaml"
WAYS = ("supervised_mixup", "fixmatch", "fixmatch+fix_a_step")


def _design(**changes: Any) -> StudyDesign:
    content: dict[str, Any] = {
        "title": "Miniature", "tasks": {"garments": {"dataset": "fashion-mnist", "labels": 4}}, "ways": WAYS,
        "levels": (0, 100), "seeds": 2,
    }  # fmt: skip
    return StudyDesign.parse(content | changes, where="test")


def _lines(design: StudyDesign, scores: dict[str, float], *, passes: float = 5.0) -> list[dict[str, Any]]:
    """Return invented lines: the score of a way, or of a way and a control, plus a tenth of a point a seed."""
    lines = []
    for job in design.jobs(Path("out")):
        pool = job.protocol in ("pure", "noise") or job.way.startswith("fixmatch")
        score = scores.get(f"{job.way} {job.protocol}", scores.get(job.way, 50.0)) + 0.1 * job.seed
        table = [[8, 2, 0, 0, 0, 0], *([0] * index + [10] + [0] * (5 - index) for index in range(1, 6))]
        measures = {"pool_pass_rate": 0.5, "pool_precision": None} if pool else {}
        lines.append(
            job.key()
            | {"balanced_accuracy": score / 100, "confusion": table, "pool": 900 if pool else 0, "conflict_rate": None}
            | {"pool_passes": passes if pool else 0.0, "cpu_seconds": 30.0, **measures}
        )
    return lines


def test_jobs_come_seed_by_seed_with_controls_first_and_no_pool_twice() -> None:
    design = _design()
    jobs = design.jobs(Path("out"))
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)
    first = [(job.protocol, job.way) for job in jobs if job.seed == 0]
    assert first[:3] == [("pure", "fixmatch"), ("noise", "fixmatch"), ("shuffled", "labels_only")]
    pools = [(job.protocol, job.level) for job in jobs if job.seed == 0 and job.way == "fixmatch+fix_a_step"]
    assert pools == [("replace", 0), ("replace", 100), ("add", 100)]  # at level 0 both protocols are one
    assert sum(way == "supervised_mixup" for _, way in first) == sum(way == "labels_only" for _, way in first[3:]) == 1
    assert len({json.dumps(job.key()) for job in jobs}) == len({job.path for job in jobs}) == len(jobs)
    alone = [job.key() for job in _design(seeds=1).jobs(Path("out"))]
    assert alone == [job.key() for job in jobs[: len(jobs) // 2]]  # further seeds change no job


def test_study_design_of_the_repository_is_the_study_of_the_issue() -> None:
    design = StudyDesign.load(PUBLISHED)
    jobs = design.jobs(Path("out"))
    assert len(jobs) == 8 * 2 * (3 + 3 + 4 * 5)
    budget = {(job.config.steps, job.config.batch.labeled, job.config.batch.unlabeled) for job in jobs}
    assert budget == {(2500, 32, 128)}
    assert {(job.config.selection, job.config.batch_norm_record) for job in jobs} == {("last", "clean")}
    assert family_size(design) == 2 * (6 * 5 + 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": (30,)}, "no level of mismatch is 30 %"),
        ({"comparisons": (("fixmatch", "uda"),)}, "uda is compared or set"),
        ({"ways": ("fixmatch+nothing",)}, "no part of a way"),
        ({"tuning": {"grid": {"optimiser.lr": [0.1, 0.2]}}}, "give both the same number"),
    ],
    ids=["level", "comparison", "way", "tuning"],
)
def test_study_design_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _design(**changes)


GOOD = {"labels_only": 60.0, "supervised_mixup": 61.0, "fixmatch pure": 66.0, "fixmatch noise": 60.0,
        "labels_only shuffled": 17.0}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "name", "outcome"),
    [
        ({}, "positive control over labels_only", "holds"),
        ({"fixmatch pure": 61.0}, "positive control over labels_only", "fails"),
        ({"supervised_mixup": 66.0}, "positive control over supervised_mixup", "fails"),
        ({}, "negative control", "holds"),
        ({"fixmatch noise": 64.0}, "negative control", "fails"),
        ({"fixmatch noise": 40.0}, "negative control", "holds"),
        ({}, "shuffled labels", "holds"),
        ({"labels_only shuffled": 40.0}, "shuffled labels", "fails"),
        ({}, "learning happened", "holds"),
        ({"labels_only": 20.0}, "learning happened", "fails"),
        ({}, "the pool was seen", "holds"),
    ],
    ids=[
        "pool helps", "pool does not help", "mixing helps as much", "noise does nothing", "noise helps", "noise hurts",
        "at chance", "above chance", "learned", "not learned", "seen",
    ],
)  # fmt: skip
def test_check_preconditions_of_invented_lines(changes: dict[str, float], name: str, outcome: str) -> None:
    design = _design(seeds=4)
    verdicts = check_preconditions(design, _lines(design, GOOD | changes))
    assert {verdict.name: verdict.outcome for verdict in verdicts}[name] == outcome


def test_check_preconditions_without_lines_or_with_few_are_open_and_short_runs_fail() -> None:
    design = _design(seeds=1)
    assert {verdict.outcome for verdict in check_preconditions(design, [])} == {"open"}
    one = check_preconditions(design, _lines(design, GOOD))
    assert {verdict.outcome for verdict in one if verdict.name != "the pool was seen"} == {"open"}
    short = check_preconditions(design, _lines(design, GOOD, passes=0.6))
    assert {verdict.name for verdict in short if verdict.outcome == "fails"} == {"the pool was seen"}


def test_report_has_a_failed_precondition_on_top_of_every_table() -> None:
    design = _design(seeds=3)
    whole, failed = (report(design, _lines(design, GOOD | {"fixmatch noise": score})) for score in (60.0, 65.0))
    assert "**A precondition fails.**" not in whole
    assert whole.count("Every precondition holds.") == 5
    assert failed.count("**A precondition fails.** garments, negative control") == 5
    assert "T-shirt for trouser 20 %" in failed
    assert banner([]) == ["Every precondition holds.", ""]


def test_compare_pairs_by_seed_and_reads_the_shared_pool_once() -> None:
    design = _design(seeds=3)
    lines = _lines(design, GOOD | {"fixmatch": 64.0, "fixmatch replace": 63.0, "fixmatch add": 62.0})
    tests = compare(design, lines)
    assert len(tests) == family_size(design) == 2 * 3 + 1
    assert tests["garments", "fixmatch", "labels_only", "replace", 0].interval.mean == pytest.approx(3.0)
    assert tests["garments", "fixmatch", "labels_only", "add", 100].interval.mean == pytest.approx(2.0)
    page = report(design, lines)
    row = next(line for line in page.splitlines() if line.startswith("| fixmatch minus labels_only | 3.0"))
    assert row.count("3.0 (3.0 to 3.0)") == 3  # level 0 of `add` is that of `replace`
    averages = compare_averages(design, lines)
    assert len(averages) == 2 * 2  # two ways with a pool, two protocols; mixing of labels alone has no level
    assert averages["garments", "fixmatch", "labels_only", "add"].interval.mean == pytest.approx(2.5)
    assert any("2.5 (2.5 to 2.5), p 0.000" in line and line.endswith("n = 3 |") for line in page.splitlines())


def test_job_costs_take_the_median_of_finished_lines_else_a_calibration() -> None:
    kinds = ["a", "b", "a", "a", "c"]
    lines = [{"cpu_seconds": 10.0}, None, {"cpu_seconds": 30.0}, None, {"seconds": 7.0}]
    costs = {cost.kind: cost for cost in job_costs(kinds, lines, lambda index: 100.0 + index)}
    assert (costs["a"].jobs, costs["a"].missing, costs["a"].seconds) == (3, 1, 20.0)
    assert (costs["b"].seconds, costs["b"].source) == (101.0, "calibrated")
    assert costs["c"].seconds == 7.0
    text = cost_text(list(costs.values()), 2, datetime(2026, 1, 1, 12, 0))
    assert "5 jobs, 2 to do: 0.0 core-hours; with 2 cores of its own the study ends at 2026-01-01 12:01." in text
    unknown = job_costs(["a"], [None])
    assert "without a" in cost_text(unknown, 1)


def test_power_text_states_the_detectable_effect_of_the_family() -> None:
    differences = [{0: 1.0, 1: 3.0, 2: 2.0}, {0: 0.0, 1: 0.0}, {0: 9.0}]
    assert np.array(pooled_deviation(differences)) == pytest.approx(np.array([np.sqrt(2 / 3), 3]))
    assert pooled_deviation([{0: 1.0}]) is None
    text = power_text(2.0, "stated beforehand", 8, 20)
    assert f"{detectable_effect(2.0, 8):.1f} points in one comparison" in text
    assert f"{detectable_effect(2.0, 8, tests=20):.1f} in a family of 20" in text
    assert "| 2 | 10 | " in text


def test_pseudo_label_measures_and_confusion_agree_with_scikit_learn_and_count_unseen_classes() -> None:
    rng = np.random.default_rng(0)
    truth, logits = rng.integers(0, 4, 200), rng.normal(size=(200, 4)) * 3
    predicted = logits.argmax(1)
    counts = confusion(truth, predicted, 4)
    assert counts == confusion_matrix(truth, predicted, labels=range(4)).tolist()
    assert balanced_accuracy(counts) == pytest.approx(balanced_accuracy_score(truth, predicted))
    probabilities, known = softmax(logits, axis=1), np.where(rng.random(200) < 0.3, -1, truth)
    kept = [index for index in range(200) if probabilities[index].max() >= 0.8]
    measures = pseudo_label_measures(probabilities, known, 0.8)
    assert measures["pool_pass_rate"] == pytest.approx(len(kept) / 200)
    assert measures["pool_precision"] == pytest.approx(np.mean([predicted[index] == known[index] for index in kept]))
    assert measures["pool_foreign_rate"] == pytest.approx(np.mean([known[index] == -1 for index in kept]))
    assert pseudo_label_measures(probabilities, known, 1.1)["pool_precision"] is None


def test_schedule_of_names_methods_and_their_share_of_the_run() -> None:
    assert set(SCHEDULES) <= set(ALGORITHMS)
    assert all(0 <= each.ramp < 1 and each.source for each in SCHEDULES.values())
    assert schedule_of("vat").settings(1000)["unlabeled_weight"] == {"value": 0.3, "ramp": 400}
    assert schedule_of("unknown").settings(10)["schedule"] == {"name": "cosine"}


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    _images(folder / "images")
    budget = "budget: {steps: 4, labeled: 8, unlabeled: 8, blocks: 1, shrink: 2, validation: 4}"
    (folder / "design.yaml").write_text(
        f"title: Miniature\ntasks: {{one: {{dataset: fashion-mnist, labels: 6}}}}\nways: [fixmatch]\nlevels: [0]\n"
        f"protocols: [replace]\nseeds: 1\n{budget}\ncontrols: {{noise: 40}}\n"
        "settings: {selection: last, batch_norm_record: clean, augmentation: {labeled: null}}\n"
    )
    study.main(folder / "design.yaml", folder / "images", folder / "out", workers=1)
    return folder


def test_main_runs_a_miniature_and_continues_it(miniature: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = miniature / "out"
    text = (out / "results.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["protocol"], line["way"]) for line in lines] == [
        ("pure", "fixmatch"), ("noise", "fixmatch"), ("shuffled", "labels_only"), ("replace", "labels_only"),
        ("replace", "fixmatch"),
    ]  # fmt: skip
    for line in lines:
        assert np.sum(line["confusion"]) == 36  # six test images of six classes
        assert 0 <= line["balanced_accuracy"] <= 1
        assert {"split_sha256", "config_sha256", "seconds", "cpu_seconds", "device"} <= set(line)
        assert (line["pool"] > 0) == (line["way"] == "fixmatch")
    noise = lines[1]
    assert noise["pool_passes"] == pytest.approx(4 * 8 / 40)
    assert noise["pool_foreign_rate"] in (None, 1.0)
    assert not list((out / "runs").glob("*"))  # the line is what stays of a run
    assert (out / "results.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = (out / "results.md").read_text()
    assert "**A precondition fails.** one, the pool was seen" in page
    outcomes = {
        each["name"]: each["outcome"] for each in json.loads((out / "results.json").read_text())["preconditions"]
    }
    assert outcomes["the pool was seen"] == "fails"
    (out / "results.jsonl").write_text("".join(text.splitlines(keepends=True)[:-1]) + text.splitlines()[-1][:30])
    capsys.readouterr()
    study.main(miniature / "design.yaml", miniature / "images", out, workers=1)
    again = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [line["confusion"] for line in again] == [line["confusion"] for line in lines]  # the same run, bit for bit
    study.main(miniature / "design.yaml", None, out, only_report=True)
    assert capsys.readouterr().out.rstrip().endswith(page.rstrip())


def test_main_plans_and_refuses(miniature: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.main(miniature / "design.yaml", None, miniature / "none", plan=True, workers=2)
    text = capsys.readouterr().out
    assert "5 jobs, 5 to do" in text
    assert text.count("calibrated") == 4
    assert "Paired standard deviation 2.00 points (stated beforehand)" in text
    with pytest.raises(ConfigError, match="no images are named"):
        study.main(miniature / "design.yaml", None, miniature / "none")
    with pytest.raises(MissingInputError):
        study.main(miniature / "none.yaml", None, miniature / "none")
    with lock_study(miniature / "out" / "study.lock"), pytest.raises(RunError, match="another process"):
        study.main(miniature / "design.yaml", miniature / "images", miniature / "out", workers=1)
