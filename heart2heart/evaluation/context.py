"""What is the same for every site and run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heart2heart.evaluation.aggregation import Aggregation

KEPT_ON_VALIDATION = 0.9
"""Share of the source validation frames that the frozen confidence threshold keeps."""


@dataclass(frozen=True)
class EvaluationContext:
    """What is the same for every site and run.

    Attributes:
        classes: Names of the classes, in the order of the logits.
        common: Classes present at every site.
        unit: What a cluster is, for the reasons.
        seed: Root seed of the bootstrap.
        replicates: Bootstrap replicates.
        bca: Intervals are BCa instead of percentile.
    """

    classes: tuple[str, ...]
    common: tuple[int, ...]
    unit: str
    seed: int
    replicates: int
    bca: bool = False

    def why_not_estimable(self, level: Aggregation, labels: Sequence[int]) -> str | None:
        """Say why a mean over the classes `labels` has no interval or no value; None when it has both."""
        if not labels:
            return "no view to average over"
        held = {label: int(level.view_clusters[label]) for label in labels}
        poorest = min(labels, key=held.__getitem__)
        if held[poorest] >= 2:
            return None
        owner = f"only one {self.unit}" if held[poorest] else f"no {self.unit}"
        return f"{self.classes[poorest]} comes from {owner}; an interval needs two"
