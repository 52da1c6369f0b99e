from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_color_lut

from heart2heart.synthetic.pixel_data import SYNTAX_UIDS, set_pixel_data
from heart2heart.synthetic.pixel_data import Bytes as Frames


def _frames(colour: bool) -> Frames:
    ramp = np.linspace(0, 255, 32 * 40).reshape(1, 32, 40)
    gray = np.concatenate([ramp, ramp[:, ::-1]]).astype(np.uint8)
    if not colour:
        return gray
    rgb = np.repeat(gray[..., None], 3, axis=3)
    rgb[:, 8:24, 8:24] = (200, 40, 0)
    return rgb


def _dataset(frames: Frames, syntax: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAX_UIDS[syntax]
    dataset.NumberOfFrames = len(frames)
    set_pixel_data(dataset, frames, syntax)
    return dataset


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("syntax", ["rle", "native"])
def test_lossless_syntaxes_give_the_same_pixels_back(syntax: str, colour: bool) -> None:
    frames = _frames(colour)
    dataset = _dataset(frames, syntax)
    np.testing.assert_array_equal(dataset.pixel_array, frames)
    assert dataset.PhotometricInterpretation == ("RGB" if colour else "MONOCHROME2")


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_is_ybr_422_and_close(colour: bool) -> None:
    frames = _frames(colour)
    dataset = _dataset(frames, "jpeg")
    assert dataset.PhotometricInterpretation == "YBR_FULL_422"
    expected = frames if colour else np.repeat(frames[..., None], 3, axis=3)
    assert float(np.abs(dataset.pixel_array.astype(int) - expected).mean()) < 4.0
    assert float(dataset.LossyImageCompressionRatio) > 1.0


@pytest.mark.parametrize("colour", [False, True])
def test_a_palette_shows_nearly_the_same_colours(colour: bool) -> None:
    frames = _frames(colour)
    dataset = _dataset(frames, "palette")
    shown = apply_color_lut(dataset.pixel_array, dataset) >> 8
    expected = frames if colour else np.repeat(frames[..., None], 3, axis=3)
    assert int(np.abs(shown.astype(int) - expected).mean(axis=(0, 1, 2)).max()) <= 12
