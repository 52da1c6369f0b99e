"""Features of frames follow what a copy keeps: its local contrast, in place and scaled by its echoes."""

import numpy as np
import pytest

from heart2heart.store.copy_features import FREQUENCIES, SIDE, copy_features
from tests.store.echo_frames import echo_frames


def test_copy_features_hold_one_unit_vector_a_frame_and_descriptor() -> None:
    features = copy_features(echo_frames(5))
    assert len(features) == 5
    assert features.contrast.shape == features.content.shape == (5, SIDE, SIDE)
    for descriptor in (features.in_place, features.canonical):
        assert descriptor.shape == (5, 2, FREQUENCIES**2 // 2)
        np.testing.assert_allclose((descriptor**2).sum((1, 2)), 1, atol=1e-5)


def test_copy_features_of_a_mirrored_frame_negate_the_odd_frequencies() -> None:
    frames = echo_frames(4)
    plain, mirrored = copy_features(frames), copy_features(frames[:, :, ::-1])
    np.testing.assert_allclose(mirrored.in_place[:, 0], plain.in_place[:, 0], atol=1e-4)
    np.testing.assert_allclose(mirrored.in_place[:, 1], -plain.in_place[:, 1], atol=1e-4)
    np.testing.assert_allclose(mirrored.canonical[:, 1], -plain.canonical[:, 1], atol=1e-4)


def test_copy_features_scaled_by_the_echoes_stay_where_the_frame_is_shifted() -> None:
    frames = echo_frames(4)
    frames[:, :8] = frames[:, -8:] = frames[:, :, :8] = frames[:, :, -8:] = 0
    plain, shifted = copy_features(frames), copy_features(np.roll(frames, (4, 4), axis=(1, 2)))
    in_place = (plain.in_place * shifted.in_place).sum((1, 2))
    canonical = (plain.canonical * shifted.canonical).sum((1, 2))
    assert (canonical > 0.98).all()
    assert (canonical > in_place).all()


@pytest.mark.parametrize("gray", [0, 90])
def test_copy_features_of_a_frame_of_one_gray_are_finite(gray: int) -> None:
    features = copy_features(np.full((2, 40, 40), gray, np.uint8))
    assert np.isfinite(features.in_place).all()
    assert np.isfinite(features.canonical).all()
    assert features.content.any() == (gray > 0)


def test_copy_features_of_no_frame_are_empty() -> None:
    assert len(copy_features(np.zeros((0, 64, 64), np.uint8))) == 0
