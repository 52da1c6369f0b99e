"""Conformal sets: calibration, measured coverage, and the set of every clip."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.cases import read_cases
from heart2heart.csv_files import CsvWriter
from heart2heart.errors import ConfigError, EvaluationError

if TYPE_CHECKING:
    from heart2heart.evaluation.cases import Cases
    from heart2heart.schema.few_labels import ConformalReport


def conformal_sets(
    predictions: str | Path,
    *,
    calibration: str | Path | None = None,
    site: str | None = None,
    calibration_site: str | None = None,
    method: str | None = None,
    alpha: float = 0.1,
    score: str = "aps",
    recalibrate: Sequence[int] = (10, 20, 40),
    seed: int = 0,
    sets: str | Path | None = None,
    out: str | Path | None = None,
) -> ConformalReport:
    """Calibrate sets of classes on labeled patients, measure their coverage at every hospital, and write the sets.

    Args:
        predictions: Predictions of the hospitals; see `read_cases`.
        calibration: Predictions with labels to calibrate on. None takes the source hospitals of `predictions`.
        site: Hospital of the predictions.
        calibration_site: Hospital of the calibration.
        method: Method of the predictions; needed if they hold several.
        alpha: Accepted share of sets without the true class.
        score: `aps` or `lac`.
        recalibrate: Numbers of patients of each labeled hospital, to measure recalibration with.
        seed: Seed of the random part of APS and of the draws.
        sets: CSV file for the set of every clip.
        out: JSON file to write.

    Raises:
        EvaluationError: too few labeled patients, or another model.

    Examples:
        >>> from heart2heart.api import conformal_sets
        >>> report = conformal_sets("evaluation", alpha=0.5, recalibrate=())
        >>> [line.site for line in report.coverage]
        ['B']
    """
    import numpy as np

    from heart2heart.evaluation.conformal import SetScore, calibrate_sets, measure_coverage, recalibrated_coverage
    from heart2heart.schema.few_labels import ConformalReport, write_few_labels
    from heart2heart.utils import write_text

    if score not in [str(each) for each in SetScore]:
        raise ConfigError(f"no score is called {score!r}", where="--score", remedy=f"Known: {', '.join(SetScore)}")
    if any(number < 1 for number in recalibrate):
        raise ConfigError("patients to recalibrate on are counted from 1", where="--recalibrate", remedy="Give 20, say")
    cases = read_cases(predictions, site=site)
    reference = None if calibration is None else read_cases(calibration, site=calibration_site)
    if reference is None:
        is_source = np.isin(cases.site, list(cases.source_sites))
        if not is_source.any():
            remedy = "Name labeled predictions with --calibration"
            raise EvaluationError(
                "the predictions hold no hospital of the training", where="calibration", remedy=remedy
            )
        reference, cases = cases.take(is_source), cases.take(~is_source) if not is_source.all() else cases
    for each in (reference, cases):
        if not each.patients_known:
            remedy = "Add a column patient with a pseudonym to the table"
            raise EvaluationError("the predictions name no patients", where="patient", remedy=remedy)
    if reference.classes != cases.classes:
        raise EvaluationError("the calibration has other classes", remedy="Predict both with one model")
    run_set = cases.run_set(method)
    chosen = SetScore(score)
    own = run_set if run_set in reference.run_sets else reference.run_set(method)
    model = calibrate_sets(reference, reference.probabilities(own), alpha=alpha, score=chosen, seed=seed)
    name = ", ".join(reference.sites)
    lines = []
    for hospital in cases.sites:
        there = cases.at(hospital)
        probabilities = there.probabilities(run_set)
        lines.append(measure_coverage(model, there, probabilities, site=hospital, calibrated_on=name))
        if there.labeled.any():
            lines += recalibrated_coverage(
                there, probabilities, alpha=alpha, score=chosen, numbers=recalibrate, seed=seed
            )
    if sets is not None:
        write_text(Path(sets), _sets_csv(cases, model.sets(cases, cases.probabilities(run_set)).tolist()))
    report = ConformalReport(
        method=run_set.label,
        score=str(chosen),
        alpha=alpha,
        threshold=model.threshold if np.isfinite(model.threshold) else None,
        calibrated_on=name,
        patients=model.patients,
        seed=seed,
        coverage=tuple(lines),
    )
    if out is not None:
        write_few_labels(report, Path(out))
    return report


def _sets_csv(cases: Cases, sets: Sequence[Sequence[bool]]) -> str:
    text = io.StringIO()
    writer = CsvWriter(text)
    writer.writerow(("site", "case", "size", "set"))
    for site, case, row in zip(cases.site.tolist(), cases.case.tolist(), sets, strict=True):
        members = [name for name, inside in zip(cases.classes, row, strict=True) if inside]
        writer.writerow((site, case, len(members), " ".join(members)))
    return text.getvalue()
