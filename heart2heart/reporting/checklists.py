"""All reporting checklists of an evaluation, completed by the authors' `study.yaml`."""

from __future__ import annotations

from heart2heart.reporting.checklist import Checklist
from heart2heart.reporting.claim import claim
from heart2heart.reporting.decide_ai import decide_ai
from heart2heart.reporting.tripod_ai import tripod_ai
from heart2heart.reporting.tripod_cluster import tripod_cluster
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Provenance
from heart2heart.schema.study import Study


def make_checklists(provenance: Provenance, metrics: Metrics, study: Study | None = None) -> list[Checklist]:
    """Return TRIPOD+AI, TRIPOD-Cluster, CLAIM 2024 and DECIDE-AI.

    Args:
        provenance: Provenance of the predictions.
        metrics: Their metrics.
        study: Texts of the authors; None leaves every gap "not reported", with the key that completes it.

    Examples:
        >>> from heart2heart.evaluation import evaluate_predictions
        >>> from heart2heart.schema.predictions import Predictions
        >>> predictions = Predictions.read("evaluation/predictions.parquet")
        >>> metrics = evaluate_predictions(predictions, replicates=100)
        >>> [checklist.name for checklist in make_checklists(predictions.provenance, metrics)]
        ['TRIPOD+AI', 'TRIPOD-Cluster', 'CLAIM 2024', 'DECIDE-AI']
    """
    return [
        make(provenance, metrics).completed(study or Study()) for make in (tripod_ai, tripod_cluster, claim, decide_ai)
    ]
