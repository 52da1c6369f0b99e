"""The scope of a model, fitted: thresholds of labeled patients, and the clips that features are compared with.

The thresholds are quantiles over patients, so that patients with many clips do not decide (see `patient_quantile`). A
hospital with other machines moves the features. There the scope is set again: the mean and spread of its unlabeled
clips are moved to those of the source, and labeled clips, if there are enough, give new thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.conformal import patient_quantile, patients_needed
from heart2heart.schema.clip_probabilities import log_softmax
from heart2heart.schema.scope import (
    LOGIT_SCORES,
    OTHER_VIEW_SCORES,
    ScopeRecord,
    ScopeScoreName,
)
from heart2heart.scope.scores import (
    energy_score,
    knn_score,
    mahalanobis_score,
    max_softmax_score,
    other_view_score,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OTHER_VIEW = -2
"""Class of a clip that is labeled with a view outside the model's."""
MIN_OTHER_CLIPS = 10
"""Fewest clips labeled with other views that fit `other_views`."""
LABEL_OTHERS = "Label clips of training patients with other views, and give the label store: --labels"
"""What to do where `other_views` cannot be fitted."""
JOINT_PARTS = (ScopeScoreName.OTHER_VIEWS, ScopeScoreName.MAHALANOBIS)
"""Scores that make up `joint`."""
_FAR_SCALE = 1.5  # what is far counts less in `joint`, since it moves most between hospitals
_PRIOR_PATIENTS = 4.0  # patients that the source's mean and spread are worth when a hospital sets the scope again


@dataclass(frozen=True)
class ClipFeatures:
    """Clips as a model sees them.

    Attributes:
        logits: Mean logits of each clip's frames `(n, classes)`.
        features: Mean features of each clip's frames `(n, d)`; None: the model gives none.
        patient: Patient of each clip `(n,)`, as numbers.
        truth: Class of each clip `(n,)`; -1: not known; `OTHER_VIEW`: labeled with another view.
    """

    logits: Floats
    features: Floats | None
    patient: Ints
    truth: Ints

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.logits)

    def take(self, chosen: npt.NDArray[np.bool_]) -> ClipFeatures:
        """Return some of the clips."""
        features = None if self.features is None else self.features[chosen]
        return ClipFeatures(self.logits[chosen], features, self.patient[chosen], self.truth[chosen])


@dataclass(frozen=True)
class ScopeModel:
    """A fitted scope.

    Attributes:
        record: Its settings and thresholds.
        arrays: What the features are compared with; empty: the model gives no features.
    """

    record: ScopeRecord
    arrays: Mapping[str, Floats]

    def deciding_score(self, *, features: bool) -> ScopeScoreName:
        """Return the score that decides, for a model that gives features or one that does not."""
        settings = self.record.settings
        if not features or not self.arrays:
            return settings.logit_score
        fitted = ScopeScoreName.JOINT if "other_means" in self.arrays else ScopeScoreName.MAHALANOBIS
        return settings.score or fitted

    def scores(self, clips: ClipFeatures, name: ScopeScoreName | None = None) -> Floats:
        """Return the score of each clip `(n,)`.

        Args:
            clips: The clips.
            name: The score; None takes the one that decides.
        """
        name = name or self.deciding_score(features=clips.features is not None)
        if name == ScopeScoreName.MAX_SOFTMAX:
            return max_softmax_score(clips.logits)
        if name == ScopeScoreName.ENERGY:
            return energy_score(clips.logits)
        if clips.features is None or not self.arrays:
            what = f"the score {name} needs features, which this model does not give"
            raise EvaluationError(what, where="scope", remedy=f"Choose {' or '.join(LOGIT_SCORES)}")
        if name in OTHER_VIEW_SCORES and "other_means" not in self.arrays:
            what = f"the score {name} needs clips labeled with other views, of which there are too few"
            raise EvaluationError(what, where="scope", remedy=LABEL_OTHERS)
        return self._feature_score(self._aligned(clips.features), name)

    def _feature_score(self, features: Floats, name: ScopeScoreName) -> Floats:
        if name == ScopeScoreName.JOINT:
            other, far = (self._feature_score(features, part) for part in JOINT_PARTS)
            return np.maximum(
                self._scaled(other, JOINT_PARTS[0]), self._scaled(np.log(far), JOINT_PARTS[1]) / _FAR_SCALE
            )
        if name == ScopeScoreName.OTHER_VIEWS:
            return other_view_score(features, self.arrays["other_means"], self.arrays["other_precision"])
        if name == ScopeScoreName.MAHALANOBIS:
            return mahalanobis_score(features, self.arrays["means"], self.arrays["precision"])
        return knn_score(features, self.arrays["reference"], self.record.settings.neighbours)

    def _scaled(self, scores: Floats, part: ScopeScoreName) -> Floats:
        middle, spread = self.record.scales[part]
        return (scores - middle) / spread

    def sets(self, logits: Floats) -> npt.NDArray[np.bool_]:
        """Return which views are possible for each clip `(n, classes)`: the likeliest one, and those of its set."""
        probabilities = np.exp(log_softmax(logits))
        limit = self.record.set_threshold
        inside = np.zeros(probabilities.shape, bool) if limit is None else 1 - probabilities <= limit
        inside[np.arange(len(inside)), probabilities.argmax(1)] = True
        return inside

    def _aligned(self, features: Floats) -> Floats:
        return np.asarray((features - self.arrays["site_centre"]) / self.arrays["site_spread"], np.float64)


