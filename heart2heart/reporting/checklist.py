"""Reporting checklists as tables that fill themselves from the run's own records.

An item is worded here in short, never quoted; the published checklist decides what it asks. What the records do not
hold is `not reported`: a person who publishes must fill it in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from heart2heart.reporting.numbers import NOT_REPORTED, count, interval, join_words, percent, plural
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance


@dataclass(frozen=True)
class ChecklistItem:
    """One item of a checklist.

    Attributes:
        number: Its number in the published checklist.
        topic: What it asks for, in our words.
        answer: What the records say, or `not reported`.
        place: Section of the report that shows it; empty when not reported.
    """

    number: str
    topic: str
    answer: str = NOT_REPORTED
    place: str = ""

    @property
    def known(self) -> bool:
        """Whether the records answer it."""
        return self.answer != NOT_REPORTED


@dataclass(frozen=True)
class Checklist:
    """One published checklist, filled.

    Attributes:
        name: Its name.
        file: File beside the report that holds it.
        source: Where it was published.
        checked: What could and could not be verified about its items.
        sections: Items by heading.
    """

    name: str
    file: str
    source: str
    checked: str
    sections: dict[str, tuple[ChecklistItem, ...]] = field(default_factory=dict)

    @property
    def items(self) -> list[ChecklistItem]:
        """All items in order."""
        return [item for items in self.sections.values() for item in items]

    @property
    def reported(self) -> int:
        """How many items the records answer."""
        return sum(item.known for item in self.items)


def item_text(words: str, found: str) -> str:
    """Put `found` into the braces of `words`, unless it is not reported."""
    return found if found == NOT_REPORTED else words.format(found)


SECTIONS = {
    "answer": "The answer",
    "tested": "What was tested, on whom",
    "inclusion": "Inclusion",
    "results": "Results by hospital",
    "comparison": "Comparison of models",
    "splits": "Several splits and seeds",
    "confusion": "What is mistaken for what",
    "probabilities": "Probabilities",
    "selective": "Holding back unsure frames",
    "outside": "Views it does not know",
    "shift": "Differences between hospitals",
    "subgroups": "Subgroups",
    "shortcuts": "Shortcuts",
    "frames": "Sample frames",
    "training": "Training",
    "split": "Split and leakage checks",
    "methods": "Methods",
    "limitations": "Limitations",
    "checklists": "Reporting checklists",
    "hashes": "Hashes",
}
"""Sections of the report in order: id and title."""


class ReportFacts:
    """Phrases about one evaluation that several items share; each is empty-safe."""

    def __init__(self, about: Provenance, metrics: Metrics) -> None:
        self.about = about
        self.metrics = metrics
        self.synthetic = "SYNTHETIC data, no patients. " if metrics.synthetic else ""
        self.views = join_words(metrics.classes, last="or")
        self.source = join_words(about.split.source_sites) or NOT_REPORTED
        self.held_out = join_words(about.split.held_out_sites) or NOT_REPORTED
        self.percent = f"{100 * metrics.confidence:.0f} %"

    @property
    def purpose(self) -> str:
        """What was done, in one sentence."""
        return (
            f"{self.synthetic}A deep network that names the view of an echocardiogram frame ({self.views}), trained at "
            f"{self.source}, tested at {self.held_out}"
        )

    @property
    def scored(self) -> str:
        """Patients and frames scored, by hospital."""
        unit = self.metrics.unit
        return "; ".join(
            f"{site.site}: {plural(site.clusters, unit)}, {plural(site.frames, 'frame')}" for site in self.metrics.sites
        )

    @property
    def dates(self) -> str:
        """Span of the (shifted) dates, by hospital; `not reported` where no hospital gives one."""
        known = [f"{s.site} {s.date_from} to {s.date_to}" for s in self.about.sites if s.date_from and s.date_to]
        return f"{'; '.join(known)} (shifted dates)" if known else NOT_REPORTED

    @property
    def manufacturers(self) -> str:
        """Makers by hospital."""
        known = [f"{site.site}: {', '.join(site.makers)}" for site in self.about.sites if site.makers]
        return "; ".join(known) or NOT_REPORTED

    @property
    def raters(self) -> str:
        """Who labeled, by hospital."""
        known = [f"{site.site}: {', '.join(site.raters)}" for site in self.about.sites if site.raters]
        return "; ".join(known) or NOT_REPORTED

    @property
    def networks(self) -> str:
        """Networks with their parameters."""
        names = {f"{run.network} ({count(run.parameters)} parameters)" for run in self.about.runs}
        return join_words(sorted(names))

    @property
    def training(self) -> str:
        """Steps, seeds and methods of the runs."""
        return "; ".join(
            f"{run.run}: {run.method}, {count(run.steps)} steps, seed {run.seed}, {run.device}"
            for run in self.about.runs
        )

    @property
    def selection(self) -> str:
        """The rule that chose the weights."""
        return join_words(sorted({run.selection for run in self.about.runs}))

    @property
    def accuracy(self) -> str:
        """Balanced accuracy of the tested method, by hospital."""
        sites = self.metrics.methods[-1].sites
        return "; ".join(
            f"{s.site} {percent(s.balanced_accuracy.value)} ({interval(s.balanced_accuracy)})" for s in sites
        )
