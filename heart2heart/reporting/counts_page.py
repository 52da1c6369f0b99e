"""Writes the report on several hospitals from their released counts, as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.evaluation.task_words import TaskWords
from heart2heart.reporting.decision_section import decision_section
from heart2heart.reporting.forest import NARROW, WIDE, accuracy_blocks, forest
from heart2heart.reporting.numbers import count
from heart2heart.reporting.sections import comparison_section, describe_blocks
from heart2heart.reporting.sentences import count_tests, describe_gap, headline
from heart2heart.reporting.svg import MARKER_SIGNS, SERIES
from heart2heart.reporting.verdicts import Verdict, describe_margin, judge_by_margin, judge_transfer
from heart2heart.reporting.writer import render
from heart2heart.schema.counts import SMALLEST_CELL, ClassCounts, Hidden, HospitalCounts, RunCounts
from heart2heart.schema.decision import DecisionRecord
from heart2heart.schema.metrics import Metrics, SiteGap
from heart2heart.schema.pooled import PooledMetrics
from heart2heart.schema.site_metrics import Estimate
from heart2heart.schema.validation import TrainingData
from heart2heart.utils import write_text

FEW = f"fewer than {SMALLEST_CELL}"
HIDDEN = "hidden"


@dataclass(frozen=True)
class HospitalRow:
    """One hospital in the first table.

    Attributes:
        site: The hospital.
        role: `source` or `held out`.
        patients: Number of patients, or that it is hidden.
        frames: Number of scored frames, or that it is hidden.
        accuracies: Balanced accuracy by method.
        verdict: Verdict on the last method; None at the source.
        sentences: What the counts show, for readers.
    """

    site: str
    role: str
    patients: str
    frames: str
    accuracies: tuple[Estimate, ...]
    verdict: Verdict | None
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class ClassRow:
    """One class at one hospital: counts as texts, and the sensitivity by method."""

    name: str
    patients: str
    frames: str
    sensitivities: tuple[Estimate, ...]


@dataclass(frozen=True)
class Matrix:
    """Confusion matrix of one run at one hospital: rows of texts by true class."""

    site: str
    run: str
    rows: tuple[tuple[str, ...], ...]


def write_counts_page(pooled: PooledMetrics, out: Path, *, decision: DecisionRecord | None = None) -> Path:
    """Write the report on pooled counts.

    Args:
        pooled: From `pool_counts`.
        out: HTML file to write.
        decision: The decision by criteria, the first section of the page; None: no decision.

    Returns:
        `out`.

    Examples:
        >>> from heart2heart.api.validation_tables import certified_table
        >>> from heart2heart.evaluation.pooling import pool_counts
        >>> from heart2heart.evaluation.release import release_counts
        >>> lines = [f"{i},p{i // 2},E,{'ab'[i % 2]},0.{1 + i % 9},0.{9 - i % 9}" for i in range(60)]
        >>> _ = Path("page.csv").write_text(chr(10).join(["case,patient,site,truth,a,b", *lines]))
        >>> options = {"task": "severity", "name": None, "synthetic": True, "command": "example"}
        >>> counts = release_counts(certified_table(Path("page.csv"), None, **options))
        >>> "From counts" in write_counts_page(pool_counts(counts), Path("page.html")).read_text()
        True
    """
    first = pooled.counts[0]
    words = TaskWords(first.task, all(run.model_sha256 is None for run in first.runs))
    content = _content(pooled, words) | {"decision": decision_section(decision) if decision else None}
    write_text(out, render("counts.html.j2", content, escape=True, words=words))
    return out


def _content(pooled: PooledMetrics, words: TaskWords) -> dict[str, Any]:
    metrics = pooled.metrics
    method = metrics.methods[-1]
    names = {*metrics.classes, *(site.site for site in metrics.sites), *(each.method for each in metrics.methods)}
    blocks = accuracy_blocks(metrics)
    text = f"Forest plot of balanced accuracy by hospital. {describe_blocks(blocks)}"
    chance = 1 / len(metrics.classes)
    return {
        "pooled": pooled,
        "metrics": metrics,
        "headline": [words.adapt(sentence, names) for sentence in headline(method, metrics)],
        "signs": [MARKER_SIGNS[index % len(MARKER_SIGNS)] for index in range(len(metrics.methods))],
        "series": [index % len(SERIES) + 1 for index in range(len(metrics.methods))],
        "chance": chance,
        "wide": forest(blocks, "forest-wide", text, width=WIDE, reference=chance),
        "narrow": forest(blocks, "forest-narrow", text, width=NARROW, reference=chance),
        "hospitals": [_hospital_row(index, pooled, words, names) for index in range(len(metrics.sites))],
        "classes": [_class_rows(index, pooled) for index in range(len(metrics.sites))],
        "comparisons": [comparison_section(index, each, metrics) for index, each in enumerate(metrics.comparisons)],
        "matrices": [
            Matrix(counts.site, run.method, _matrix(counts, each))
            for counts in pooled.counts
            for run, each in zip(counts.runs, counts.frames.runs, strict=True)
            if each.confusion
        ],
        "not_compared": metrics.training_data in (TrainingData.NOT_SEEN, TrainingData.NAMES_COMPARED),
        "synthetic_sites": [site.site for site in metrics.sites if site.synthetic],
        "few": FEW,
    }


def _hospital_row(index: int, pooled: PooledMetrics, words: TaskWords, names: set[str]) -> HospitalRow:
    metrics, counts = pooled.metrics, pooled.counts[index]
    site = metrics.sites[index]
    gap = {gap.site: gap for gap in metrics.methods[-1].generalisation.gaps}.get(site.site)
    sentences: list[str] = []
    verdict: Verdict | None = None
    if gap is not None:
        sentences = _gap_sentences(gap, metrics)
        verdict = judge_by_margin(gap, metrics.margin) if metrics.margin else judge_transfer(gap)
    if site.reason:
        sentences.append(f"{site.reason}.")
    return HospitalRow(
        site=site.site,
        role="held out" if site.held_out else "source",
        patients=HIDDEN if counts.frames.patients is None else count(counts.frames.patients),
        frames=HIDDEN if counts.frames.rows is None else count(counts.frames.rows),
        accuracies=tuple(method.sites[index].balanced_accuracy for method in metrics.methods),
        verdict=verdict,
        sentences=tuple(words.adapt(sentence, names) for sentence in sentences),
    )


def _gap_sentences(gap: SiteGap, metrics: Metrics) -> list[str]:
    sentences = [describe_gap(gap, count_tests(metrics))]
    return [*sentences, describe_margin(gap, metrics.margin)] if metrics.margin else sentences


def _class_rows(index: int, pooled: PooledMetrics) -> tuple[ClassRow, ...]:
    level, hospital = pooled.counts[index].frames, pooled.hospitals[index]
    return tuple(
        ClassRow(
            name=name,
            patients=_shown(counts, counts.patients),
            frames=_shown(counts, counts.rows),
            sensitivities=tuple(method.sensitivity[name] for method in hospital.methods),
        )
        for name, counts in zip(pooled.metrics.classes, level.classes, strict=True)
    )


def _shown(counts: ClassCounts, number: int | None) -> str:
    if number is not None:
        return count(number)
    return FEW if counts.hidden is Hidden.FEW_PATIENTS else HIDDEN


def _matrix(counts: HospitalCounts, run: RunCounts) -> tuple[tuple[str, ...], ...]:
    rows: Sequence[tuple[int | None, ...]] = run.confusion
    few = [each.hidden is Hidden.FEW_PATIENTS for each in counts.frames.classes]
    return tuple(
        tuple((FEW if few[index] else HIDDEN) if cell is None else count(cell) for cell in row)
        for index, row in enumerate(rows)
    )
