"""Registration finds the map between a frame and its copy, as a search over all maps does."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from heart2heart.splits.planted_copies import COPY_KINDS, transformed
from heart2heart.store.copy_features import CopyFeatures, copy_features
from heart2heart.store.registration import overlay, register, registered_correlation
from tests.store.echo_frames import echo_frames

FRAMES = echo_frames(6)


def scores(
    left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8], mirrored: bool = False
) -> npt.NDArray[np.float32]:
    return registered_correlation(copy_features(left), copy_features(right), np.full(len(left), mirrored))


def best_of_grid(left: CopyFeatures, right: CopyFeatures) -> float:
    """Highest correlation of one pair over a grid of turns, scales and shifts, by another program."""
    side = left.contrast.shape[-1]
    middle = (side - 1) / 2
    best = -1.0
    for degrees in (0.0, 4.0, 8.0):
        for scale in (0.9, 1.0, 1.1):
            turn = np.deg2rad(degrees)
            matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
            for down in (-2, 0, 2):
                for along in (-2, 0, 2):
                    offset = middle - matrix @ np.full(2, middle) + np.array([down, along])
                    moved, there = (
                        ndimage.affine_transform(picture[0], matrix, offset=offset, order=1)
                        for picture in (right.contrast, right.content)
                    )
                    inside = (left.content[0] > 0) & (there > 0.5)
                    best = max(best, float(np.corrcoef(left.contrast[0][inside], moved[inside])[0, 1]))
    return best


@pytest.mark.parametrize("kind", COPY_KINDS)
def test_registered_correlation_tells_copies_of_each_kind_from_other_frames(kind: str) -> None:
    copies = np.stack([COPY_KINDS[kind](frame) for frame in FRAMES])
    assert scores(copies, FRAMES, kind == "flip").min() > 0.85
    assert scores(copies, np.roll(FRAMES, 1, axis=0), kind == "flip").max() < 0.7


@pytest.mark.parametrize(("degrees", "scale"), [(0.0, 1.0), (4.0, 1.0), (8.0, 1.0), (0.0, 1.1), (4.0, 0.9)])
def test_registered_correlation_reaches_the_best_of_a_grid(degrees: float, scale: float) -> None:
    copy = transformed(FRAMES[0], scale=(scale, scale), degrees=degrees)[None]
    left, right = copy_features(copy), copy_features(FRAMES[:1])
    assert registered_correlation(left, right, np.zeros(1, bool))[0] > best_of_grid(left, right) - 0.02


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), mirrored=st.booleans())
def test_registered_correlation_is_bounded_and_one_with_itself(seed: int, mirrored: bool) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    other = frames[:, :, ::-1] if mirrored else frames
    assert scores(frames, other, mirrored).min() > 0.99
    unlike = scores(frames, np.roll(frames, 1, axis=0), mirrored)
    assert (np.abs(unlike) <= 1.0001).all()
    assert (unlike < 0.7).all()


def test_registered_correlation_of_blank_frames_is_zero() -> None:
    blank = np.zeros((2, 64, 64), np.uint8)
    assert scores(blank, FRAMES[:2]).tolist() == [0, 0]
    assert scores(FRAMES[:2], np.full_like(blank, 80)).tolist() == [0, 0]


@pytest.mark.parametrize(("degrees", "shift", "mirrored"), [(4.0, 0.0, False), (0.0, 0.04, False), (4.0, 0.02, True)])
def test_overlay_undoes_what_was_done_to_a_copy(degrees: float, shift: float, mirrored: bool) -> None:
    copies = np.stack([transformed(frame, degrees=degrees, shift=shift) for frame in FRAMES])
    copies = copies[:, :, ::-1] if mirrored else copies
    maps, _ = register(copy_features(FRAMES), copy_features(copies), np.full(len(FRAMES), mirrored))
    for frame, copy, to_copy in zip(FRAMES, copies, maps, strict=True):
        laid = overlay(copy, to_copy, mirrored=mirrored)
        inside = (laid > 0) & (frame > 0)
        assert np.corrcoef(frame[inside], laid[inside])[0, 1] > 0.97
