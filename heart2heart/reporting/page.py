"""Collects the content of the report's templates, and selects its sample frames; this module computes no metric."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from heart2heart.evaluation.class_curves import class_curves
from heart2heart.reporting import figures
from heart2heart.reporting.checklist import SECTIONS
from heart2heart.reporting.checklists import make_checklists
from heart2heart.reporting.class_curves import class_legend, site_curves
from heart2heart.reporting.curves import learning_figures
from heart2heart.reporting.decision_section import decision_section
from heart2heart.reporting.fairness_sentences import describe_subgroups, judge_subgroup
from heart2heart.reporting.figures import InspectedRun, stress_figures
from heart2heart.reporting.forest import NARROW, WIDE, ForestBlock, ForestLine, accuracy_blocks, forest
from heart2heart.reporting.gallery import GALLERY_RULE, choose_tiles
from heart2heart.reporting.limitations import limitations
from heart2heart.reporting.participants import demographics, inclusion_flow, label_vocabularies
from heart2heart.reporting.reader_sentences import describe_readers
from heart2heart.reporting.screens import inside, opening
from heart2heart.reporting.sections import comparison_section, cross_split_section, describe_blocks, site_cards
from heart2heart.reporting.sentences import headline
from heart2heart.reporting.summary import summary
from heart2heart.reporting.svg import MARKER_SIGNS, SERIES
from heart2heart.schema.decision import DecisionRecord
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.metrics import Metrics, RandomEffects
from heart2heart.schema.metrics_files import FoldMetrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.reader_agreement import ReaderAgreement
from heart2heart.schema.saliency import Saliency
from heart2heart.schema.site_metrics import Estimate
from heart2heart.schema.study import Study
from heart2heart.schema.validation import TrainingData


def pooled(predictions: Predictions, runs: Collection[str]) -> list[str]:
    """Return the held-out hospitals whose unlabeled frames were in the training pool of these runs."""
    provenance = predictions.provenance
    if not any(run.facts.unlabeled for run in provenance.runs if run.run in runs):
        return []
    transductive = {site for run in provenance.runs if run.run in runs for site in run.facts.transductive}
    return [
        info.site
        for info in provenance.sites
        if info.held_out and (info.roles.get(SplitRole.UNLABELED) or info.site in transductive)
    ]


def not_compared(metrics: Metrics) -> bool:
    """Return whether the training data of a validated model were not seen, or only in part."""
    return metrics.training_data in (TrainingData.NOT_SEEN, TrainingData.NAMES_COMPARED)


def report_content(
    predictions: Predictions,
    metrics: Metrics,
    folds: FoldMetrics | None = None,
    *,
    decision: DecisionRecord | None = None,
    study: Study | None = None,
    readers: ReaderAgreement | None = None,
    saliency: Saliency | None = None,
) -> dict[str, Any]:
    """Return the content of the templates, by name.

    Args:
        predictions: Predictions with their provenance.
        metrics: Their metrics.
        folds: Metrics over several splits.
        decision: The decision by criteria, the first section of the page; None: no decision.
        study: Texts of the authors for the checklists.
        readers: Agreement of readers and model; None: not given.
        saliency: What the model looked at in the pictures; None: not computed.
    """
    provenance = predictions.provenance
    method = metrics.methods[-1]
    last_comparison = metrics.comparisons[-1] if metrics.comparisons else None
    by_name = {run.run: run for run in metrics.runs}
    inspected_methods = sorted({0, len(metrics.methods) - 1})
    details = [
        InspectedRun(index, metrics.methods[index], by_name[metrics.methods[index].runs[0]])
        for index in inspected_methods
    ]
    inspected = details[-1]
    questions = summary(method, inspected.run, last_comparison, metrics)
    curves = learning_figures(provenance.runs, metrics)
    absent = {"comparison": not metrics.comparisons, "splits": folds is None, "training": not curves}
    absent |= {"decision": decision is None}
    return {
        "decision": decision_section(decision) if decision else None,
        "sections": {name: title for name, title in SECTIONS.items() if not absent.get(name, False)},
        "section_titles": SECTIONS,
        "checklists": make_checklists(provenance, metrics, study),
        "provenance": provenance,
        "metrics": metrics,
        "evaluated_method": method,
        "details": details,
        "inspected": inspected,
        **opening(method, inspected.run, last_comparison, questions, provenance, metrics, readers),
        "readers": readers,
        "readers_sentence": describe_readers(readers),
        "inside": inside(metrics, provenance),
        "better_than": metrics.methods[0].method,
        "headline": headline(method, metrics, pooled(predictions, method.runs)),
        "summary": questions,
        "cards": site_cards(method, last_comparison, inspected.run, metrics),
        "signs": [MARKER_SIGNS[index % len(MARKER_SIGNS)] for index in range(len(metrics.methods))],
        "series": [index % len(SERIES) + 1 for index in range(len(metrics.methods))],
        "chance": 1 / len(metrics.classes),
        "forest_wide": _forest(metrics, "wide", WIDE),
        "forest_narrow": _forest(metrics, "narrow", NARROW),
        "comparisons": [
            comparison_section(index, comparison, metrics) for index, comparison in enumerate(metrics.comparisons)
        ],
        "cross_split": cross_split_section(folds) if folds else None,
        "inclusion_flows": [
            (info, inclusion_flow(info, site, metrics.unit))
            for info, site in zip(provenance.sites, metrics.sites, strict=True)
        ],
        "demographics": demographics(predictions),
        "label_vocabularies": {info.site: label_vocabularies(info) for info in provenance.sites},
        "label_views": _label_views(metrics, [info.labels for info in provenance.sites]),
        "votes": figures.votes(details, metrics),
        "reliability": figures.reliability(details, metrics),
        "risk_coverage": figures.risk_coverage(details, metrics),
        "label_shift": figures.label_shift(inspected, metrics),
        "open_set": figures.open_set(details, metrics),
        "stratum_order": figures.stratum_order,
        "strata": figures.strata(details, metrics),
        "judge_subgroup": judge_subgroup,
        "subgroup_sentence": describe_subgroups(inspected.run),
        "probes": figures.probes(details, metrics),
        "alterations": figures.ALTERATIONS,
        "stress": stress_figures(details, metrics),
        "curves": curves,
        "class_curves": site_curves(class_curves(predictions, inspected.run.run), inspected.run, metrics.classes),
        "class_legend": class_legend(metrics.classes),
        "gallery": choose_tiles(predictions, inspected.run.run, saliency),
        "saliency": saliency,
        "gallery_rule": GALLERY_RULE,
        "limitations": [
            *([metrics.training_data_note] if metrics.training_data_note and not_compared(metrics) else []),
            *limitations(metrics, provenance),
        ],
        "not_compared": not_compared(metrics),
        "synthetic_sites": [site.site for site in metrics.sites if site.synthetic],
    }


def _forest(metrics: Metrics, name: str, width: float) -> str:
    blocks = [*accuracy_blocks(metrics), *_summary_blocks(metrics)]
    described = f"Forest plot of balanced accuracy by hospital. {describe_blocks(blocks)}"
    return forest(blocks, f"forest-{name}", described, width=width, reference=1 / len(metrics.classes))


def _summary_blocks(metrics: Metrics) -> list[ForestBlock]:
    """Return the mean over held-out hospitals and, with five or more, the prediction interval of one more hospital."""
    generalisations = [method.generalisation for method in metrics.methods]
    if len(generalisations[0].gaps) < 2:
        return []
    mean = tuple(ForestLine(generalisation.mean, series) for series, generalisation in enumerate(generalisations))
    blocks = [ForestBlock("Mean", f"unweighted, {len(generalisations[0].gaps)} held-out hospitals", mean)]
    prediction_intervals = [_prediction(generalisation.random_effects) for generalisation in generalisations]
    lines = tuple(ForestLine(estimate, series) for series, estimate in enumerate(prediction_intervals) if estimate)
    return [*blocks, ForestBlock("One more hospital", "prediction interval", lines)] if lines else blocks


def _prediction(effects: RandomEffects) -> Estimate | None:
    if effects.mean is None or effects.prediction_low is None or effects.prediction_high is None:
        return None
    return Estimate(
        value=effects.mean,
        low=effects.prediction_low,
        high=effects.prediction_high,
        n=effects.sites,
        clusters=effects.sites,
        few_clusters=False,
    )


def _label_views(metrics: Metrics, labels: list[dict[str, int]]) -> list[str]:
    """Return every labeled view: the scored views in their order, then the others."""
    others = sorted({view for counts in labels for view in counts} - set(metrics.classes))
    return [*metrics.classes, *others]
