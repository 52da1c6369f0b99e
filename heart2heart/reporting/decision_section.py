"""The decision as a reader sees it: on top of the report, in the terminal and on the printed page."""

from __future__ import annotations

from dataclasses import dataclass

from heart2heart.evaluation.decision_sentences import (
    criterion_name,
    decision_text,
    limit_text,
    value_text,
)
from heart2heart.reporting.numbers import NBSP, join_words
from heart2heart.reporting.verdicts import Verdict
from heart2heart.schema.criteria import IntervalKind
from heart2heart.schema.decision import (
    CriterionKind,
    CriterionResult,
    DecisionKind,
    DecisionRecord,
    HospitalDecision,
    JudgedCriterion,
)
from heart2heart.schema.enums import VerdictKind

_VERDICTS = {
    DecisionKind.USE: (VerdictKind.BETTER, "✓"),
    DecisionKind.ADAPT: (VerdictKind.OPEN, "●"),
    DecisionKind.LABEL: (VerdictKind.OPEN, "?"),
    DecisionKind.REFUSE: (VerdictKind.WORSE, "✗"),
}
RESULTS = {
    CriterionResult.MET: Verdict(VerdictKind.BETTER, "✓", "shown"),
    CriterionResult.MISSED: Verdict(VerdictKind.WORSE, "✗", "missed"),
    CriterionResult.NOT_SHOWN: Verdict(VerdictKind.OPEN, "?", "not shown"),
}


@dataclass(frozen=True)
class CriterionRow:
    """One criterion at one hospital, as text.

    Attributes:
        name: What it is about.
        value: Value with its interval.
        limit: Limit.
        result: What is shown.
        needed: Patients, in all, that would probably decide it; empty if it is decided.
    """

    name: str
    value: str
    limit: str
    result: Verdict
    needed: str


@dataclass(frozen=True)
class DecisionRow:
    """The decision about one hospital, as text.

    Attributes:
        site: The hospital.
        verdict: The decision.
        reason: Why, in one sentence.
        patients: Labeled patients.
        more: More labeled patients that would decide it, with what they are for.
        criteria: Every criterion.
    """

    site: str
    verdict: Verdict
    reason: str
    patients: int
    more: str
    criteria: tuple[CriterionRow, ...]


@dataclass(frozen=True)
class DecisionSection:
    """Content of the section on top of the report.

    Attributes:
        question: The question of the criteria.
        method: Name of the model.
        lead: The decisions in one sentence.
        rows: One for each hospital.
        interval: How the intervals are made, in one sentence.
        notes: What a reader must know beside them.
        sha256: Hash of the criteria.
        written_by: Who wrote them.
    """

    question: str
    method: str
    lead: str
    rows: tuple[DecisionRow, ...]
    interval: str
    notes: tuple[str, ...]
    sha256: str
    written_by: str


def decision_section(record: DecisionRecord) -> DecisionSection:
    """Return the texts of a decision.

    Args:
        record: The decision.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> from heart2heart.evaluation.hospital_decisions import make_decision
        >>> from heart2heart.schema.criteria import Criteria
        >>> criteria = Criteria(question="May it be used?", written_by="AB", balanced_accuracy=80)
        >>> record = make_decision(predictions, metrics, criteria)
        >>> [row.site for row in decision_section(record).rows]
        ['B']
    """
    rows = tuple(_row(decision, record) for decision in record.hospitals)
    return DecisionSection(
        question=record.claim.criteria.question,
        method=record.method,
        lead=_lead(record),
        rows=rows,
        interval=_interval(record),
        notes=record.notes,
        sha256=record.claim.sha256,
        written_by=record.claim.criteria.written_by,
    )


def decision_lines(record: DecisionRecord) -> str:
    """Return the decision of each hospital in lines for a terminal.

    Args:
        record: The decision.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> from heart2heart.evaluation.hospital_decisions import make_decision
        >>> from heart2heart.schema.criteria import Criteria
        >>> criteria = Criteria(question="May it be used?", written_by="AB", balanced_accuracy=80)
        >>> record = make_decision(predictions, metrics, criteria)
        >>> decision_lines(record).startswith("B: ")
        True
    """
    section = decision_section(record)
    lines = [f"{row.site}: {row.verdict.text}. {row.reason}" for row in section.rows]
    return "\n".join([*lines, record.claim.note()])


