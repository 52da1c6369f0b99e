"""Contents of the three screens that open the report: the answer by hospital, who was tested, and what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from heart2heart.reporting.next_steps import next_steps
from heart2heart.reporting.numbers import count, interval, join_words, percent, plural, points, signed
from heart2heart.reporting.participants import join_or_not_reported
from heart2heart.reporting.reader_sentences import describe_readers
from heart2heart.reporting.sentences import NOT_ABOVE_CHANCE, at_chance
from heart2heart.reporting.summary import SummarySection
from heart2heart.reporting.verdicts import CANNOT_BE_JUDGED, Verdict, judge_by_margin, judge_difference, judge_transfer
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.metrics import Comparison, MethodMetrics, Metrics, RunMetrics
from heart2heart.schema.predictions import Provenance
from heart2heart.schema.reader_agreement import ReaderAgreement
from heart2heart.schema.site_metrics import Estimate


@dataclass(frozen=True)
class AnswerRow:
    """One hospital on the first screen.

    Attributes:
        site: Name of the hospital.
        role: `source` or `held out`.
        patients: Number of scored patients.
        accuracy: Balanced accuracy with its own interval.
        loss: Loss from the source with the interval that holds for all comparisons at once.
        verdict: What that interval shows; None at the source.
        difference: Difference from the first method with such an interval; empty without a comparison.
        compared: What it shows; None without a comparison.
    """

    site: str
    role: str
    patients: int
    accuracy: str
    loss: str
    verdict: Verdict | None
    difference: str
    compared: Verdict | None


@dataclass(frozen=True)
class CohortRow:
    """One hospital on the second screen; counts are texts."""

    site: str
    role: str
    patients: str
    frames: str
    manufacturers: str
    raters: str


def answer_rows(method: MethodMetrics, final: Comparison | None, metrics: Metrics) -> list[AnswerRow]:
    """Return a row for every hospital, held-out ones first."""
    gaps = {gap.site: gap for gap in method.generalisation.gaps}
    chance_by_site = at_chance(method, metrics)
    rows = []
    for index, site in enumerate(metrics.sites):
        gap, verdict = gaps.get(site.site), None
        if gap is not None:
            verdict = judge_by_margin(gap, metrics.margin) if metrics.margin else judge_transfer(gap)
            verdict = NOT_ABOVE_CHANCE if site.site in chance_by_site else verdict
        elif site.held_out:
            verdict = CANNOT_BE_JUDGED
        compared = final.sites[index] if final else None
        rows.append(
            AnswerRow(
                site=site.site,
                role="held out" if site.held_out else "source",
                patients=site.clusters,
                accuracy=_accuracy(method.sites[index].balanced_accuracy),
                loss=_signed(gap.judged) if gap else "",
                verdict=verdict,
                difference=_signed(compared.judged) if compared else "",
                compared=judge_difference(compared) if compared else None,
            )
        )
    return sorted(rows, key=lambda row: row.role == "source")


def _accuracy(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"not estimable: {estimate.reason}"
    return f"{percent(estimate.value)} ({interval(estimate)})"


def _signed(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"not estimable: {estimate.reason}"
    if estimate.low is None:
        return f"{signed(estimate.value)} (no interval: {estimate.reason})"
    return f"{signed(estimate.value)} ({interval(estimate, sign=True)})"


def cohort_rows(provenance: Provenance, metrics: Metrics) -> list[CohortRow]:
    """Return a row for every hospital: how many of its patients and frames were scored, and who labeled them."""
    return [
        CohortRow(
            site=info.site,
            role="held out" if info.held_out else "source",
            patients=f"{count(site.clusters)} of {count(info.patients)}",
            frames=f"{count(site.frames)} of {count(info.frames)}",
            manufacturers=join_or_not_reported(info.makers),
            raters=join_or_not_reported(info.raters),
        )
        for info, site in zip(provenance.sites, metrics.sites, strict=True)
    ]


def study_facts(
    method: MethodMetrics, provenance: Provenance, metrics: Metrics, readers: ReaderAgreement | None = None
) -> list[tuple[str, str]]:
    """Return what a reader must know of model, training, split and intervals: pairs of title and text."""
    run = next(run for run in provenance.runs if run.run == method.runs[0])
    size = f", {count(run.parameters)} parameters" if run.parameters else ""
    times = "trained once" if len(method.runs) == 1 else f"trained with {len(method.runs)} seeds"
    source = join_words(provenance.split.source_sites)
    tests = metrics.simultaneous.tests if metrics.simultaneous else 1
    confidence = f"{100 * metrics.confidence:.0f} %"
    shared = "" if tests < 2 else f"; the intervals of losses and differences hold for all {tests} of them at once"
    return [
        ("Model", f"“{method.method}”: {run.network}{size}, {times}"),
        ("Trained at", source or "not reported"),
        ("Task", f"one of {len(metrics.classes)} views: {join_words(metrics.classes, last='or')}"),
        ("Checks", _describe_checks(provenance)),
        ("Readers", describe_readers(readers)),
        ("Intervals", f"{confidence}, over {metrics.unit}s{shared}"),
    ]


def _describe_checks(provenance: Provenance) -> str:
    counts = Counter(check.status for check in provenance.split.checks)
    text = f"{counts[CheckStatus.PASS]} of {len(provenance.split.checks)} checks for leaks passed"
    warned = [check.name.replace("_", " ") for check in provenance.split.checks if check.status is CheckStatus.WARN]
    return f"{text}; warnings: {join_words(warned)}" if warned else text


def opening(
    method: MethodMetrics,
    run: RunMetrics,
    final: Comparison | None,
    questions: tuple[SummarySection, ...],
    provenance: Provenance,
    metrics: Metrics,
    readers: ReaderAgreement | None = None,
) -> dict[str, object]:
    """Return the content of the first three screens, by name."""
    accurate, certain, fails, *better = questions
    return {
        "answer": accurate,
        "answer_rows": answer_rows(method, final, metrics),
        "better": better[0] if better else None,
        "cohort_rows": cohort_rows(provenance, metrics),
        "study_facts": study_facts(method, provenance, metrics, readers),
        "certain": certain,
        "fails": fails,
        "steps": next_steps(method, run, metrics),
    }


def inside(metrics: Metrics, provenance: Provenance) -> dict[str, str]:
    """Return for each folded section one line that says what is inside."""
    sites, methods = plural(len(metrics.sites), "hospital"), plural(len(metrics.methods), "model")
    kept = points(metrics.kept_on_validation)
    return {
        "hospitals": f"A card for each held-out hospital, and {methods} in one figure",
        "tested": "Training runs, manufacturers, dates, sex and age, mapping of labels to views",
        "inclusion": f"How files became scored frames at {sites}, with the reason of every exclusion",
        "results": "By frame, clip, study and view; losses from the source; predictive values and AUROC",
        "curves": f"ROC and precision-recall curves of each view at {sites}",
        "comparison": f"{methods} on the same frames, with differences paired by {metrics.unit}",
        "splits": "The same models over several splits and seeds",
        "confusion": f"What is mistaken for what at {sites}, by frame and by clip",
        "probabilities": "Whether 80 % confidence is right in 80 % of the frames, before and after temperature scaling",
        "selective": f"Errors that remain when the threshold that keeps {kept} % at the source is used",
        "outside": "How the model scores frames of views that it does not know",
        "shift": "Which views each hospital has, and how often",
        "subgroups": "Manufacturer, mode, image quality, sex and age, with joint intervals",
        "raters": "How well two readers agree, and the model with each of them",
        "shortcuts": "Accuracy with the scan blacked out and with another background",
        "stress": "Accuracy when gain, shadows, depth and other settings change",
        "frames": "Confident errors and correct predictions, with what the model looked at",
        "training": f"Learning curves of {plural(len(provenance.runs), 'run')}",
        "split": f"{plural(len(provenance.split.checks), 'check')} that no patient is in training and test",
        "methods": "How each number is computed, and the command that repeats it",
        "limitations": "What these results do not show",
        "checklists": "Reporting checklists, filled from the records",
        "hashes": "Hashes of predictions, split, configurations and code",
    }
