"""Decides about hospitals by criteria from their released counts."""

from __future__ import annotations

from heart2heart.evaluation.counted_criteria import CountedCriteria
from heart2heart.evaluation.hospital_decisions import Origin, choose_method, decide_by_terms
from heart2heart.evaluation.pooling import counted_methods
from heart2heart.schema.criteria import Criteria
from heart2heart.schema.decision import DecisionRecord
from heart2heart.schema.pooled import PooledMetrics


def make_pooled_decision(pooled: PooledMetrics, criteria: Criteria) -> DecisionRecord:
    """Decide about every hospital from counts; where nothing is hidden, as `make_decision` does from rows.

    Calibration and the separation from unknown classes need rows, so such criteria are not shown here. Nor is a mean
    over classes of which one is hidden.

    Args:
        pooled: From `pool_counts`.
        criteria: The criteria.

    Raises:
        UnknownNameError: a class, a hospital or a model that the counts do not have.
        EvaluationError: a criterion about a source hospital, a loss without a source, or a loss that contradicts the
            registered margin.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.api.validation_tables import certified_table
        >>> from heart2heart.evaluation.pooling import pool_counts
        >>> from heart2heart.evaluation.release import release_counts
        >>> lines = [f"{i},p{i // 2},E,{'ab'[i % 2]},0.{1 + i % 9},0.{9 - i % 9}" for i in range(60)]
        >>> _ = Path("decided.csv").write_text(chr(10).join(["case,patient,site,truth,a,b", *lines]))
        >>> options = {"task": "severity", "name": None, "synthetic": True, "command": "example"}
        >>> pooled = pool_counts(release_counts(certified_table(Path("decided.csv"), None, **options)))
        >>> criteria = Criteria(question="Use?", written_by="AB", balanced_accuracy=90)
        >>> [str(each.decision) for each in make_pooled_decision(pooled, criteria).hospitals]
        ['do_not_use']
    """
    counts = pooled.counts
    method = choose_method(counted_methods(counts[0].runs), criteria.method)
    hashes = [counts[0].runs[index].model_sha256 for index in method.runs]
    origin = Origin(
        model_sha256=hashes[0] if len(hashes) == 1 else None,
        configs_sha256={},
        predicted=max(each.created for each in counts),
        first_look=min(filter(None, (look for each in counts for look in (each.first_look, each.created))), default=""),
        code_version=counts[0].code_version,
        notes=(pooled.note,),
    )
    return decide_by_terms(CountedCriteria(counts), pooled.metrics, criteria, [method], origin)
