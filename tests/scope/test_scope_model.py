"""The fitted scope: what it keeps, what it leaves unanswered, and what a hospital changes."""

from dataclasses import replace

import numpy as np
import pytest

from heart2heart.api.scope_clips import join_clips
from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.scope import ScopeScoreName
from heart2heart.scope.fit import fit_scope
from heart2heart.scope.scope_model import ClipFeatures, ScopeModel, reset_scope, set_thresholds
from tests.scope.clips import CLASSES, MODES, fitted, foreign, in_scope, other_views


def answered(scope: ScopeModel, clips: ClipFeatures, name: ScopeScoreName) -> float:
    return float((scope.scores(clips, name) <= scope.record.thresholds[name]).mean())


@pytest.mark.parametrize("name", [ScopeScoreName.KNN, ScopeScoreName.MAHALANOBIS])
def test_fit_scope_keeps_known_clips_and_no_foreign_ones(name: ScopeScoreName) -> None:
    scope = fitted(keep=0.95)
    assert answered(scope, in_scope(300, 3), name) == pytest.approx(0.95, abs=0.04)
    assert answered(scope, foreign(300, 4), name) < 0.02
    assert scope.record.patients == 40
    assert scope.record.clips == 120
    assert scope.record.reference_clips == 180
    (note,) = scope.record.notes
    assert "fewer than 10 clips labeled with other views" in note


def test_fit_scope_with_labels_of_another_view_refuses_it_and_what_is_far() -> None:
    plain, taught = fitted(), fitted(other_views(30, 20))
    assert taught.deciding_score(features=True) == ScopeScoreName.JOINT
    assert (taught.record.other_clips, taught.record.notes) == (30, ())
    near, before = other_views(300, 21), plain.deciding_score(features=True)
    assert answered(plain, near, before) > 0.2
    assert answered(taught, near, ScopeScoreName.JOINT) < 0.15
    assert answered(taught, in_scope(300, 3), ScopeScoreName.JOINT) == pytest.approx(0.95, abs=0.04)
    far = replace(foreign(300, 4), features=np.array([40.0, 40, 40, -40]) + np.zeros((300, 4)))
    assert answered(taught, far, ScopeScoreName.OTHER_VIEWS) == 1.0  # on the side of the known views, and far away
    assert answered(taught, far, ScopeScoreName.JOINT) == 0.0


def test_scope_model_joint_is_the_larger_of_its_scaled_parts() -> None:
    scope, clips = fitted(other_views(30, 20)), in_scope(20, 5)
    labeled = in_scope(40, 1)
    expected = []
    for name, change, scale in ((ScopeScoreName.OTHER_VIEWS, np.asarray, 1), (ScopeScoreName.MAHALANOBIS, np.log, 1.5)):
        middle, high = np.percentile(change(scope.scores(labeled, name)), (50, 95))
        expected.append((change(scope.scores(clips, name)) - middle) / (high - middle) / scale)
    assert scope.scores(clips) == pytest.approx(np.maximum(*expected))


def test_set_thresholds_counts_the_other_views_that_pass() -> None:
    labeled = join_clips(in_scope(40, 1), other_views(50, 22))
    for scope in (fitted(), fitted(other_views(30, 20))):
        counted = set_thresholds(scope, labeled)
        assert counted.record.thresholds == scope.record.thresholds
        passed = answered(scope, other_views(50, 22), scope.deciding_score(features=True))
        assert (counted.record.foreign_clips, counted.record.foreign_answered) == (50, round(50 * passed))


def test_fit_scope_without_enough_other_views_falls_back_or_refuses() -> None:
    few = other_views(9, 20)
    assert fitted(few).deciding_score(features=True) == ScopeScoreName.MAHALANOBIS
    assert fitted(few).record.other_clips == 0
    with pytest.raises(EvaluationError, match=r"needs 10 clips labeled with other views.*--labels"):
        fitted(few, score="joint")
    with pytest.raises(EvaluationError, match="needs clips labeled with other views"):
        fitted().scores(in_scope(1, 1), ScopeScoreName.OTHER_VIEWS)


def test_fit_scope_takes_altered_copies_for_other_views_alone() -> None:
    others = other_views(30, 20)
    joined = join_clips(in_scope(60, 2), others)
    added = np.array([0, 0, 0, 1.5])  # what a machine adds to every view
    assert joined.features is not None
    assert others.features is not None
    copies = replace(joined, features=joined.features + added)
    plain, taught = (
        fit_scope(in_scope(40, 1), joined, each, classes=CLASSES, modes=MODES, weights_sha256="")
        for each in (None, copies)
    )
    same = [np.array_equal(plain.arrays[name], taught.arrays[name], equal_nan=True) for name in plain.arrays]
    assert dict(zip(plain.arrays, same, strict=True)) == {
        name: name not in ("other_means", "other_precision") for name in plain.arrays
    }
    both = np.vstack([others.features, others.features + added])
    expected = ((both - plain.arrays["centre"]) / plain.arrays["spread"]).mean(0)
    assert taught.arrays["other_means"][-1] == pytest.approx(expected)


