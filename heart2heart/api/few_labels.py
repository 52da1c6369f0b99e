"""A hospital with few labels or none: estimates without labels, and audits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.cases import read_audit_labels, read_cases
from heart2heart.errors import ConfigError, EvaluationError

if TYPE_CHECKING:
    from heart2heart.schema.few_labels import AuditReport, LabelFreeReport


def estimate_without_labels(
    predictions: str | Path,
    *,
    reference: str | Path | None = None,
    site: str | None = None,
    reference_site: str | None = None,
    method: str | None = None,
    tolerance: float = 5.0,
    seed: int = 0,
    out: str | Path | None = None,
) -> LabelFreeReport:
    r"""Estimate the accuracy of hospitals without labels; each estimate is an alarm with its measured error.

    Args:
        predictions: Predictions of the hospitals; see `read_cases`.
        reference: Predictions of a hospital with labels. None takes the source hospitals of `predictions`.
        site: Hospital of the predictions.
        reference_site: Hospital of the reference.
        method: Method of the predictions; needed if they hold several.
        tolerance: Fall below the accuracy of the reference that raises the alarm, percentage points.
        seed: Seed of the simulated hospitals, which measure the error where no other hospital has labels.
        out: JSON file to write.

    Raises:
        EvaluationError: no labeled reference, or another model.

    Examples:
        >>> from heart2heart.api import estimate_without_labels
        >>> kinds = [("a", 0.8, 0.2), ("b", 0.3, 0.7)]
        >>> cells = [("AE"[i > 29], *kinds[i % 2]) for i in range(60)]
        >>> rows = [",".join(map(str, (f"c{i}", f"p{i}", *row))) for i, row in enumerate(cells)]
        >>> _ = Path("both.csv").write_text("\n".join(["case,patient,site,truth,a,b", *rows]))
        >>> report = estimate_without_labels("both.csv", reference="both.csv", site="E", reference_site="A")
        >>> [(each.estimator, each.alarm) for each in report.estimates]
        [('average_confidence', False), ('atc', True), ('agreement', False)]
    """
    from heart2heart.evaluation.label_free import label_free_estimates
    from heart2heart.schema.few_labels import LabelFreeReport, write_few_labels

    if not 0 < tolerance < 100:
        raise ConfigError(f"a fall of {tolerance:g} points is impossible", where="--tolerance", remedy="Give 5, say")
    cases = read_cases(predictions, site=site)
    labeled = None if reference is None else read_cases(reference, site=reference_site)
    run_set = cases.run_set(method)
    fitted, estimates = label_free_estimates(cases, run_set, reference=labeled, tolerance=tolerance / 100, seed=seed)
    report = LabelFreeReport(
        method=run_set.label,
        accuracy=fitted.accuracy,
        reference_cases=fitted.cases,
        calibration_error=fitted.calibration_error,
        tolerance=tolerance / 100,
        patients_known=cases.patients_known,
        estimates=tuple(estimates),
    )
    if out is not None:
        write_few_labels(report, Path(out))
    return report


def audit_accuracy(
    predictions: str | Path,
    sample: str | Path,
    labels: str | Path,
    *,
    site: str | None = None,
    method: str | None = None,
    out: str | Path | None = None,
) -> AuditReport:
    """Estimate accuracy and class shares of a hospital from an audit and the predictions of all its clips.

    Args:
        predictions: Predictions of all clips that the sample was drawn from, as `queue --predictions` writes them.
        sample: The sample that `queue --by audit` or `--by audit_by_class` drew.
        labels: Labels of the drawn clips; see `read_audit_labels`.
        site: Hospital; needed if the predictions hold several.
        method: Method of the predictions; needed if they hold several.
        out: JSON file to write.

    Raises:
        EvaluationError: the sample is no audit, or of other clips; or predictions without patients.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import audit_accuracy
        >>> files = {"out": "audit.parquet", "predictions": "pool.parquet"}
        >>> _ = h2h.make_queue("store", budget=6, by="audit", run="run", **files)
        >>> audit = audit_accuracy("pool.parquet", "audit.parquet", "labels.db", site="A")
        >>> 0 < audit.audited_patients <= 6
        True
    """
    import numpy as np

    from heart2heart.evaluation.audit import audit_of_sample, read_sample
    from heart2heart.evaluation.intervals import CONFIDENCE
    from heart2heart.evaluation.prediction_powered import powered_estimates
    from heart2heart.schema.few_labels import AuditReport, write_few_labels

    cases = read_cases(predictions, site=site)
    if len(cases.sites) > 1:
        remedy = f"Name one with --site: {', '.join(cases.sites)}"
        raise EvaluationError("the predictions hold several hospitals", where="site", remedy=remedy)
    run_set = cases.run_set(method)
    probabilities = cases.probabilities(run_set)
    drawn = read_sample(Path(sample))
    known = read_audit_labels(labels)
    labeled = cases.with_labels({name: known[name] for name in drawn.inclusion if name in known})
    audit, unread = audit_of_sample(labeled, probabilities, drawn)
    read = audit.weight > 0
    report = AuditReport(
        site=cases.sites[0],
        method=run_set.label,
        draw=drawn.strategy,
        clips=len(cases),
        patients=len(np.unique(cases.patient)),
        audited_clips=int(read.sum()),
        audited_patients=len(np.unique(cases.patient[read])),
        unread=unread,
        outside=int((read & ~labeled.labeled).sum()),
        confidence=CONFIDENCE,
        estimates=tuple(powered_estimates(labeled, probabilities, audit)),
    )
    if out is not None:
        write_few_labels(report, Path(out))
    return report
