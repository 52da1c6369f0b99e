"""Reporting checklists as tables that are filled from the records of an evaluation.

Each item is a short paraphrase; the published checklist is authoritative. What the records do not hold comes from
`study.yaml`; an item without either is "not reported" and names the key of `study.yaml` that completes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from heart2heart.reporting.numbers import NOT_REPORTED, count, interval, join_words, percent, plural
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance
from heart2heart.schema.study import Study


@dataclass(frozen=True)
class ChecklistItem:
    """One item of a checklist.

    Attributes:
        number: Number of the item in the published checklist.
        topic: Paraphrase of the item.
        answer: Text from the records, or `not reported`.
        section: Section of the report with the details; empty when not reported.
        keys: Keys of `study.yaml` for what is not reported, in the order of the gaps in the answer.
    """

    number: str
    topic: str
    answer: str = NOT_REPORTED
    section: str = ""
    keys: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the records or the authors give an answer."""
        return not self.answer.startswith(NOT_REPORTED)

    def completed(self, study: Study) -> ChecklistItem:
        """Return the item with the texts of the authors; a gap without a text names its key.

        Args:
            study: Texts of the authors.

        Examples:
            >>> item = ChecklistItem("44", "Funding", keys=("funding",))
            >>> item.completed(Study()).answer, item.completed(Study(funding="None.")).answer
            ('not reported: add `funding` to study.yaml', 'None. (study.yaml)')
        """
        texts = study.texts
        if not self.keys:
            return self
        if NOT_REPORTED not in self.answer:
            added = " ".join(texts[key] for key in self.keys if key in texts)
            return replace(self, answer=f"{self.answer}. {added} (study.yaml)") if added else self
        if self.answer == NOT_REPORTED:
            texts_of_keys = [texts[key] for key in self.keys if key in texts]
            missing = join_words([f"`{key}`" for key in self.keys if key not in texts])
            if not texts_of_keys:
                return replace(self, answer=f"{NOT_REPORTED}: add {missing} to study.yaml", section="")
            rest = f"; {NOT_REPORTED}: add {missing} to study.yaml" if missing else ""
            section = self.section or "checklists"
            return replace(self, answer=f"{' '.join(texts_of_keys)} (study.yaml){rest}", section=section)
        pieces = self.answer.split(NOT_REPORTED)
        answer = pieces[0]
        for index, piece in enumerate(pieces[1:]):
            key = self.keys[min(index, len(self.keys) - 1)]
            gap = f"{texts[key]} (study.yaml)" if key in texts else f"{NOT_REPORTED} (add `{key}` to study.yaml)"
            answer += gap + piece
        return replace(self, answer=answer)


@dataclass(frozen=True)
class Checklist:
    """One published checklist with its answers.

    Attributes:
        name: Name of the checklist.
        file: Name of the Markdown file beside the report.
        source: Publication.
        verification: How the numbers and topics of the items were verified.
        sections: Items by heading.
    """

    name: str
    file: str
    source: str
    verification: str
    sections: dict[str, tuple[ChecklistItem, ...]] = field(default_factory=dict)

    @property
    def items(self) -> list[ChecklistItem]:
        """All items in order."""
        return [item for items in self.sections.values() for item in items]

    @property
    def reported(self) -> int:
        """Number of items that the records or the authors answer."""
        return sum(item.known for item in self.items)

    def completed(self, study: Study) -> Checklist:
        """Return the checklist with the texts of the authors.

        Args:
            study: Texts of the authors.
        """
        sections = {title: tuple(item.completed(study) for item in items) for title, items in self.sections.items()}
        return replace(self, sections=sections)


def item_text(template: str, value: str) -> str:
    """Insert a value into the braces of a template; `not reported` stays as it is.

    Examples:
        >>> item_text("Manufacturers: {}", "Maker One"), item_text("Manufacturers: {}", "not reported")
        ('Manufacturers: Maker One', 'not reported')
    """
    return value if value == NOT_REPORTED else template.format(value)