def criteria_lines(record: DecisionRecord) -> list[str]:
    """Return the criteria of a decision, one in each line.

    Args:
        record: The decision.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> from heart2heart.evaluation.hospital_decisions import make_decision
        >>> from heart2heart.schema.criteria import Criteria
        >>> criteria = Criteria(question="May it be used?", written_by="AB", balanced_accuracy=80)
        >>> record = make_decision(predictions, metrics, criteria)
        >>> criteria_lines(record)
        ['Balanced accuracy: at least 80 %']
    """
    names: dict[tuple[CriterionKind, str], list[str]] = {}
    for criterion in record.hospitals[0].criteria:
        name = criterion.class_name or criterion_name(criterion, record.unit)
        names.setdefault((criterion.kind, limit_text(criterion)), []).append(name)
    lines = []
    for (kind, limit), listed in names.items():
        text = join_words(listed)
        text = f"sensitivity of {text}" if kind is CriterionKind.SENSITIVITY else text
        lines.append(f"{text[:1].upper()}{text[1:]}: {limit}")
    return lines


def _lead(record: DecisionRecord) -> str:
    kinds = [decision.decision for decision in record.hospitals]
    parts = []
    for kind, words in (
        (DecisionKind.USE, "use"),
        (DecisionKind.ADAPT, "use after adaptation or recalibration"),
        (DecisionKind.LABEL, f"label more {record.unit}s first"),
        (DecisionKind.REFUSE, "do not use"),
    ):
        if kind in kinds:
            parts.append(f"{words} at {kinds.count(kind)} of {len(kinds)}")
    return f"“{record.method}”: {'; '.join(parts)} {'hospital' if len(kinds) == 1 else 'hospitals'}."


def _interval(record: DecisionRecord) -> str:
    if record.claim.criteria.interval is IntervalKind.SEPARATE:
        return (
            f"Each of the {record.intervals} intervals holds on its own with 95 %: together they may err more often. A "
            "criterion is shown only if the whole interval meets it, and missed only if the whole interval misses it."
        )
    return (
        f"All {record.intervals} intervals hold together with 95 % (each with {100 * record.each:.1f} %). A criterion "
        "is shown only if the whole interval meets it, and missed only if the whole interval misses it."
    )


def _row(decision: HospitalDecision, record: DecisionRecord) -> DecisionRow:
    kind, mark = _VERDICTS[decision.decision]
    most, unit = record.claim.criteria.most_patients, record.unit
    text = decision_text(decision.decision, decision.more_patients, most, decision.patients, unit)
    if record.claim.after_look and kind is VerdictKind.BETTER:
        late = "not registered" if record.claim.criteria.registration is None else "written after the result"
        kind, mark, text = VerdictKind.OPEN, "!", f"{text} (criteria {late})"
    return DecisionRow(
        site=decision.site,
        verdict=Verdict(kind, mark, text),
        reason=decision.reason.replace(" %", f"{NBSP}%"),
        patients=decision.patients,
        more=_more(decision, most, unit),
        criteria=tuple(_criterion(criterion, most, unit) for criterion in decision.criteria),
    )


def _more(decision: HospitalDecision, most: int, unit: str) -> str:
    if decision.more_patients == 0:
        return "none"
    number = (
        f"more than {max(most - decision.patients, 0)}"
        if decision.more_patients is None
        else str(decision.more_patients)
    )
    if decision.decision is DecisionKind.ADAPT:
        return f"{number}, to test the recalibrated model"
    assumed = any(c.by_assumption and c.result is CriterionResult.NOT_SHOWN for c in decision.criteria)
    return f"{number}, by assumption" if assumed else number


def _criterion(criterion: JudgedCriterion, most: int, unit: str) -> CriterionRow:
    needed = ""
    if criterion.result is CriterionResult.NOT_SHOWN:
        assumed = " (assumed)" if criterion.by_assumption else ""
        needed = f"more than {most}" if criterion.patients_needed is None else f"{criterion.patients_needed}{assumed}"
    name = criterion_name(criterion, unit)
    return CriterionRow(
        name=f"{name[:1].upper()}{name[1:]}" if criterion.kind is not CriterionKind.UNKNOWN_CLASSES else name,
        value=value_text(criterion).replace(" %", f"{NBSP}%"),
        limit=limit_text(criterion).replace(" %", f"{NBSP}%"),
        result=RESULTS[criterion.result],
        needed=needed,
    )
