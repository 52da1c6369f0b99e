"""The page of an onboarding: what each step did, its numbers, what is missing, and what a person does next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.reporting.verdicts import Verdict
from heart2heart.reporting.writer import render
from heart2heart.schema.enums import VerdictKind
from heart2heart.schema.onboarding import OnboardingRecord, StepName, StepRecord, StepState
from heart2heart.utils import write_text

TITLES = {
    StepName.INGEST: "Ingest",
    StepName.HEALTH: "Health check",
    StepName.ADAPT: "Adaptation",
    StepName.PLAN: "Plan",
    StepName.QUEUE: "Queue",
    StepName.LABEL: "Labels",
    StepName.VALIDATE: "Validation",
    StepName.DECIDE: "Decision",
}
"""Step -> its title."""

PURPOSES = {
    StepName.INGEST: "DICOM files become frames without identity.",
    StepName.HEALTH: "The store is checked for damage, identities and usable clips.",
    StepName.ADAPT: "The model gets statistics of unlabeled frames of patients who are never scored.",
    StepName.PLAN: "How many patients must be labeled?",
    StepName.QUEUE: "Random patients are drawn, and their clips are listed for labeling.",
    StepName.LABEL: "A person labels the clips of the queue.",
    StepName.VALIDATE: "The frozen model is tested on the labeled patients.",
    StepName.DECIDE: "The criteria decide whether the model may be used.",
}
"""Step -> what it is for."""

STATES = {
    StepState.DONE: Verdict(VerdictKind.BETTER, "✓", "done"),
    StepState.NOT_POSSIBLE: Verdict(VerdictKind.UNKNOWN, "○", "not possible"),
    StepState.WAITING: Verdict(VerdictKind.OPEN, "●", "waiting for a person"),
    StepState.FAILED: Verdict(VerdictKind.WORSE, "✗", "failed"),
}
"""State -> how the page shows it."""

NOT_REACHED = Verdict(VerdictKind.UNKNOWN, "○", "not reached")
OUT_OF_DATE = Verdict(VerdictKind.UNKNOWN, "○", "out of date")


@dataclass(frozen=True)
class StepSection:
    """One step as the page shows it.

    Attributes:
        name: Which.
        number: Its number, from 1.
        title: Its title.
        purpose: What it is for.
        verdict: What became of it.
        record: Its record; None: not reached, or out of date.
    """

    name: str
    number: int
    title: str
    purpose: str
    verdict: Verdict
    record: StepRecord | None


def write_onboarding_page(record: OnboardingRecord, out: Path) -> Path:
    """Write the page as one self-contained HTML file; the same record gives the same bytes.

    Args:
        record: The record.
        out: HTML file, in the folder of the record.

    Examples:
        >>> from heart2heart.schema.onboarding import OnboardingRecord
        >>> record = OnboardingRecord(site="E", model="fixmatch", code_version="0")
        >>> "No step is done" in write_onboarding_page(record, Path("onboarding.html")).read_text()
        True
    """
    write_text(out, render("onboarding.html.j2", page_content(record), escape=True))
    return out


def page_content(record: OnboardingRecord) -> dict[str, Any]:
    """Return the content of the template, by name."""
    sections = step_sections(record)
    current = next((section for section in reversed(sections) if section.record), None)
    return {"record": record, "sections": sections, "current": current, "headline": headline(record)}


def step_sections(record: OnboardingRecord) -> list[StepSection]:
    """Return every step; those after one that is not done are out of date."""
    sections: list[StepSection] = []
    open_before = False
    for index, name in enumerate(StepName):
        step = record.find(name)
        if step is None or open_before:
            verdict = NOT_REACHED if step is None else OUT_OF_DATE
            sections.append(StepSection(name, index + 1, TITLES[name], PURPOSES[name], verdict, None))
            open_before = True
            continue
        sections.append(StepSection(name, index + 1, TITLES[name], PURPOSES[name], STATES[step.state], step))
        open_before = step.state in (StepState.WAITING, StepState.FAILED)
    return sections


def headline(record: OnboardingRecord) -> str:
    """Return the state of the whole in one line.

    Examples:
        >>> from heart2heart.schema.onboarding import OnboardingRecord
        >>> headline(OnboardingRecord(site="E", model="fixmatch", code_version="0"))
        'No step is done yet'
    """
    reached = [section for section in step_sections(record) if section.record]
    if not reached:
        return "No step is done yet"
    last = reached[-1]
    assert last.record is not None
    if last.record.state is StepState.WAITING:
        return f"{last.title}: waiting for a person"
    if last.record.state is StepState.FAILED:
        return f"{last.title}: failed"
    if last.name == StepName.DECIDE:
        kind = next((fact.value for fact in last.record.facts if fact.name == "decision"), "made")
        return f"Decision: {kind}"
    return f"{len(reached)} of {len(StepName)} steps are done"
