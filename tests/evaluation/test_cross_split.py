"""Several splits: means, spreads and paired differences against an independent computation from the rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.cross_split import evaluate_folds
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.margin import RegisteredMargin, judge_margin
from heart2heart.schema.metrics_files import FoldMetrics, read_folds, write_folds
from heart2heart.schema.predictions import Predictions
from tests.evaluation.factory import HOSPITALS, certify, make_predictions


def split_of(predictions: Predictions, number: int, *, held_out: str | None = None) -> Predictions:
    """Return the predictions under another split; `held_out` names its only held-out hospital."""
    provenance = predictions.provenance
    split = certify(provenance.split.model_copy(update={"name": f"fold-{number}", "sha256": f"{number:02d}" * 32}))
    sites = provenance.sites
    if held_out:
        names = [info.site for info in provenance.sites]
        split = split.model_copy(
            update={"source_sites": tuple(n for n in names if n != held_out), "held_out_sites": (held_out,)}
        )
        sites = tuple(info.model_copy(update={"held_out": info.site == held_out}) for info in sites)
    return Predictions(predictions.table, provenance.model_copy(update={"split": split, "sites": sites}))


def noisy(predictions: Predictions, seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    rows = predictions.table.to_pylist()
    for row in rows:
        row["logits"] = (np.array(row["logits"]) + rng.normal(0, 1, 4)).tolist()
    return Predictions(
        type(predictions.table).from_pylist(rows, schema=predictions.table.schema), predictions.provenance
    )


@pytest.fixture(scope="module")
def both() -> list[Predictions]:
    predictions = make_predictions(seeds=(0, 1), hospitals=HOSPITALS[:2])
    return [split_of(predictions, 0), split_of(noisy(predictions, 1), 1)]


@pytest.fixture(scope="module")
def folds(both: list[Predictions]) -> FoldMetrics:
    return evaluate_folds(both, replicates=400)


def test_evaluate_folds_averages_splits_and_seeds(both: list[Predictions], folds: FoldMetrics) -> None:
    single = [evaluate_predictions(each, replicates=100) for each in both]
    for method_index, method in enumerate(folds.methods):
        for site_index, site in enumerate(method.sites):
            means = [each.methods[method_index].sites[site_index].balanced_accuracy.value or 0 for each in single]
            assert list(site.by_fold.values()) == pytest.approx(means)
            assert site.balanced_accuracy.value == pytest.approx(np.mean(means))
            assert site.folds.standard_deviation == pytest.approx(np.std(means, ddof=1))
            runs = [
                [run.sites[site_index].balanced_accuracy.value or 0 for run in each.runs if run.method == method.method]
                for each in single
            ]
            apart = np.concatenate([np.array(values) - np.mean(values) for values in runs])
            assert site.seeds.standard_deviation == pytest.approx(np.sqrt((apart**2).sum() / 2))
            assert site.balanced_accuracy.low is not None
    assert folds.methods[0].held_out.value == folds.methods[0].sites[1].balanced_accuracy.value
    assert folds.methods[0].runs == 4


def test_evaluate_folds_pairs_splits_and_seeds(both: list[Predictions], folds: FoldMetrics) -> None:
    comparison = folds.comparisons[0]
    for index, row in enumerate(comparison.sites):
        values = [method.sites[index].balanced_accuracy.value or 0 for method in folds.methods]
        assert row.difference.value == pytest.approx(values[1] - values[0])
        assert row.pairs.n == 4
        assert row.p_holm is not None
        assert row.p is not None
        assert row.p_holm >= row.p
    # The same predictions under two split names: the same patients are resampled, so the interval does not shrink.
    twice = evaluate_folds([both[0], split_of(both[0], 7)], replicates=400)
    once = evaluate_folds([both[0]], replicates=400)
    for a, b in zip(twice.methods[0].sites, once.methods[0].sites, strict=True):
        assert a.balanced_accuracy.low == pytest.approx(b.balanced_accuracy.low)
        assert a.balanced_accuracy.clusters == b.balanced_accuracy.clusters


def test_evaluate_folds_separates_held_out_and_source() -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:2])
    folds = evaluate_folds(
        [split_of(predictions, 0, held_out="north"), split_of(predictions, 1, held_out="east")],
        replicates=100,
        bca=True,
    )
    assert [(site.site, site.held_out) for site in folds.methods[0].sites] == [
        ("east", False), ("north", False), ("east", True), ("north", True),
    ]  # fmt: skip
    held = [site.balanced_accuracy.value or 0 for site in folds.methods[0].sites if site.held_out]
    assert folds.methods[0].held_out.value == pytest.approx(np.mean(held))


def test_evaluate_folds_refuses_predictions_that_cannot_be_combined(both: list[Predictions]) -> None:
    with pytest.raises(EvaluationError, match="of the same split"):
        evaluate_folds([both[0], both[0]], replicates=100)
    provenance = both[1].provenance
    other = Predictions(both[1].table, provenance.model_copy(update={"geometry": "centred/1"}))
    with pytest.raises(EvaluationError, match="different geometry"):
        evaluate_folds([both[0], other], replicates=100)
    renamed = tuple(run.model_copy(update={"method": f"other {run.method}"}) for run in provenance.runs)
    with pytest.raises(EvaluationError, match="no method was run on every split"):
        evaluate_folds(
            [both[0], Predictions(both[1].table, provenance.model_copy(update={"runs": renamed}))], replicates=100
        )
    with pytest.raises(EvaluationError, match="too few"):
        evaluate_folds(both, replicates=10)


def test_write_folds_and_folds_verb(both: list[Predictions], folds: FoldMetrics, tmp_path: Path) -> None:
    write_folds(folds, tmp_path / "folds.json")
    assert read_folds(tmp_path / "folds.json") == folds
    content = json.loads((tmp_path / "folds.json").read_text())
    (tmp_path / "folds.json").write_text(json.dumps(content | {"schema_version": 9}))
    with pytest.raises(EvaluationError, match="another schema version"):
        read_folds(tmp_path / "folds.json")
    paths = [str(tmp_path / f"{index}.parquet") for index in range(2)]
    for path, each in zip(paths, both, strict=True):
        each.write(Path(path))
    done = CliRunner().invoke(app, ["folds", *paths, "--out", str(tmp_path / "out.json"), "--replicates", "400"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("SYNTHETIC")
    assert read_folds(tmp_path / "out.json") == folds


def test_read_folds_accepts_version_1(folds: FoldMetrics, tmp_path: Path) -> None:
    content = folds.model_dump(mode="json") | {"schema_version": 1}
    for method, title in zip(content["methods"], ("VAT", "VAT + Fix-A-Step"), strict=True):
        del method["extends"], method["addition"]
        method["method"] = title
    path = tmp_path / "folds.json"
    path.write_text(json.dumps(content))
    first, second = read_folds(path).methods
    assert (first.extends, first.addition) == (None, None)
    assert (second.extends, second.addition) == ("VAT", "Fix-A-Step")
    path.write_text(json.dumps({"schema_version": 1, "methods": 3}))
    with pytest.raises(EvaluationError, match="damaged"):
        read_folds(path)


def test_evaluate_folds_judges_differences_by_the_margin(both: list[Predictions]) -> None:
    margin = RegisteredMargin(margin=20, question="?", registered_by="AB", registered="2031-11-30T10:00:00+00:00")
    folds = evaluate_folds(both, replicates=100, margin=margin)
    assert folds.margin is not None
    assert not folds.margin.after_look
    assert folds.simultaneous is not None
    assert folds.simultaneous.tests == len(folds.comparisons[0].sites) + 1
    for row in folds.comparisons[0].sites:
        assert row.simultaneous is not None
        assert row.simultaneous.low is not None
        assert row.simultaneous.high is not None
        assert row.margin is judge_margin(-row.simultaneous.high, -row.simultaneous.low, 0.2)
        assert row.p is not None
        assert row.p_joint is not None
        assert row.p <= row.p_joint
    assert evaluate_folds(both, replicates=100).margin is None
