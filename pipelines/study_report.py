"""The tables of a study of uncurated frames: scores, comparisons with one error rate, what was taken from the pool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from pipelines.mismatch_task import CLASS_NAMES, IMAGE_TASKS
from pipelines.mismatch_variants import way_reads_pool
from pipelines.study_controls import Line, Verdict, banner, check_preconditions, difference, scores_of
from pipelines.study_design import REFERENCE, StudyDesign
from pipelines.study_margin import check_margins, margin_lines
from pipelines.study_statistics import PairedTest, SeedInterval, paired_tests

POOL_NAMES = {"replace": "unseen replace seen", "add": "unseen added, seen part fixed"}
"""Protocol -> words for readers."""


def pool_scores(
    design: StudyDesign, lines: Sequence[Line], task: str, way: str, pool: tuple[str, int]
) -> dict[int, float]:
    """Return balanced accuracy x 100 by seed of a way with a pool; a way without a pool has one score for all."""
    protocol, level = design.pools()[0] if not way_reads_pool(way) else shared_pool(design, pool)
    return scores_of(lines, task, way, protocol, level)


def shared_pool(design: StudyDesign, pool: tuple[str, int]) -> tuple[str, int]:
    """Return the pool whose runs stand for `pool`: both protocols have the same one at level 0."""
    same = ("replace", 0)
    return same if pool == ("add", 0) and same in design.pools() else pool


def compare(design: StudyDesign, lines: Sequence[Line]) -> dict[tuple[str, str, str, str, int], PairedTest]:
    """Test every comparison of the design at every pool of every task, as one family.

    Returns:
        (task, way, other way, protocol, level) -> its test.
    """
    family: dict[str, dict[int, float]] = {}
    names: dict[str, tuple[str, str, str, str, int]] = {}
    alone = {way for way in (REFERENCE, *design.ways) if not way_reads_pool(way)}
    for task in design.tasks:
        for way, other in design.pairs():
            for protocol, level in design.pools()[:1] if {way, other} <= alone else design.pools():
                pool = (protocol, level)
                one, base = (pool_scores(design, lines, task, name, pool) for name in (way, other))
                text = f"{task} {way} {other} {protocol} {level}"
                family[text], names[text] = difference(one, base), (task, way, other, protocol, level)
    return {names[text]: test for text, test in paired_tests(family).items()}


def family_size(design: StudyDesign) -> int:
    """Return the number of comparisons that the study makes once it is whole."""
    alone = {way for way in (REFERENCE, *design.ways) if not way_reads_pool(way)}
    each = [1 if {way, other} <= alone else len(design.pools()) for way, other in design.pairs()]
    return len(design.tasks) * sum(each)


def report(design: StudyDesign, lines: Sequence[Line]) -> str:
    """Return the whole page as Markdown, with failed preconditions on top of every table."""
    verdicts = check_preconditions(design, lines)
    tests = compare(design, lines)
    out = [f"# {design.title}", "", *_precondition_table(verdicts), *margin_lines(check_margins(design, lines))]
    for task, settings in design.tasks.items():
        own = banner([verdict for verdict in verdicts if verdict.task == task])
        labels = f"{settings.labels} labels a class"
        out += [f"## {task}, {labels}", "", *own, *_score_table(design, lines, task)]
        out += [*own, *_comparison_table(design, tests, task)]
        out += [*own, *_average_table(design, lines, task)]
        out += [*own, *_pool_table(design, lines, task)]
        out += [*own, *_mistakes_table(design, lines, task)]
    return "\n".join(out)


def _precondition_table(verdicts: Sequence[Verdict]) -> list[str]:
    out = [
        "Preconditions, checked before anything else:",
        "",
        "| task | precondition | outcome | |",
        "|---|---|---|---|",
    ]
    order = {"fails": 0, "open": 1, "holds": 2}
    out += [
        f"| {verdict.task} | {verdict.name} | {verdict.outcome} | {verdict.sentence} |"
        for verdict in sorted(verdicts, key=lambda each: order[each.outcome])
    ]
    return [*out, ""]


def _pool_heads(design: StudyDesign) -> list[tuple[str, int]]:
    return [(protocol, level) for protocol in design.protocols for level in design.levels]


def _head(design: StudyDesign, first: str) -> list[str]:
    names = [f"{POOL_NAMES[protocol]}: {level} %" for protocol, level in _pool_heads(design)]
    return [f"| {first} | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]


def _score_table(design: StudyDesign, lines: Sequence[Line], task: str) -> list[str]:
    out = ["Balanced accuracy x 100 on the test images: mean over seeds (95 % interval), number of seeds.", ""]
    out += _head(design, "way")
    for way in dict.fromkeys((REFERENCE, *design.ways)):
        cells = []
        for pool in _pool_heads(design):
            values = list(pool_scores(design, lines, task, way, pool).values())
            cells.append(f"{SeedInterval.of(values).per_cent()}, n = {len(values)}" if values else "")
        out.append(f"| {way} | {' | '.join(cells)} |")
    lost = [f"{line['way']}, {line['protocol']} {line['level']} %, seed {line['seed']}" for line in lines
            if line["task"] == task and line["balanced_accuracy"] is None]  # fmt: skip
    return [*out, "", *([f"Diverged, and left out: {'; '.join(lost)}.", ""] if lost else [])]


def _comparison_table(
    design: StudyDesign, tests: Mapping[tuple[str, str, str, str, int], PairedTest], task: str
) -> list[str]:
    out = [
        f"Differences paired by seed (95 % interval each); p after Holm over the {family_size(design)} comparisons of",
        "the study, then p by flipped signs of the largest statistic. Shown: p after Holm below 0.05.", "",
        *_head(design, "comparison"),
    ]  # fmt: skip
    for way, other in design.pairs():
        cells = []
        for pool in _pool_heads(design):
            protocol, level = shared_pool(design, pool)
            test = tests.get((task, way, other, protocol, level)) or tests.get((task, way, other, *design.pools()[0]))
            cells.append("" if test is None else _test_cell(test))
        out.append(f"| {way} minus {other} | {' | '.join(cells)} |")
    return [*out, ""]


def _test_cell(test: PairedTest) -> str:
    if math.isnan(test.p):
        return str(test.interval)
    shown = " **shown**" if test.p_holm < 0.05 else ""
    return f"{test.interval}, p {test.p_holm:.3f} / {test.p_flips:.3f}{shown}"


def compare_averages(design: StudyDesign, lines: Sequence[Line]) -> dict[tuple[str, str, str, str], PairedTest]:
    """Test every comparison of ways with a pool, averaged over the levels of a protocol, as a family of its own.

    Args:
        design: The study.
        lines: Its finished lines; a seed counts once it has every level.

    Returns:
        (task, way, other way, protocol) -> its test.
    """
    family: dict[str, dict[int, float]] = {}
    names: dict[str, tuple[str, str, str, str]] = {}
    for task, (way, other), protocol in product(design.tasks, design.pairs(), design.protocols):
        if way_reads_pool(way) or way_reads_pool(other):
            by_level = [
                difference(*(pool_scores(design, lines, task, name, (protocol, level)) for name in (way, other)))
                for level in design.levels
            ]
            whole = sorted(set.intersection(*(set(each) for each in by_level)))
            text = f"{task} {way} {other} {protocol}"
            family[text] = {seed: float(np.mean([each[seed] for each in by_level])) for seed in whole}
            names[text] = (task, way, other, protocol)
    return {names[text]: test for text, test in paired_tests(family).items()}


def _average_table(design: StudyDesign, lines: Sequence[Line], task: str) -> list[str]:
    tests = compare_averages(design, lines)
    out = ["The differences averaged over the levels, of the seeds that have every level; a family of their own.", ""]
    out += [f"| comparison | {' | '.join(POOL_NAMES[name] for name in design.protocols)} |"]
    out += ["|" + "---|" * (len(design.protocols) + 1)]
    for way, other in design.pairs():
        own = [tests.get((task, way, other, protocol)) for protocol in design.protocols]
        if any(own):
            cells = ["" if test is None else f"{_test_cell(test)}, n = {test.seeds}" for test in own]
            out.append(f"| {way} minus {other} | {' | '.join(cells)} |")
    return [*out, ""]


POOL_MEASURES = {
    "conflict_rate": "conflict", "pseudo_label_rate": "passed in training", "pool_pass_rate": "passed at the end",
    "pool_precision": "of these right", "pool_foreign_rate": "of these unseen classes", "pool_passes": "pool seen",
}  # fmt: skip
"""Column of a line -> head of the table; all but the last are shares."""


def _pool_table(design: StudyDesign, lines: Sequence[Line], task: str) -> list[str]:
    out = [
        "What runs took from the pool, means over seeds: opposed gradients and frames above the threshold, mean over",
        "the steps; frames above it for the finished network, and what their labels are worth; passes over the pool.",
        "",
        f"| way | pool | {' | '.join(POOL_MEASURES.values())} |", "|" + "---|" * (2 + len(POOL_MEASURES)),
    ]  # fmt: skip
    for way in design.ways:
        for protocol, level in design.pools():
            key = (task, way, protocol, level)
            own = [line for line in lines if (line["task"], line["way"], line["protocol"], line["level"]) == key]
            if any(line.get("pool") for line in own):
                cells = [_mean_cell(own, name) for name in POOL_MEASURES]
                out.append(f"| {way} | {POOL_NAMES[protocol]}, {level} % | {' | '.join(cells)} |")
    return [*out, ""]


def _mean_cell(lines: Sequence[Line], name: str) -> str:
    values = [line[name] for line in lines if line.get(name) is not None]
    if not values:
        return ""
    mean = float(np.mean(values))
    return f"{mean:.1f} times" if name == "pool_passes" else f"{100 * mean:.1f} %"


def _mistakes_table(design: StudyDesign, lines: Sequence[Line], task: str, most: int = 3) -> list[str]:
    """Return who was mistaken for what most often, by way, over all pools and seeds."""
    dataset = design.tasks[task].dataset
    classes = [CLASS_NAMES[dataset.split("-")[0]][number] for number in IMAGE_TASKS[dataset].labeled]
    out = [
        "Most frequent mistakes: share of a class's test images that were taken for another, over all pools and seeds.",
        "", "| way | mistakes |", "|---|---|",
    ]  # fmt: skip
    for way in dict.fromkeys((REFERENCE, *design.ways)):
        tables = [np.array(line["confusion"]) for line in lines if _is_scored(line, task, way)]
        if tables:
            shares = np.mean([table / np.maximum(table.sum(1, keepdims=True), 1) for table in tables], axis=0)
            np.fill_diagonal(shares, 0.0)
            first = np.argsort(-shares, axis=None, kind="stable")[:most]
            pairs = [np.unravel_index(index, shares.shape) for index in first]
            mistakes = [
                f"{classes[row]} for {classes[column]} {100 * shares[row, column]:.0f} %" for row, column in pairs
            ]
            out.append(f"| {way} | {', '.join(mistakes)} |")
    return [*out, ""]


def _is_scored(line: Line, task: str, way: str) -> bool:
    named: dict[str, Any] = {"task": task, "way": way}
    return (
        all(line[name] == value for name, value in named.items())
        and line["protocol"] in POOL_NAMES
        and bool(line.get("confusion"))
    )
