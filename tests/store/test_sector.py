"""The sector mask: the scan is kept, what stands beside it is not."""

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.sector import estimate, recordings, true_sector
from heart2heart.store.sector import bounding_box, sector_mask
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.presets import four_hospitals

HEIGHT, WIDTH = 240, 320
Y, X = np.indices((HEIGHT, WIDTH))
FAN = (np.abs(X - 160) < 0.7 * (Y - 20)) & (np.hypot(X - 160, Y - 20) < 200)


def clip(n: int, *, background: int = 0, seed: int = 0) -> npt.NDArray[np.uint8]:
    draw = np.random.default_rng(seed)
    frames = np.full((n, HEIGHT, WIDTH), background, np.uint8)
    for frame in frames:
        frame[FAN] = np.clip(draw.gamma(2.0, 30.0, int(FAN.sum())) + background + 12, 0, 255)
    frames[:, 6:14, 8:90:2] = 255  # a line of text
    frames[:, 100:220, 310:316] = 200  # a gray bar
    frames[:, 228:238] = 90  # a banner
    return frames


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("background", [0, 40])
def test_sector_mask_is_the_fan_without_its_background(n: int, background: int) -> None:
    mask = sector_mask(clip(n, background=background))
    assert mask is not None
    assert (mask & FAN).sum() > 0.97 * FAN.sum()
    assert mask.sum() < 1.15 * FAN.sum()
    assert not mask[6:14, 8:90].any()
    assert not mask[100:220, 310:316].any()
    assert not mask[230:].any()


def test_sector_mask_keeps_dark_chambers_and_a_dark_half() -> None:
    frames = clip(8)
    hole = np.hypot(X - 160, Y - 130) < 35
    frames[:, hole] = 0
    mask = sector_mask(frames)
    assert mask is not None
    assert mask[hole].all()


@pytest.mark.parametrize("shown", [slice(0, 4), slice(5, 6), slice(None, None, 2)], ids=["half", "one", "blinking"])
@pytest.mark.parametrize("ground", [0, 40])
def test_sector_mask_leaves_a_block_of_text_that_comes_and_goes(shown: slice, ground: int) -> None:
    frames = clip(6)
    block = np.full((60, 90), ground, np.uint8)
    block[10:50, 6:84] = np.where(np.random.default_rng(1).random((40, 78)) < 0.4, 230, ground)
    frames[shown, 176:236, 4:94] = np.where(FAN[176:236, 4:94], frames[shown, 176:236, 4:94], block)
    mask = sector_mask(frames)
    assert mask is not None
    assert (mask & FAN).sum() > 0.97 * FAN.sum()
    assert not mask[190:236, 4:40].any()


@pytest.mark.parametrize("background", [0, 40])
@pytest.mark.parametrize("depth", [30, 60])
def test_sector_mask_keeps_a_near_field_without_motion(background: int, depth: int) -> None:
    frames = clip(8, background=background)
    still = FAN & (Y - depth < 20)
    frames[:, still] = frames[0, still]
    mask = sector_mask(frames)
    assert mask is not None
    assert mask[still].mean() > 0.85
    assert mask.sum() < 1.15 * FAN.sum()
    assert not mask[6:14, 8:90].any()


def test_sector_mask_with_a_banner_on_the_near_field_grows_by_the_tip_at_most() -> None:
    frames = clip(8)
    frames[:, FAN & (Y < 50)] = frames[0, FAN & (Y < 50)]
    frames[:, :20] = 200  # it touches the tip of the fan
    mask = sector_mask(frames)
    assert mask is not None
    assert mask[:18].sum() < 18 * 12
    assert mask[FAN].mean() > 0.95


def test_sector_mask_does_not_guess_a_dark_near_field() -> None:
    frames = clip(8)
    frames[:, Y < 60] = 0
    mask = sector_mask(frames)
    assert mask is not None
    assert not mask[:50].any()


@pytest.mark.parametrize("hospital", four_hospitals(), ids=lambda hospital: str(hospital.name))
def test_sector_mask_of_simulated_machines(hospital: HospitalConfig) -> None:
    truth, depth = true_sector(hospital)
    (recording,) = recordings(hospital, 1)
    for share in (0.0, 0.2):
        still = truth & (depth < share)
        for region in (True, False):
            estimated = estimate(recording, still, region=region)
            assert (estimated & truth).sum() > 0.8 * (estimated | truth).sum()
            assert estimated[truth].mean() > 0.88
            assert not still.any() or estimated[still].mean() > 0.85


@pytest.mark.parametrize("n", [1, 8])
def test_sector_mask_of_empty_pictures(n: int) -> None:
    assert sector_mask(np.zeros((n, HEIGHT, WIDTH), np.uint8)) is None
    text = np.zeros((n, HEIGHT, WIDTH), np.uint8)
    text[:, 6:14, 8:90:2] = 255
    assert sector_mask(text) is None


def test_sector_mask_keeps_a_picture_that_fills_its_box() -> None:
    frames = np.random.default_rng(0).integers(30, 255, (6, 97, 131)).astype(np.uint8)
    mask = sector_mask(frames)
    assert mask is not None
    assert mask.shape == (97, 131)
    assert mask.mean() > 0.98


def test_sector_mask_of_tiny_pictures() -> None:
    for side in (1, 2, 5):
        assert sector_mask(np.zeros((3, side, side), np.uint8)) is None


def test_bounding_box_is_tight() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:7, 5:11] = True
    assert bounding_box(mask) == (5, 3, 11, 7)