def test_fit_scope_takes_clips_of_no_known_class_for_mean_and_spread_alone() -> None:
    unknown = other_views(60, 20, label=-1)
    scope = fitted(unknown)
    assert scope.record.reference_clips == len(scope.arrays["reference"]) == 180
    every = join_clips(in_scope(60, 2), unknown).features
    assert every is not None
    assert scope.arrays["centre"] == pytest.approx(every.mean(0))
    assert scope.arrays["site_spread"] == pytest.approx(every.std(0))


def test_set_thresholds_keeps_the_share_over_random_validation_patients() -> None:
    kept = [
        answered(set_thresholds(fitted(), in_scope(19, seed)), in_scope(200, seed + 999), ScopeScoreName.ENERGY)
        for seed in range(100, 140)
    ]
    assert np.mean(kept) >= 0.94  # at least .95 in expectation; the mean of 40 draws deviates less than .01


def test_set_thresholds_notes_too_few_patients() -> None:
    scope = set_thresholds(fitted(), in_scope(5, 6))
    assert scope.record.set_threshold is None
    assert [note.split(";")[0] for note in scope.record.notes[1:]] == ["5 labeled patients"] * 2
    assert scope.record.thresholds[ScopeScoreName.KNN] == pytest.approx(
        scope.scores(in_scope(5, 6), ScopeScoreName.KNN).max()
    )
    assert scope.sets(in_scope(9, 1).logits).sum(1).tolist() == [1] * 27


def test_set_thresholds_refuses_clips_without_a_known_view() -> None:
    with pytest.raises(EvaluationError, match="no labeled clip"):
        set_thresholds(fitted(), foreign(9, 1))


def test_scope_model_sets_cover_the_view_of_new_patients() -> None:
    clips = in_scope(300, 8, noise=6.0)
    calibrated = set_thresholds(fitted(coverage=0.9), in_scope(100, 7, noise=6.0))
    sets = calibrated.sets(clips.logits)
    assert sets[np.arange(len(clips)), clips.truth].mean() >= 0.87
    assert 1 < sets.sum(1).mean() < 3
    assert sets.any(1).all()


def test_reset_scope_moves_a_shifted_hospital_back_without_labels() -> None:
    scope, shift = fitted(), 6.0
    there, strange = in_scope(200, 9, shift=shift), foreign(200, 10, shift=shift)
    moved = reset_scope(scope, in_scope(60, 11, shift=shift), None, site="B")
    before, after = (answered(each, there, ScopeScoreName.KNN) for each in (scope, moved))
    assert before < 0.5 < 0.85 < after
    assert answered(moved, strange, ScopeScoreName.KNN) < 0.1
    assert moved.record.thresholds == scope.record.thresholds
    assert (moved.record.site, moved.record.shift_clips) == ("B", 180)


def test_reset_scope_takes_thresholds_of_enough_labeled_patients_alone() -> None:
    scope = fitted(keep=0.9)
    few, many = (reset_scope(scope, in_scope(50, 12), in_scope(count, 13), site="B") for count in (8, 9))
    assert few.record.thresholds == scope.record.thresholds
    assert many.record.thresholds != scope.record.thresholds
    assert many.record.patients == 9
    with pytest.raises(EvaluationError, match="no unlabeled clip"):
        reset_scope(scope, in_scope(0, 1), None, site="B")


def test_fit_scope_without_features_has_scores_of_logits_alone() -> None:
    bare = [replace(in_scope(30, seed), features=None) for seed in (1, 2)]
    scope = fit_scope(*bare, classes=CLASSES, modes=MODES, weights_sha256="")
    assert scope.record.thresholds.keys() == {ScopeScoreName.MAX_SOFTMAX, ScopeScoreName.ENERGY}
    assert scope.deciding_score(features=True) == ScopeScoreName.ENERGY
    assert scope.scores(in_scope(4, 3)).shape == (12,)
    with pytest.raises(EvaluationError, match="needs features"):
        fitted().scores(bare[0], ScopeScoreName.KNN)


def test_fit_scope_refuses_a_score_of_features_for_models_without() -> None:
    with pytest.raises(ConfigError, match="needs features"):
        fitted(logit_score="knn")
