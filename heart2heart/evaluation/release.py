"""Makes the counts that may leave a hospital: suppressed sufficient statistics of its predictions, and no row."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import heart2heart
from heart2heart.errors import EvaluationError
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.confidence import diagram_bins
from heart2heart.evaluation.contrasts import correlations, shares_by_cluster
from heart2heart.evaluation.evaluate import check_predictions
from heart2heart.evaluation.probabilities import brier_rows, equal_mass_bins, log_probabilities, nll_rows
from heart2heart.evaluation.run_groups import group_runs
from heart2heart.evaluation.samples import read_samples
from heart2heart.evaluation.sites import Aggregation, ScoredSite, arrange
from heart2heart.evaluation.suppression import hidden_cells, hidden_pairs, hide_class, hide_outcome, is_few
from heart2heart.schema.counts import (
    SMALLEST_CELL,
    CheckResult,
    ClassCounts,
    Hidden,
    HospitalCounts,
    LevelCounts,
    OutcomeCounts,
    RunCounts,
    RunName,
)
from heart2heart.schema.predictions import Predictions, Provenance
from heart2heart.schema.site_metrics import ReliabilityBin
from heart2heart.utils import sha256_json

_DIGITS = 6


def release_counts(predictions: Predictions) -> tuple[HospitalCounts, ...]:
    r"""Return what may leave each hospital of some predictions.

    Args:
        predictions: Certified predictions of an evaluation or a validation.

    Returns:
        One item a hospital with scored frames, in the order of the provenance. Of a validation, a source that is scored
        beside it is left out where nothing of it may leave.

    Raises:
        EvaluationError: the predictions fail a check of `check_predictions`, or every class of a hospital is hidden.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.api.validation_tables import certified_table
        >>> lines = [f"{i},p{i // 2},E,{'ab'[i % 2]},0.{1 + i % 9},0.{9 - i % 9}\n" for i in range(60)]
        >>> _ = Path("release.csv").write_text("case,patient,site,truth,a,b\n" + "".join(lines))
        >>> options = {"task": "severity", "name": None, "synthetic": True, "command": "example"}
        >>> (counts,) = release_counts(certified_table(Path("release.csv"), None, **options))
        >>> counts.site, counts.frames.patients, counts.frames.classes[0].rows
        ('E', 30, 30)
    """
    check_predictions(predictions)
    samples, _ = read_samples(predictions)
    certificate, released = predictions.provenance.validation, []
    for info, sample in zip(predictions.provenance.sites, samples, strict=True):
        site = arrange(info, sample, replicates=1, seed=0)
        beside = certificate is not None and info.site not in certificate.sites
        if site is not None and not (beside and _all_hidden(_level(site.frames))):
            released.append(_hospital(site, predictions.provenance))
    return tuple(released)


def _all_hidden(frames: LevelCounts) -> bool:
    return all(counts.hidden or not counts.rows for counts in frames.classes)


def _hospital(site: ScoredSite, provenance: Provenance) -> HospitalCounts:
    frames = _level(site.frames)
    if _all_hidden(frames):
        what = f"nothing can leave: every class comes from fewer than {SMALLEST_CELL} patients, or mostly from one"
        raise EvaluationError(what, where=f"hospital {site.name}", remedy="Label more patients")
    whole = frames.rows is not None
    runs = tuple(
        _with_confidence(run, site, index) if whole and not any(each.hidden for each in run.outcomes) else run
        for index, run in enumerate(_with_confusion(site.frames, frames))
    )
    label_of = {index: method.label for method in group_runs(provenance.runs) for index in method.runs}
    split, certificate = provenance.split, provenance.validation
    return HospitalCounts(
        code_version=heart2heart.__version__,
        created=provenance.created,
        first_look=min(filter(None, (split.first_test_access, provenance.created))),
        site=site.name,
        held_out=site.held_out,
        synthetic=site.info.synthetic,
        task=provenance.task,
        unit=split.unit,
        classes=provenance.classes,
        runs=tuple(
            RunName(run=run.run, method=label_of[index], seed=run.seed, model_sha256=model_sha256(provenance, index))
            for index, run in enumerate(provenance.runs)
        ),
        training_data=certificate.training_data if certificate else None,
        training_data_note=certificate.sentence() if certificate else None,
        checks=tuple(CheckResult(name=check.name, status=check.status) for check in split.checks),
        certificate_sha256=split.certificate_sha256,
        manifest_sha256=split.sha256 or None,
        margin=provenance.margin,
        frames=frames.model_copy(update={"runs": runs}),
        clips=_clip_level(site.clips, frames),
    )


def model_sha256(provenance: Provenance, index: int) -> str | None:
    """Return the hash by which the model of a run is known elsewhere; None for a table, whose model has none.

    Args:
        provenance: Provenance of the predictions.
        index: Position of the run.
    """
    run, certificate = provenance.runs[index], provenance.validation
    if certificate is None:
        return sha256_json([run.config_sha256, provenance.split.sha256, run.selected_step, run.seed])
    if certificate.store_sha256 is None:
        return None
    return certificate.models[index] if certificate.models else certificate.model_sha256


def _clip_level(clips: Aggregation, frames: LevelCounts) -> LevelCounts:
    """Return the counts of clips; a class is hidden where the difference from the frames would show few patients."""
    also = [
        counts.hidden or (Hidden.FEW_PATIENTS if is_few((counts.patients or 0) - int(number)) else None)
        for counts, number in zip(frames.classes, clips.view_clusters, strict=True)
    ]
    level = _level(clips, also)
    fewer = is_few((frames.patients or 0) - (level.patients or 0))  # patients without a clip of one view
    return level.model_copy(update={"patients": None}) if fewer else level


def _level(level: Aggregation, also_hidden: Sequence[Hidden | None] = ()) -> LevelCounts:
    rows: Floats = level.confusion[0].sum(-1)
    correct: Floats = np.diagonal(level.confusion, axis1=2, axis2=3)
    size = rows.shape[1]
    hidden = [hide_class(rows[:, label]) or (also_hidden or [None] * size)[label] for label in range(size)]
    classes = tuple(_class(rows[:, label], hidden[label]) for label in range(size))
    outcomes, influence = [], []
    for run in correct:
        shares = shares_by_cluster(run, rows, level.sample)
        errors = np.sqrt((shares.influence**2).sum(0))
        influence.append(shares.influence)
        outcomes.append([_outcome(rows[:, a], run[:, a], float(errors[a]), hidden[a]) for a in range(size)])
    shown = [label for label in range(size) if hidden[label] is None and rows[:, label].any()]
    together = np.concatenate(influence, axis=1)
    kept = np.array([outcome.hidden is None for each in outcomes for outcome in each])
    secret = hidden_pairs(rows, correct) | ~np.outer(kept, kept)
    patients = int((rows.sum(1) > 0).sum())
    complete = not any(hidden)
    lacking = any(is_few(patients - int(number)) for number in (rows > 0).sum(0)[shown])
    return LevelCounts(
        patients=patients if complete and not lacking else None,
        rows=int(rows.sum()) if complete else None,
        classes=classes,
        runs=tuple(RunCounts(outcomes=tuple(each)) for each in outcomes),
        correlation=tuple(
            tuple(None if secret[i, j] else round(float(value), _DIGITS) for j, value in enumerate(line))
            for i, line in enumerate(np.clip(correlations(together), -1, 1))
        ),
        degrees=_degrees(rows[:, shown]),
    )


def _class(rows: Floats, hidden: Hidden | None) -> ClassCounts:
    if hidden is not None:
        return ClassCounts(patients=None, rows=None, spread=None, hidden=hidden)
    total = float(rows.sum())
    spread = _rounded(total**2 / float((rows**2).sum())) if total else None
    return ClassCounts(patients=int((rows > 0).sum()), rows=int(total), spread=spread)


def _outcome(rows: Floats, correct: Floats, error: float, class_hidden: Hidden | None) -> OutcomeCounts:
    if class_hidden is not None:
        return OutcomeCounts(correct=None, error=None, hidden=Hidden.CLASS_HIDDEN)
    hidden = hide_outcome(rows, correct)
    if hidden is None:
        enough = (rows > 0).sum() > 1
        return OutcomeCounts(correct=int(correct.sum()), error=_rounded(error) if enough else None)
    at_least = None
    if hidden is Hidden.FEW_WRONG:
        largest = np.sort(rows)[-SMALLEST_CELL:].sum()
        at_least = math.floor(100 * (1 - largest / rows.sum())) / 100
    return OutcomeCounts(correct=None, error=None, hidden=hidden, at_least=at_least)


def _degrees(rows: Floats) -> float | None:
    """Return the degrees of freedom of a difference of two runs with equal weights; see `contrasts`."""
    if not rows.shape[1]:
        return None
    spread = ((rows / rows.sum(0)) ** 2).sum(1)
    return _rounded(float(spread.sum() ** 2 / (spread**2).sum()) - 1)


def _with_confusion(level: Aggregation, counts: LevelCounts) -> list[RunCounts]:
    runs = []
    for confusion, run in zip(level.confusion, counts.runs, strict=True):
        matrix = []
        for label, outcome in enumerate(run.outcomes):
            cells = confusion[:, label]
            if counts.classes[label].hidden:
                matrix.append((None,) * cells.shape[1])
                continue
            secret = hidden_cells(cells, label, diagonal=outcome.hidden is not None)
            sums = cells.sum(0).tolist()
            matrix.append(tuple(None if secret[index] else int(value) for index, value in enumerate(sums)))
        runs.append(run.model_copy(update={"confusion": tuple(matrix)}))
    return runs


def _with_confidence(run: RunCounts, site: ScoredSite, index: int) -> RunCounts:
    """Return the counts of a run without a hidden cell, with its calibration."""
    log_p = log_probabilities(site.sample.logits[index, site.sample.scored])
    return run.model_copy(
        update={
            "reliability": _bins(site, log_p),
            "nll": round(float(nll_rows(log_p, site.truth).mean()), 4),
            "brier": round(float(brier_rows(log_p, site.truth).mean()), 4),
        }
    )


def _bins(site: ScoredSite, log_p: Floats) -> tuple[ReliabilityBin, ...]:
    """Return the reliability diagram with neighbouring bins joined until none shows few patients."""
    confidence, correct = np.exp(log_p.max(1)), log_p.argmax(1) == site.truth
    bin_of = equal_mass_bins(confidence, diagram_bins(len(correct)))
    bins = [np.flatnonzero(bin_of == index) for index in np.unique(bin_of)]

    def shows_few(members: npt.NDArray[np.int64]) -> bool:
        sides = (members, members[correct[members]], members[~correct[members]])
        return any(is_few(len(np.unique(site.cluster[side]))) for side in sides)

    joined = [bins[0]]
    for members in bins[1:]:
        if shows_few(joined[-1]):
            joined[-1] = np.concatenate([joined[-1], members])
        else:
            joined.append(members)
    while len(joined) > 1 and shows_few(joined[-1]):
        last = joined.pop()
        joined[-1] = np.concatenate([joined[-1], last])
    return tuple(
        ReliabilityBin(
            confidence=round(float(confidence[members].mean()), _DIGITS),
            accuracy=round(float(correct[members].mean()), _DIGITS),
            n=len(members),
        )
        for members in joined
        if not shows_few(members)
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