def known_clips(labeled: ClipFeatures) -> ClipFeatures:
    """Return the clips of a view of the model; at least one is needed."""
    known = labeled.take(labeled.truth >= 0)
    if not len(known):
        what = "no labeled clip of a view of the model"
        raise EvaluationError(what, where="scope", remedy="Label clips of at least 9 patients")
    return known


def set_thresholds(scope: ScopeModel, labeled: ClipFeatures) -> ScopeModel:
    """Return a scope with the thresholds that labeled clips give, each patient counted once.

    With too few patients for the share that is to be kept, the largest score is the threshold, and a note says so; with
    too few for the coverage, no sets are made.

    Args:
        scope: The scope.
        labeled: Labeled clips; those of another view tell how many such clips pass.

    Raises:
        EvaluationError: no labeled clip of a class of the model.
    """
    foreign, labeled = labeled.take(labeled.truth == OTHER_VIEW), known_clips(labeled)
    settings, patients = scope.record.settings, len(np.unique(labeled.patient))
    with_features = bool(scope.arrays) and labeled.features is not None
    names = [name for name in ScopeScoreName if name in LOGIT_SCORES or with_features]
    if "other_means" not in scope.arrays:
        names = [name for name in names if name not in OTHER_VIEW_SCORES]
    thresholds, notes = {}, []
    if with_features and "other_means" not in scope.arrays:
        notes.append(f"fewer than {MIN_OTHER_CLIPS} clips labeled with other views, most of which will be answered")
    for name in names:
        scores = scope.scores(labeled, name)
        limit = patient_quantile(scores, labeled.patient, 1 - settings.keep)
        thresholds[name] = limit if np.isfinite(limit) else float(scores.max())
    if patients < patients_needed(1 - settings.keep):
        notes.append(
            f"{patients} labeled patients; {patients_needed(1 - settings.keep)} are needed to keep "
            f"{settings.keep:.0%}, so the largest score of theirs is the threshold"
        )
    probabilities = np.exp(log_softmax(labeled.logits))
    own = 1 - probabilities[np.arange(len(labeled)), labeled.truth]
    limit = patient_quantile(own, labeled.patient, 1 - settings.coverage)
    if not np.isfinite(limit):
        notes.append(
            f"{patients} labeled patients; {patients_needed(1 - settings.coverage)} are needed for sets with a "
            f"coverage of {settings.coverage:.0%}, so no sets are made"
        )
    name = scope.deciding_score(features=with_features)
    passed = scope.scores(foreign, name) <= thresholds[name] if len(foreign) else np.zeros(0, bool)
    changes = {
        "foreign_clips": len(foreign), "foreign_answered": int(passed.sum()),
        "thresholds": thresholds, "set_threshold": limit if np.isfinite(limit) else None, "patients": patients,
        "clips": len(labeled), "notes": tuple(notes),
    }  # fmt: skip
    return replace(scope, record=scope.record.model_copy(update=changes))


def reset_scope(scope: ScopeModel, unlabeled: ClipFeatures, labeled: ClipFeatures | None, *, site: str) -> ScopeModel:
    """Return a scope that is set again at a hospital.

    The mean and spread of its unlabeled clips, each patient counted once, are moved to those of the source; those of n
    patients weigh n / (n + 4), and the source's the rest.

    Args:
        scope: The scope of the source.
        unlabeled: Clips of the hospital in the modes that are answered.
        labeled: Labeled clips; None, or fewer patients than the share to keep needs, leaves the thresholds.
        site: Name of the hospital.

    Raises:
        EvaluationError: no unlabeled clip.
    """
    if not len(unlabeled):
        raise EvaluationError("no unlabeled clip in the modes of the model", where=site, remedy="Ingest clips")
    arrays = dict(scope.arrays)
    if arrays and unlabeled.features is not None:
        _, member, counts = np.unique(unlabeled.patient, return_inverse=True, return_counts=True)
        weight = (1 / counts[member] / len(counts))[:, None]
        mean = (weight * unlabeled.features).sum(0)
        deviation = np.sqrt((weight * (unlabeled.features - mean) ** 2).sum(0))
        share = len(counts) / (len(counts) + _PRIOR_PATIENTS)
        arrays["site_centre"] = share * mean + (1 - share) * arrays["centre"]
        arrays["site_spread"] = share * np.maximum(deviation, 1e-3 * arrays["spread"]) + (1 - share) * arrays["spread"]
    record = scope.record.model_copy(update={"site": site, "shift_clips": len(unlabeled)})
    moved = ScopeModel(record, arrays)
    enough = labeled is not None and len(np.unique(labeled.patient[labeled.truth >= 0])) >= patients_needed(
        1 - record.settings.keep
    )
    return set_thresholds(moved, labeled) if enough and labeled is not None else moved
