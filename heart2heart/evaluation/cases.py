"""Cases: the clips of predictions with or without labels, each with its hospital and its patient.

Estimates from few labels, conformal sets and the monitor read cases. A clip is one case; the log-probabilities of its
frames are averaged, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.run_groups import group_runs
from heart2heart.evaluation.samples import factorize
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax
from heart2heart.schema.enums import PredictionRole
from heart2heart.schema.predictions import Predictions

Texts = npt.NDArray[np.object_]
Bools = npt.NDArray[np.bool_]

UNLABELED = -1
"""Truth of a case without a label."""
OUTSIDE = -2
"""Truth of a case whose label is no class of the model."""


@dataclass(frozen=True)
class RunSet:
    """Runs that differ in their seed alone: their name for readers, and their positions."""

    label: str
    runs: tuple[int, ...]


@dataclass(frozen=True)
class Cases:
    """The cases of one file of predictions.

    Attributes:
        classes: Names of the classes.
        site: Hospital of each case `(n,)`.
        patient: Patient of each case `(n,)`, from 0; patients of two hospitals differ.
        case: Name of each case `(n,)`, unique within its hospital.
        truth: True class `(n,)`, `UNLABELED` or `OUTSIDE`.
        log_p: Log-probabilities `(runs, n, classes)`.
        quality: Image quality `(n,)`; NaN where unknown.
        run_sets: Runs by method.
        source_sites: Hospitals that the model was trained at, as far as known.
        patients_known: Whether the file names patients; else every case counts as a patient.
        mixed: Clips that are left out, because their frames have different labels.
    """

    classes: tuple[str, ...]
    site: Texts
    patient: Ints
    case: Texts
    truth: Ints
    log_p: Floats
    quality: Floats
    run_sets: tuple[RunSet, ...]
    source_sites: tuple[str, ...] = ()
    patients_known: bool = True
    mixed: int = 0

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.truth)

    @property
    def sites(self) -> list[str]:
        """The hospitals, sorted."""
        return sorted(set(self.site.tolist()))

    @property
    def labeled(self) -> Bools:
        """Whether the true class of each case is known and is a class of the model `(n,)`."""
        return self.truth >= 0

    def take(self, chosen: Bools) -> Cases:
        """Return the chosen cases; patients are numbered anew."""
        _, patient = np.unique(self.patient[chosen], return_inverse=True)
        return replace(
            self, site=self.site[chosen], patient=patient.astype(np.int64), case=self.case[chosen],
            truth=self.truth[chosen], log_p=self.log_p[:, chosen], quality=self.quality[chosen],
        )  # fmt: skip

    def at(self, site: str) -> Cases:
        """Return the cases of one hospital.

        Raises:
            EvaluationError: no case of this hospital.
        """
        chosen = self.site == site
        if not chosen.any():
            remedy = f"Name one of: {', '.join(self.sites)}"
            raise EvaluationError("the predictions have no case of this hospital", where=site, remedy=remedy)
        return self.take(chosen)

    def run_set(self, label: str | None = None) -> RunSet:
        """Return the method called `label`; without a name, the only one.

        Raises:
            EvaluationError: no such method, or several where none is named.
        """
        names = [each.label for each in self.run_sets]
        if label is None and len(names) == 1:
            return self.run_sets[0]
        if label not in names:
            what = "the predictions hold several methods" if label is None else f"no method {label!r} is here"
            raise EvaluationError(what, where="method", remedy=f"Name one with --method: {', '.join(names)}")
        return self.run_sets[names.index(label or "")]

    def probabilities(self, run_set: RunSet) -> Floats:
        """Return the probabilities `(n, classes)` of the ensemble: the mean of the log-probabilities, renormalised."""
        mean: Floats = np.exp(log_softmax(self.log_p[list(run_set.runs)].mean(0)))
        return mean

    def with_labels(self, labels: Mapping[str, str]) -> Cases:
        """Return the same cases with the truth from `labels` alone: name of the case to class.

        Raises:
            EvaluationError: no case has a label, or a name is used at several hospitals.
        """
        if len(set(self.case.tolist())) < len(self):
            what = "two hospitals use the same name for a case, so labels by name are not unique"
            raise EvaluationError(what, remedy="Name one hospital with --site")
        index = {name: position for position, name in enumerate(self.classes)}
        values = [labels.get(name) for name in self.case.tolist()]
        truth = np.array([UNLABELED if value is None else index.get(value, OUTSIDE) for value in values], np.int64)
        if not (truth != UNLABELED).any():
            remedy = "Labels and predictions must use the same names of clips"
            raise EvaluationError("none of these cases has a label", remedy=remedy)
        return replace(self, truth=truth)


def cases_of_predictions(predictions: Predictions) -> Cases:
    """Return the clips of the test frames; frames of other roles are left out.

    Raises:
        EvaluationError: no test frame, or the runs were tested on different frames.

    Examples:
        >>> from pathlib import Path
        >>> cases = cases_of_predictions(Predictions.read(Path("evaluation/predictions.parquet")))
        >>> cases.sites, len(cases.run_sets)
        (['A', 'B'], 1)
    """
    provenance, table = predictions.provenance, predictions.table
    names = ("run", "role", "site", "patient", "clip", "frame", "truth")
    ranks = {name: factorize(table[name]) for name in names}
    column = {name: values[0] for name, values in ranks.items()}
    run_names, roles, views = ranks["run"][1], ranks["role"][1], ranks["truth"][1]
    tested = column["role"] == (roles.index(PredictionRole.TEST) if PredictionRole.TEST in roles else -2)
    rows = [_rows_of_run(column, tested, run_names, run.run) for run in provenance.runs]
    keys = [np.stack([column[name][each] for name in ("site", "frame", "truth")]) for each in rows]
    if not rows or not len(rows[0]):
        remedy = "Evaluate the run again, with a split that has test frames"
        raise EvaluationError("these predictions hold no test frame", remedy=remedy)
    if any(not np.array_equal(keys[0], other) for other in keys[1:]):
        what = "the runs were not tested on the same frames with the same truth"
        raise EvaluationError(what, remedy="Evaluate all runs again with one split and one store")
    class_of = np.array(
        [*(provenance.classes.index(v) if v in provenance.classes else OUTSIDE for v in views), UNLABELED], np.int64
    )
    first_rows = rows[0]
    group = column["site"][first_rows] * (len(ranks["clip"][1]) + 1) + column["clip"][first_rows]
    patient = column["site"][first_rows] * (len(ranks["patient"][1]) + 1) + column["patient"][first_rows]
    return group_cases(
        provenance.classes,
        site=np.array(ranks["site"][1], object)[column["site"][first_rows]],
        patient=patient,
        name=np.array(ranks["clip"][1], object)[column["clip"][first_rows]],
        group=group,
        truth=class_of[column["truth"][first_rows]],
        log_p=np.stack([log_softmax(predictions.logits[each]) for each in rows]),
        quality=table["quality"].to_numpy(zero_copy_only=False).astype(np.float64)[first_rows],
        run_sets=tuple(RunSet(each.label, each.runs) for each in group_runs(provenance.runs)),
        source_sites=provenance.split.source_sites,
    )


def group_cases(
    classes: tuple[str, ...],
    *,
    site: Texts,
    patient: Ints,
    name: Texts,
    group: Ints,
    truth: Ints,
    log_p: Floats,
    quality: Floats,
    run_sets: tuple[RunSet, ...],
    source_sites: tuple[str, ...] = (),
    patients_known: bool = True,
) -> Cases:
    """Join the frames of each group into one case; groups whose frames have different labels are left out.

    Args:
        classes: Names of the classes.
        site: Hospital of each frame `(f,)`.
        patient: Patient of each frame `(f,)`, any numbers.
        name: Name of the case of each frame `(f,)`.
        group: Case of each frame `(f,)`, any numbers.
        truth: Truth of each frame `(f,)`, as in `Cases`.
        log_p: Log-probabilities `(runs, f, classes)`.
        quality: Image quality `(f,)`; NaN where unknown.
        run_sets: Runs by method.
        source_sites: Hospitals of the training.
        patients_known: Whether the patients are known.
    """
    _, first, member = np.unique(group, return_index=True, return_inverse=True)
    mixed = np.bincount(member, weights=truth != truth[first][member]) > 0
    scores = np.stack([clip_log_probabilities(run, member, len(first)) for run in log_p])
    kept = first[~mixed]
    if not len(kept):
        raise EvaluationError("every clip has frames with different labels", remedy="Check the labels of the frames")
    means: Floats = np.bincount(member, weights=quality) / np.bincount(member)
    _, numbered = np.unique(patient[kept], return_inverse=True)
    return Cases(
        classes=classes,
        site=site[kept],
        patient=numbered.astype(np.int64),
        case=name[kept],
        truth=truth[kept],
        log_p=scores[:, ~mixed],
        quality=means[~mixed],
        run_sets=run_sets,
        source_sites=source_sites,
        patients_known=patients_known,
        mixed=int(mixed.sum()),
    )


def _rows_of_run(column: dict[str, Ints], tested: Bools, run_names: list[str], run: str) -> Ints:
    """Return the test rows of one run, by hospital and frame."""
    rows = np.flatnonzero(tested & (column["run"] == run_names.index(run))) if run in run_names else np.empty(0, int)
    return rows[np.lexsort((column["frame"][rows], column["site"][rows]))]
