"""Fits the scope of a model on clips of its source.

Features are standardised by the clips of the source. Clips that are labeled with other views, if there are enough, fit
the score `other_views`; a clip that is far from all views needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from heart2heart.errors import EvaluationError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.scope import OTHER_VIEW_SCORES, ScopeRecord, ScopeScoreName, ScopeSettings
from heart2heart.scope.scope_model import (
    JOINT_PARTS,
    LABEL_OTHERS,
    MIN_OTHER_CLIPS,
    OTHER_VIEW,
    ClipFeatures,
    ScopeModel,
    known_clips,
    set_thresholds,
)
from heart2heart.scope.scores import DISCRIMINANT_SHRINKAGE, class_precision

Floats = npt.NDArray[np.float64]


def fit_scope(
    labeled: ClipFeatures,
    reference: ClipFeatures,
    copies: ClipFeatures | None = None,
    *,
    classes: Sequence[str],
    modes: Sequence[ClipMode],
    weights_sha256: str,
    settings: ScopeSettings | None = None,
) -> ScopeModel:
    """Fit the scope of a model on clips of its source.

    Args:
        labeled: Labeled clips of patients that the model was not trained with, such as the validation patients; those
            of another view are left out.
        reference: Clips that features are compared with, such as those of training and pool. `truth` is their class,
            labeled or predicted; clips of no known class serve the mean and spread alone, and those that are labeled
            with another view the score `other_views`.
        copies: Altered copies of labeled clips of the reference, for the score `other_views` alone.
        classes: Class names, in the order of the logits.
        modes: Modes of clips that are answered.
        weights_sha256: Hash of the file with the weights.
        settings: How to fit.

    Raises:
        EvaluationError: no labeled clip or no reference clip of a class of the model, or too few clips of other views
            for the score that the settings ask for.
    """
    settings = settings or ScopeSettings()
    arrays: dict[str, Floats] = {}
    others = 0
    if reference.features is not None and labeled.features is not None:
        arrays, others = _fit_arrays(reference, copies, len(classes))
    record = ScopeRecord(
        weights_sha256=weights_sha256, classes=tuple(classes), modes=tuple(modes), settings=settings, thresholds={},
        set_threshold=None, patients=0, clips=0, reference_clips=int((reference.truth >= 0).sum()), other_clips=others,
        arrays_sha256="",
    )  # fmt: skip
    if settings.score in OTHER_VIEW_SCORES and not others:
        what = f"the score {settings.score} needs {MIN_OTHER_CLIPS} clips labeled with other views"
        raise EvaluationError(what, where="scope", remedy=LABEL_OTHERS)
    scope = ScopeModel(record, arrays)
    if others:
        scope = replace(scope, record=record.model_copy(update={"scales": _scales(scope, labeled)}))
    return set_thresholds(scope, labeled)


def _fit_arrays(reference: ClipFeatures, copies: ClipFeatures | None, classes: int) -> tuple[dict[str, Floats], int]:
    """Return what features are compared with, and the number of clips that fitted `other_views`."""
    assert reference.features is not None
    known, other = reference.truth >= 0, reference.truth == OTHER_VIEW
    if not known.any():
        raise EvaluationError("no clip to compare features with", where="scope", remedy="Name the training store")
    centre, spread = reference.features.mean(0), _spread(reference.features)
    standard = (reference.features - centre) / spread
    means, precision = class_precision(standard[known], reference.truth[known], classes)
    arrays = {
        "reference": standard[known], "means": means, "precision": precision, "centre": centre, "spread": spread,
        "site_centre": centre, "site_spread": spread,
    }  # fmt: skip
    if other.sum() < MIN_OTHER_CLIPS:
        return arrays, 0
    features, truth = [standard], [reference.truth]
    if copies is not None and copies.features is not None:
        features.append((copies.features - centre) / spread)
        truth.append(copies.truth)
    label = np.concatenate(truth)
    label[label == OTHER_VIEW] = classes
    arrays["other_means"], arrays["other_precision"] = class_precision(
        np.concatenate(features)[label >= 0], label[label >= 0], classes + 1, DISCRIMINANT_SHRINKAGE
    )
    return arrays, int(other.sum())


def _scales(scope: ScopeModel, labeled: ClipFeatures) -> dict[ScopeScoreName, tuple[float, float]]:
    """Return median of each part of `joint` over labeled clips in scope, and its distance to the 95th percentile."""
    labeled = known_clips(labeled)
    other, far = (scope.scores(labeled, part) for part in JOINT_PARTS)
    quantiles = [np.quantile(each, (0.5, 0.95)) for each in (other, np.log(far))]
    return {
        part: (float(middle), float(max(high - middle, 1e-9)))
        for part, (middle, high) in zip(JOINT_PARTS, quantiles, strict=True)
    }


def _spread(features: Floats) -> Floats:
    """Return the standard deviation of each feature, never zero."""
    spread = features.std(0)
    return np.asarray(np.maximum(spread, 1e-3 * max(float(spread.mean()), 1e-9)), np.float64)