SECTIONS = {
    "decision": "Decision",
    "summary": "The answer",
    "who": "Who was tested",
    "failures": "Where it fails",
    "hospitals": "Hospital by hospital",
    "tested": "Models, hospitals and patients",
    "inclusion": "Inclusion",
    "results": "Results by hospital",
    "comparison": "Comparison of models",
    "splits": "Several splits and seeds",
    "curves": "ROC and precision-recall",
    "raters": "Readers and the model",
    "confusion": "Confusion matrices",
    "probabilities": "Calibration",
    "selective": "Withholding uncertain frames",
    "outside": "Unknown views",
    "shift": "Differences between hospitals",
    "subgroups": "Subgroups",
    "shortcuts": "Shortcuts",
    "stress": "Acoustic perturbations",
    "frames": "Sample frames",
    "training": "Training",
    "split": "Split and leakage checks",
    "methods": "Methods",
    "limitations": "Limitations",
    "checklists": "Reporting checklists",
    "hashes": "Hashes",
}
"""Sections of the report in order, as id and title."""


class ReportFacts:
    """Texts about one evaluation that several checklist items use; a text without a record is `not reported`."""

    def __init__(self, provenance: Provenance, metrics: Metrics) -> None:
        self.provenance = provenance
        self.metrics = metrics
        self.synthetic = "SYNTHETIC data, no patients. " if metrics.synthetic else ""
        self.views = join_words(metrics.classes, last="or")
        self.source = join_words(provenance.split.source_sites) or NOT_REPORTED
        self.held_out = join_words(provenance.split.held_out_sites) or NOT_REPORTED
        self.percent = f"{100 * metrics.confidence:.0f} %"

    @property
    def purpose(self) -> str:
        """The study in one sentence."""
        return (
            f"{self.synthetic}A neural network that classifies echocardiogram frames by view ({self.views}), trained "
            f"at {self.source} and tested at {self.held_out}"
        )

    @property
    def scored(self) -> str:
        """Number of scored patients and frames by hospital."""
        unit = self.metrics.unit
        return "; ".join(
            f"{site.site}: {plural(site.clusters, unit)}, {plural(site.frames, 'frame')}" for site in self.metrics.sites
        )

    @property
    def dates(self) -> str:
        """Range of the (shifted) study dates by hospital."""
        known = [f"{s.site} {s.date_from} to {s.date_to}" for s in self.provenance.sites if s.date_from and s.date_to]
        return f"{'; '.join(known)} (shifted dates)" if known else NOT_REPORTED

    @property
    def manufacturers(self) -> str:
        """Manufacturers by hospital."""
        known = [f"{site.site}: {', '.join(site.makers)}" for site in self.provenance.sites if site.makers]
        return "; ".join(known) or NOT_REPORTED

    @property
    def raters(self) -> str:
        """Raters by hospital."""
        known = [f"{site.site}: {', '.join(site.raters)}" for site in self.provenance.sites if site.raters]
        return "; ".join(known) or NOT_REPORTED

    @property
    def networks(self) -> str:
        """Networks with their number of parameters."""
        names = {
            f"{run.network} ({count(run.parameters)} parameters)" if run.parameters else run.network
            for run in self.provenance.runs
        }
        return join_words(sorted(names))

    @property
    def training(self) -> str:
        """Method, steps, seed and device of each run."""
        return "; ".join(
            f"{run.run}: {run.method}, "
            + (f"{count(run.steps)} steps, seed {run.seed}, {run.device}" if run.steps else "training not reported")
            for run in self.provenance.runs
        )

    @property
    def selection(self) -> str:
        """Rule that selected the weights."""
        return join_words(sorted({run.selection for run in self.provenance.runs}))

    @property
    def eligible(self) -> str:
        """Rule of inclusion, where files were counted."""
        rule = "All readable ultrasound clips; other files are counted by the reason for exclusion"
        return rule if any(site.files for site in self.provenance.sites) else NOT_REPORTED

    @property
    def missing(self) -> str:
        """Handling of missing labels."""
        unlabeled = sum(site.unlabeled for site in self.metrics.sites)
        outside = sum(sum(site.outside.values()) for site in self.metrics.sites)
        return (
            f"No imputation: {plural(unlabeled, 'test frame')} without a label and {count(outside)} of other views are "
            "counted but not scored"
        )

    @property
    def versions(self) -> str:
        """Software with versions."""
        runs = self.provenance.runs
        return join_words(sorted({f"{name} {v}" for run in runs for name, v in run.versions.items()})) or NOT_REPORTED

    @property
    def factors(self) -> list[str]:
        """Factors of the subgroups."""
        return sorted({s.factor for run in self.metrics.runs for site in run.sites for s in site.strata})

    @property
    def accuracy(self) -> str:
        """Balanced accuracy of the last method by hospital."""
        sites = self.metrics.methods[-1].sites
        return "; ".join(
            f"{s.site} {percent(s.balanced_accuracy.value)} ({interval(s.balanced_accuracy)})" for s in sites
        )
