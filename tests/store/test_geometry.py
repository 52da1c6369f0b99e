"""Where a picture goes inside its square frame; resampling against area averaging written out from its definition."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.errors import StoreError, UnknownNameError
from heart2heart.store.geometry import VERSIONS, Geometry, Resampler, Window

EXTENT = st.floats(0.01, 1e4)


@given(st.sampled_from(sorted(VERSIONS)), st.integers(8, 1024), EXTENT, EXTENT)
def test_letterbox_fills_the_longest_side_and_pads_the_rest(name: str, size: int, height: float, width: float) -> None:
    spot = Geometry(name, size).letterbox(height, width)
    assert max(spot.height, spot.width) == size
    assert min(spot.height, spot.width) >= 1
    assert spot.top + spot.height <= size
    assert spot.left + spot.width <= size
    assert abs(spot.height - height / spot.step) <= 1
    assert abs(spot.width - width / spot.step) <= 1
    if name == "tmed2":
        assert (spot.top, spot.left) == (0, 0)
    else:
        assert abs(size - spot.height - 2 * spot.top) <= 1
        assert abs(size - spot.width - 2 * spot.left) <= 1


def test_geometry_has_names_sizes_and_json() -> None:
    geometry = Geometry("centred", 96)
    assert Geometry.from_json(geometry.to_json()) == geometry
    assert str(geometry) == "centred-96 (version 1)"
    with pytest.raises(UnknownNameError, match="tmed2"):
        Geometry("round", 112)
    for size in (7, 1025):
        with pytest.raises(StoreError, match="out of range"):
            Geometry("tmed2", size)


def square_frames(
    pictures: npt.NDArray[np.uint8], geometry: Geometry, spacing: tuple[float, float] = (1.0, 1.0)
) -> npt.NDArray[np.uint8]:
    return Resampler(pictures.shape[1], pictures.shape[2], geometry, spacing)(pictures)


def by_simpleitk(
    picture: npt.NDArray[np.uint8], geometry: Geometry, spacing: tuple[float, float], window: Window
) -> npt.NDArray[np.float64]:
    """Block mean and linear interpolation of the picture itself, by SimpleITK alone."""
    sitk: Any = SimpleITK  # its functions carry no types
    down, along = spacing
    left, top, right, bottom = window
    spot = geometry.letterbox((bottom - top) * down, (right - left) * along)
    image = sitk.GetImageFromArray(picture.astype(np.float64))
    image.SetSpacing((along, down))
    image.SetOrigin((along / 2, down / 2))
    image = sitk.BinShrink(image, (max(1, round(spot.step / along)), max(1, round(spot.step / down))))
    step = ((right - left) * along / spot.width, (bottom - top) * down / spot.height)
    origin = (left * along + step[0] / 2, top * down + step[1] / 2)
    got = sitk.Resample(
        image, (spot.width, spot.height), sitk.Transform(), sitk.sitkLinear, origin, step, (1.0, 0.0, 0.0, 1.0),
        -1.0, sitk.sitkFloat64,
    )  # fmt: skip
    return np.asarray(sitk.GetArrayFromImage(got), np.float64)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(60, 120), width=st.integers(60, 120), size=st.integers(24, 64), seed=st.integers(0, 99),
    down=st.floats(0.4, 2.5), edges=st.tuples(*[st.floats(0.0, 3.0)] * 4),
)  # fmt: skip
def test_resampler_equals_simpleitk_on_the_whole_picture(
    height: int, width: int, size: int, seed: int, down: float, edges: tuple[float, float, float, float]
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    window = (edges[0], edges[1], width - edges[2], height - edges[3])
    geometry = Geometry("tmed2", size)
    got = Resampler(height, width, geometry, (down, 1.0), window)(picture[None])[0]
    expected = by_simpleitk(picture, geometry, (down, 1.0), window)
    known = expected >= 0  # SimpleITK has no value where a block cut at the edge leaves a sliver uncovered
    shown = got[: expected.shape[0], : expected.shape[1]].astype(np.float64)
    assert known.mean() > 0.75
    assert np.abs(shown - expected)[known].max() <= 0.51  # rounding


def area_mean(picture: npt.NDArray[np.float64], rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return the exact mean of the source area under each target pixel."""

    def weights(target: int, source: int) -> npt.NDArray[np.float64]:
        edges = np.arange(target + 1) * source / target
        low, high = edges[:-1, None], edges[1:, None]
        pixel = np.arange(source)
        shared = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
        return np.asarray(shared / shared.sum(axis=1, keepdims=True), np.float64)

    return np.asarray(weights(rows, picture.shape[0]) @ picture @ weights(columns, picture.shape[1]).T)


def smooth(height: int, width: int) -> npt.NDArray[np.uint8]:
    y, x = np.indices((height, width))
    wave: npt.NDArray[np.float64] = (
        120 + 60 * np.sin(2 * np.pi * x / width * 3) + 50 * np.cos(2 * np.pi * y / height * 2)
    )
    return np.asarray(np.rint(wave), np.uint8)


@pytest.mark.parametrize("size", [(320, 400), (301, 399), (130, 90), (56, 70)])
def test_resampler_agrees_with_the_area_mean_of_smooth_pictures(size: tuple[int, int]) -> None:
    picture = smooth(*size)
    frame = square_frames(picture[None], Geometry("tmed2", 64))[0]
    spot = Geometry("tmed2", 64).letterbox(*size)
    expected = area_mean(picture.astype(float), spot.height, spot.width)
    got = frame[: spot.height, : spot.width].astype(float)
    assert np.abs(got - expected)[2:-2, 2:-2].max() < 4.0
    assert abs(float((got - expected).mean())) < 0.3  # no drift in brightness
    shifted = [np.abs(np.roll(got, step, axis=1) - expected)[2:-2, 2:-2].mean() for step in (-1, 0, 1)]
    assert shifted[1] == min(shifted)  # no shift by a pixel


def test_resampler_averages_fine_noise_without_aliases() -> None:
    checks = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    frame = square_frames(checks[None], Geometry("tmed2", 100))
    assert frame.std() < 2.0
    assert abs(float(frame.mean()) - 127.5) < 2.0


def test_resampler_keeps_a_constant_to_the_edge_and_pads_with_black() -> None:
    frames = square_frames(np.full((2, 203, 307), 77, np.uint8), Geometry("tmed2", 64))
    spot = Geometry("tmed2", 64).letterbox(203, 307)
    assert (frames[:, : spot.height] == 77).all()
    assert (frames[:, spot.height :] == 0).all()
    centred = square_frames(np.full((1, 203, 307), 77, np.uint8), Geometry("centred", 64))[0]
    filled = np.flatnonzero(centred.any(axis=1))
    assert abs(int(filled[0]) - (63 - int(filled[-1]))) <= 1


def test_resampler_makes_a_circle_round_under_unequal_spacing() -> None:
    y, x = np.indices((200, 100))
    ellipse = np.where(((y - 99.5) / 80) ** 2 + ((x - 49.5) / 40) ** 2 < 1, 255, 0).astype(np.uint8)
    frame = square_frames(ellipse[None], Geometry("tmed2", 100), spacing=(1.0, 2.0))[0]
    tall, wide = (np.flatnonzero((frame > 127).any(axis=axis)) for axis in (1, 0))
    assert abs(len(tall) - len(wide)) <= 1
    assert abs(len(tall) - 80) <= 2


def test_resampler_of_no_frames() -> None:
    assert square_frames(np.zeros((0, 10, 10), np.uint8), Geometry("tmed2", 16)).shape == (0, 16, 16)
