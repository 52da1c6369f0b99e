"""Resampling against area averaging written out from its definition."""

import numpy as np
import numpy.typing as npt
import pytest

from heart2heart.frames.geometry import Geometry
from heart2heart.frames.resample import square_frames


def area_mean(picture: npt.NDArray[np.float64], rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return the exact mean of the source area under each target pixel."""

    def weights(target: int, source: int) -> npt.NDArray[np.float64]:
        edges = np.arange(target + 1) * source / target
        low, high = edges[:-1, None], edges[1:, None]
        place = np.arange(source)
        shared = np.clip(np.minimum(high, place + 1) - np.maximum(low, place), 0, None)
        return np.asarray(shared / shared.sum(axis=1, keepdims=True), np.float64)

    return np.asarray(weights(rows, picture.shape[0]) @ picture @ weights(columns, picture.shape[1]).T)


def smooth(height: int, width: int) -> npt.NDArray[np.uint8]:
    y, x = np.indices((height, width))
    wave: npt.NDArray[np.float64] = (
        120 + 60 * np.sin(2 * np.pi * x / width * 3) + 50 * np.cos(2 * np.pi * y / height * 2)
    )
    return np.asarray(np.rint(wave), np.uint8)


@pytest.mark.parametrize("size", [(320, 400), (301, 399), (130, 90), (56, 70)])
def test_smooth_pictures_agree_with_the_area_mean(size: tuple[int, int]) -> None:
    picture = smooth(*size)
    frame = square_frames(picture[None], Geometry("tmed2", 64))[0]
    spot = Geometry("tmed2", 64).place(*size)
    wanted = area_mean(picture.astype(float), spot.height, spot.width)
    got = frame[: spot.height, : spot.width].astype(float)
    assert np.abs(got - wanted)[2:-2, 2:-2].max() < 4.0
    assert abs(float((got - wanted).mean())) < 0.3  # no drift in brightness
    shifted = [np.abs(np.roll(got, step, axis=1) - wanted)[2:-2, 2:-2].mean() for step in (-1, 0, 1)]
    assert shifted[1] == min(shifted)  # no shift by a pixel


def test_fine_noise_is_averaged_not_aliased() -> None:
    checks = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    frame = square_frames(checks[None], Geometry("tmed2", 100))
    assert frame.std() < 2.0
    assert abs(float(frame.mean()) - 127.5) < 2.0


def test_a_constant_stays_constant_to_the_edge_and_padding_is_black() -> None:
    frames = square_frames(np.full((2, 203, 307), 77, np.uint8), Geometry("tmed2", 64))
    spot = Geometry("tmed2", 64).place(203, 307)
    assert (frames[:, : spot.height] == 77).all()
    assert (frames[:, spot.height :] == 0).all()
    centred = square_frames(np.full((1, 203, 307), 77, np.uint8), Geometry("centred", 64))[0]
    filled = np.flatnonzero(centred.any(axis=1))
    assert abs(int(filled[0]) - (63 - int(filled[-1]))) <= 1


def test_unequal_spacing_makes_a_circle_round() -> None:
    y, x = np.indices((200, 100))
    ellipse = np.where(((y - 99.5) / 80) ** 2 + ((x - 49.5) / 40) ** 2 < 1, 255, 0).astype(np.uint8)
    frame = square_frames(ellipse[None], Geometry("tmed2", 100), spacing=(1.0, 2.0))[0]
    tall, wide = (np.flatnonzero((frame > 127).any(axis=axis)) for axis in (1, 0))
    assert abs(len(tall) - len(wide)) <= 1
    assert abs(len(tall) - 80) <= 2


def test_no_frames() -> None:
    assert square_frames(np.zeros((0, 10, 10), np.uint8), Geometry("tmed2", 16)).shape == (0, 16, 16)
