"""Words of the task: the texts of evaluation and report are written for views and frames; here they follow the task.

For views nothing changes. For another task its noun takes the word's place, as in `pneumonia class`; the rows of a
table are cases, not frames.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from heart2heart.schema.metrics import Metrics
from heart2heart.schema.metrics_files import FoldMetrics
from heart2heart.schema.predictions import Provenance
from heart2heart.schema.validation import DEFAULT_TASK

TABLE_BASE = "table"
"""`MethodFacts.base` of a model whose predictions came as a table."""

_REASONS = frozenset({"reason", "interval"})
"""Fields of the metrics that hold texts for readers."""


@dataclass(frozen=True)
class TaskWords:
    """The words of one task.

    Attributes:
        task: Noun of what the classes are.
        cases: The rows are cases of a table, not frames of clips.
    """

    task: str = DEFAULT_TASK
    cases: bool = False

    @classmethod
    def of(cls, provenance: Provenance) -> TaskWords:
        """Return the words of predictions."""
        return cls(provenance.task, all(run.facts.base == TABLE_BASE for run in provenance.runs))

    @property
    def changes(self) -> bool:
        """Whether any text changes."""
        return self.task != DEFAULT_TASK or self.cases

    def _substitutes(self) -> list[tuple[re.Pattern[str], str]]:
        row = "case" if self.cases else "frame"
        pairs: list[tuple[str, str]] = []
        if self.task != DEFAULT_TASK:
            pairs += [
                (r"echocardiogram views", self.task),
                (r"echocardiogram frames", f"{row}s"),
                (r"frame of an echocardiogram", row),
                (r"echocardiogram frame", row),
                (r"view (classifiers?)", rf"{self.task} \1"),
                (r"view labels", f"{self.task} labels"),
                (r"views", f"{self.task} classes"),
                (r"view", f"{self.task} class"),
            ]
        if self.cases:
            pairs += [(r"sample frames", "sample cases"), (r"frames", "cases"), (r"frame", "case")]
        return [(re.compile(rf"\b{pattern}\b", re.IGNORECASE), new) for pattern, new in pairs]

    def adapt(self, text: str, keep: Collection[str] = ()) -> str:
        """Return a sentence in the words of the task.

        Args:
            text: A sentence for readers.
            keep: Names that stay as they are, such as those of classes, hospitals and models.

        Examples:
            >>> TaskWords("severity").adapt("Sensitivity by view. Views of E: mild view.", keep=["mild view"])
            'Sensitivity by severity class. Severity classes of E: mild view.'
        """
        if not self.changes:
            return text
        names = sorted((name for name in keep if name), key=len, reverse=True)
        parts = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
        return "".join(part if index % 2 else self._replace(part) for index, part in enumerate(parts))

    def _replace(self, text: str) -> str:
        for pattern, new in self._substitutes():
            text = pattern.sub(partial(_like, new), text)
        return text


def _like(new: str, match: re.Match[str]) -> str:
    """Return the replacement, with a capital where the match has one."""
    text = match.expand(new)
    return text[:1].upper() + text[1:] if match[0][:1].isupper() else text


Scores = TypeVar("Scores", Metrics, FoldMetrics)


def with_task_words(metrics: Scores, words: TaskWords) -> Scores:
    """Return metrics, of one split or of several, with their reasons in the words of the task."""
    if not words.changes:
        return metrics
    keep = {*metrics.classes, *(site.site for method in metrics.methods for site in method.sites)}
    keep |= {run.run for run in metrics.runs} if isinstance(metrics, Metrics) else {*metrics.splits}

    def adapt(node: Any, key: str) -> Any:
        if isinstance(node, dict):
            return {name: adapt(child, name) for name, child in node.items()}
        if isinstance(node, list | tuple):
            return [adapt(child, key) for child in node]
        return words.adapt(node, keep) if isinstance(node, str) and key in _REASONS else node

    return type(metrics).model_validate(adapt(metrics.model_dump(), ""))
