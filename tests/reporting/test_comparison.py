"""The comparison report: its sentences follow from folds.json, and a browser shows its numbers."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.comparison import comparison_pairs
from heart2heart.evaluation.cross_split import evaluate_folds
from heart2heart.reporting import comparison_sentences
from heart2heart.reporting.comparison import PLAIN, REFERENCE, WITH_ADDITION, series_of, write_comparison
from heart2heart.schema.margin import RegisteredMargin
from heart2heart.schema.metrics_files import FoldMethod, FoldMetrics, write_folds
from heart2heart.schema.predictions import MethodFacts, Predictions
from heart2heart.schema.site_metrics import Estimate
from tests.evaluation.factory import HOSPITALS, make_predictions, with_rows
from tests.evaluation.test_cross_split import noisy, split_of
from tests.reporting.test_browser import visit

NAMES = ("labels only", "FixMatch", "FixMatch + Fix-A-Step")
FACTS = {
    NAMES[0]: MethodFacts(base="labels_only", title="labels only", unlabeled=False),
    NAMES[1]: MethodFacts(base="fixmatch", title="FixMatch"),
    NAMES[2]: MethodFacts(base="fixmatch", title="FixMatch", mixing=True, rule="fix_a_step"),
}


def _three(seed: int) -> Predictions:
    """Return three methods of one fold: the reference, a noisy base method, and a better method that extends it."""
    original = make_predictions(hospitals=HOSPITALS[:3])
    worse = noisy(original, seed)
    renamed = []
    for predictions, kept, name in ((original, 0, NAMES[0]), (worse, 1, NAMES[1]), (original, 1, NAMES[2])):
        run = predictions.provenance.runs[kept]
        table = predictions.table.to_pylist()
        rows = [row | {"run": name} for row in table if row["run"] == run.run]
        provenance = predictions.provenance.model_copy(
            update={"runs": (run.model_copy(update={"run": name, "method": name, "facts": FACTS[name]}),)}
        )
        renamed.append(
            Predictions(type(predictions.table).from_pylist(rows, schema=predictions.table.schema), provenance)
        )
    return Predictions.concat(renamed)


@pytest.fixture(scope="module")
def folds() -> FoldMetrics:
    return evaluate_folds([split_of(_three(seed), seed) for seed in (1, 2)], replicates=400)


@pytest.fixture(scope="module")
def page(folds: FoldMetrics, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(folds, tmp_path_factory.mktemp("comparison") / "comparison.html")


def _estimate(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=10, clusters=40, few_clusters=False)


def _means(values: dict[str, float], folds: FoldMetrics) -> list[FoldMethod]:
    return [
        folds.methods[0].model_copy(update={"method": name, "held_out": _estimate(value)})
        for name, value in values.items()
    ]


def test_comparison_pairs_compares_each_pair_once(folds: FoldMetrics) -> None:
    assert [(each.reference, each.candidate) for each in folds.comparisons] == [
        (NAMES[0], NAMES[1]), (NAMES[0], NAMES[2]), (NAMES[1], NAMES[2]),
    ]  # fmt: skip
    methods = _means({"a": 0.5, "b": 0.7, "c": 0.6, "b + x": 0.4}, folds)
    assert comparison_pairs(methods) == [
        ("a", "b"),
        ("a", "c"),
        ("a", "b + x"),
        ("c", "b"),
    ]  # not by title
    methods[-1] = methods[-1].model_copy(update={"extends": "b", "addition": "x"})
    assert comparison_pairs(methods) == [("a", "b"), ("a", "c"), ("a", "b + x"), ("b", "b + x"), ("c", "b")]
    assert comparison_sentences.with_additions(folds) == [folds.comparisons[2]]
    assert [series_of(folds, name) for name in NAMES] == [REFERENCE, PLAIN, WITH_ADDITION]


def test_comparison_headline_names_a_best_method_only_if_its_interval_excludes_zero(folds: FoldMetrics) -> None:
    best, second = comparison_sentences.ranked(folds)[:2]
    assert (best.held_out.value or 0) >= (second.held_out.value or 0)
    for low, expected in ((0.01, "is the best method"), (-0.01, "No method is shown to be the best")):
        lead = Estimate(value=0.02, low=low, high=0.05, n=1, clusters=40, few_clusters=False)
        changed = [
            each.model_copy(update={"held_out": lead, "simultaneous": None})
            if (each.reference, each.candidate) == (second.method, best.method)
            else each
            for each in folds.comparisons
        ]
        text = comparison_sentences.comparison_headline(folds.model_copy(update={"comparisons": tuple(changed)}))
        assert expected in text
        assert best.method in text
    # A lead that is absent in one fold is not reported as shown, whatever its interval.
    lead = Estimate(value=0.02, low=0.01, high=0.05, n=1, clusters=40, few_clusters=False)
    fold = next(iter(folds.splits))
    behind = tuple(
        site.model_copy(update={"by_fold": site.by_fold | {fold: 0.0}}) if site.held_out else site
        for site in best.sites
    )
    changed = [each.model_copy(update={"held_out": lead, "simultaneous": None}) for each in folds.comparisons]
    methods = [each.model_copy(update={"sites": behind}) if each == best else each for each in folds.methods]
    text = comparison_sentences.comparison_headline(
        folds.model_copy(update={"comparisons": tuple(changed), "methods": tuple(methods)})
    )
    assert "No method is shown" in text
    assert "it is ahead in 1 of 2 folds" in text
    assert "Ahead in 2 of 2 folds." in comparison_sentences.findings(folds)[-1]
    # If the two methods are exchanged, the sign of the difference and of its limits changes.
    forth = comparison_sentences.compared(folds, NAMES[0], NAMES[2])
    back = comparison_sentences.compared(folds, NAMES[2], NAMES[0])
    assert forth is not None
    assert back is not None
    assert (back.value, back.low, back.high) == (-(forth.value or 0), -(forth.high or 0), -(forth.low or 0))
    assert comparison_sentences.compared(folds, NAMES[0], "nobody") is None


def test_comparison_headline_of_one_method_and_of_no_held_out_hospital(folds: FoldMetrics, tmp_path: Path) -> None:
    alone = folds.model_copy(update={"methods": folds.methods[:1], "comparisons": ()})
    assert "No other method was evaluated" in comparison_sentences.comparison_headline(alone)
    nothing = Estimate(value=None, low=None, high=None, n=0, clusters=0, few_clusters=True, reason="no hospital")
    bare = alone.model_copy(update={"methods": (folds.methods[0].model_copy(update={"held_out": nothing}),)})
    assert "No method can be ranked" in comparison_sentences.comparison_headline(bare)
    text = write_comparison(bare, tmp_path / "bare.html").read_text(encoding="utf-8")
    assert "No method can be ranked" in text


def test_comparison_headline_ranks_no_method_at_chance(folds: FoldMetrics) -> None:
    chance = Estimate(value=0.3, low=0.25, high=0.4, n=9, clusters=40, few_clusters=False)
    guessing = [method.model_copy(update={"held_out": chance}) for method in folds.methods]
    text = comparison_sentences.comparison_headline(folds.model_copy(update={"methods": tuple(guessing)})).replace(
        "\xa0", " "
    )
    assert text.startswith("No method is shown to exceed chance (25.0 %). The highest, ")
    assert "reaches 30.0 % (25.0 to 40.0) balanced accuracy" in text
    assert "exceed chance" not in comparison_sentences.comparison_headline(folds)


def test_write_comparison_is_self_contained_and_small(page: Path, folds: FoldMetrics) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text) < 1_500_000
    assert "SYNTHETIC DATA" in text
    assert not re.search(r"(?:src|href)=[\"'](?!#|data:)", text)
    assert text == write_comparison(folds, page.with_name("again.html")).read_text(encoding="utf-8")
    names = [
        name
        for figure in re.findall(r"<svg.*?</svg>", text, re.DOTALL)
        for name in re.findall(r'\bid="([^"]+)', figure)
    ]
    assert len(names) == len(set(names))


def test_write_comparison_shows_every_number_in_a_browser(page: Path, folds: FoldMetrics, tmp_path: Path) -> None:
    seen = visit(page, tmp_path)
    assert seen.console == []
    assert seen.requests == []
    text = unescape(seen.document).replace("\xa0", " ")
    for method in folds.methods:
        for value in (*(site.balanced_accuracy for site in method.sites), method.held_out):
            assert value.value is not None
            assert value.low is not None
            assert value.high is not None
            assert f"{100 * value.value:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})" in text
    for row in folds.comparisons[2].sites:
        assert row.p_holm is not None
        shown = "< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}"
        assert shown in text


def test_compare_verb_reads_folds_json_alone(folds: FoldMetrics, tmp_path: Path) -> None:
    write_folds(folds, tmp_path / "folds.json")
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "folds.json"), "--out", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("SYNTHETIC")
    assert comparison_sentences.comparison_headline(folds) in done.output
    assert (tmp_path / "page.html").exists()
    (tmp_path / "other.json").write_text('{"schema_version": 99}')
    failed = CliRunner().invoke(app, ["compare", str(tmp_path / "other.json")])
    assert isinstance(failed.exception, EvaluationError)
    assert failed.exception.exit_code == 2


def test_describe_counts_comparisons_if_a_hospital_occurs_twice(folds: FoldMetrics) -> None:
    once = folds.comparisons[0]
    assert comparison_sentences.describe(once, 3).endswith("for all 3 comparisons of this page at once.")
    turned = tuple(site.model_copy(update={"held_out": not site.held_out}) for site in once.sites)
    twice = once.model_copy(update={"sites": once.sites + turned})
    assert comparison_sentences.describe(twice, 6).endswith("for all 6 comparisons of this page at once.")


def test_write_comparison_judges_by_the_margin(tmp_path: Path) -> None:
    margin = RegisteredMargin(margin=30, question="?", registered_by="AB", registered="2032-01-01T00:00:00+00:00")
    late = evaluate_folds([split_of(_three(1), 1)], replicates=100, margin=margin)
    assert comparison_sentences.findings(late)[-1].endswith(
        "A margin that is chosen after the results confirms nothing."
    )
    text = unescape(write_comparison(late, tmp_path / "comparison.html").read_text(encoding="utf-8"))
    assert "(margin registered after the look)." in text


def test_write_comparison_takes_the_words_of_the_task(tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:2], seeds=(0, 1))
    provenance = predictions.provenance
    runs = tuple(
        run.model_copy(update={"facts": run.facts.model_copy(update={"base": "table"})}) for run in provenance.runs
    )
    known = with_rows(predictions, [row for row in predictions.table.to_pylist() if row["truth"] in provenance.classes])
    severity = Predictions(known.table, provenance.model_copy(update={"task": "severity", "runs": runs}))
    folds = evaluate_folds([severity, split_of(severity, 1)], replicates=100)
    assert (folds.task, folds.cases) == ("severity", True)
    text = write_comparison(folds, tmp_path / "comparison.html").read_text(encoding="utf-8")
    visible = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)
    assert not re.search(r"\b(views?|frames?|echocardiograms?)\b", visible, re.IGNORECASE)
    assert "averaged over the severity classes of the hospital" in visible
    plain = write_comparison(folds.model_copy(update={"task": "view", "cases": False}), tmp_path / "views.html")
    assert "averaged over the views of the hospital" in plain.read_text(encoding="utf-8")
