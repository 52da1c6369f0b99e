"""Pictures of a viewing copy: blanked, in colour, with square pixels, and none where text is suspected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
from PIL import Image, ImageDraw
from scipy import ndimage

from heart2heart.deidentify import viewing_pictures as module
from heart2heart.deidentify.clip import load_clip
from heart2heart.deidentify.viewing_pictures import viewing_pictures
from heart2heart.dicom.frame_reader import FrameReader
from heart2heart.dicom.image_pixel import luma
from heart2heart.dicom.inspect_clip import ClipInspection
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag
from heart2heart.store.geometry import Geometry
from heart2heart.store.viewing_copies import ViewingPictures
from tests.dicom.build import write

ROWS, COLUMNS = 120, 160
BOX = (20, 10, 140, 110)
Pictures = npt.NDArray[np.uint8]


class ArrayReader(FrameReader):
    """Frames of an array, RGB."""

    def __init__(self, frames: Pictures) -> None:
        super().__init__(ROWS, COLUMNS, coloured=True, strict=False)
        self.frames = frames

    @property
    def flags(self) -> tuple[ClipFlag, ...]:
        return ()

    def __len__(self) -> int:
        return len(self.frames)

    def stream(
        self, numbers: npt.NDArray[np.int64], *, gray: bool, shrink: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        for number in numbers.tolist():
            yield number, luma(self.frames[number]) if gray else self.frames[number]


def smooth(n: int = 5) -> Pictures:
    """Return RGB frames of soft tissue, without edges as sharp as those of letters."""
    noise = np.random.default_rng(0).normal(size=(n, ROWS, COLUMNS))
    gray = np.clip(90 + 600 * ndimage.gaussian_filter(noise, (0, 6, 6)), 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def inspection(frames: Pictures, mode: ClipMode = ClipMode.B_MODE) -> ClipInspection:
    """Return a round sector in `BOX`."""
    x0, y0, x1, y1 = BOX
    y, x = np.indices((y1 - y0, x1 - x0))
    mask = np.hypot(x - 60, y - 50) < 49
    return ClipInspection(mode, BOX, mask, (), luma(frames)[:, y0:y1, x0:x1])


def pictures_of(
    frames: Pictures, mode: ClipMode = ClipMode.B_MODE, aspect: tuple[float, float] = (1.0, 1.0)
) -> ViewingPictures:
    pictures = viewing_pictures(ArrayReader(frames), inspection(frames, mode), None, None, aspect=aspect)
    assert pictures is not None
    return pictures


def test_viewing_pictures_hold_every_frame_black_outside_the_sector() -> None:
    frames = smooth()
    frames[:, :10] = 255  # beside the box, as a name would be
    seen = inspection(frames)
    pictures = pictures_of(frames)
    assert (pictures.width, pictures.height, pictures.colour) == (120, 100, False)
    assert pictures.index == (0, 1, 2, 3, 4)
    inner = ndimage.binary_erosion(seen.mask, iterations=8)
    block = np.ones((3, 3), bool)  # JPEG rings within a block of eight pixels
    outer = ~ndimage.binary_dilation(seen.mask, block, iterations=8)
    for frame, data in zip(frames, pictures.jpegs, strict=True):
        decoded = simplejpeg.decode_jpeg(data, colorspace="GRAY")[..., 0].astype(int)
        expected = luma(frame)[10:110, 20:140].astype(int)
        assert np.abs(decoded - expected)[inner].mean() < 3
        assert decoded[outer].max() == 0


@pytest.mark.parametrize("mode", [ClipMode.B_MODE, ClipMode.COLOUR])
def test_viewing_pictures_are_the_same_bytes_whatever_lies_outside_the_sector(mode: ClipMode) -> None:
    frames = smooth()
    frames[:, 55:65, 75:85] = (200, 40, 30)
    seen = inspection(frames, mode)
    inside = np.zeros((ROWS, COLUMNS), bool)
    inside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = seen.mask
    changed = np.where(inside[..., None], frames, np.random.default_rng(1).integers(0, 256, frames.shape)).astype("u1")
    plain, other = (viewing_pictures(ArrayReader(each), seen, None, None) for each in (frames, changed))
    assert plain is not None
    assert other is not None
    assert plain.jpegs == other.jpegs
    assert len(set(plain.jpegs)) == len(frames)
    for data in plain.jpegs:  # JFIF's own segment is the only one that is not the picture
        assert [marker for marker in segments(data) if marker >= 0xE0] == [0xE0]


def segments(jpeg: bytes) -> list[int]:
    """Return the second byte of each marker segment before the scan (ITU-T T.81 annex B)."""
    markers, at = [], 2
    while jpeg[at + 1] != 0xDA:
        markers.append(jpeg[at + 1])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return markers


def test_viewing_pictures_keep_colour_as_recorded() -> None:
    frames = smooth()
    frames[:, 50:70, 70:90] = (200, 40, 30)
    doppler = pictures_of(frames, ClipMode.COLOUR)
    assert doppler.colour
    decoded = simplejpeg.decode_jpeg(doppler.jpegs[2])
    assert np.abs(decoded[45:55, 55:65].astype(int) - (200, 40, 30)).mean() < 8
    tint = (smooth() * np.array([1.0, 0.8, 0.5])).astype(np.uint8)
    assert pictures_of(tint).colour  # a sepia B-mode clip
    assert not pictures_of(smooth()).colour


def test_viewing_pictures_have_square_pixels_and_the_times_of_the_recording() -> None:
    frames = smooth()
    times = np.array([0.0, 10, 30, 60, 100])
    pictures = viewing_pictures(ArrayReader(frames), inspection(frames), (0.4, 0.2), times)
    assert pictures is not None
    assert (pictures.width, pictures.height, pictures.spacing_mm) == (120, 200, 0.2)
    assert pictures.time_ms == (0.0, 10.0, 30.0, 60.0, 100.0)
    wide = pictures_of(frames, aspect=(1.0, 2.0))
    assert (wide.width, wide.height, wide.spacing_mm) == (240, 100, None)


def test_viewing_pictures_take_the_quality_that_keeps_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = smooth()
    large = sum(map(len, pictures_of(frames).jpegs))
    monkeypatch.setattr(module, "BYTES_PER_SECOND", 1000)
    assert sum(map(len, pictures_of(frames).jpegs)) < 0.7 * large
    monkeypatch.setattr(module, "MAX_COPY_BYTES", 10)
    assert viewing_pictures(ArrayReader(frames), inspection(frames), None, None) is None


def lettered(frames: Pictures, shown: range) -> Pictures:
    """Return frames with a name within the sector, in some of them."""
    frames = frames.copy()
    for number in shown:
        image = Image.fromarray(frames[number])
        ImageDraw.Draw(image).text((45, 55), "DOEHRINGER", fill=(255, 255, 255))
        frames[number] = np.asarray(image)
    return frames


def test_viewing_pictures_are_not_made_where_text_is_seen_at_full_size_in_one_frame() -> None:
    frames = smooth(30)
    seen = inspection(frames[::5])
    assert viewing_pictures(ArrayReader(frames), seen, None, None) is not None
    assert viewing_pictures(ArrayReader(lettered(frames, range(7, 8))), seen, None, None) is None


def test_load_clip_makes_a_viewing_copy_only_where_asked_and_no_text_is_suspected(tmp_path: Path) -> None:
    y, x = np.indices((96, 128))
    fan = (np.abs(x - 64) < 0.6 * (y - 8)) & (np.hypot(x - 64, y - 8) < 76)
    frames = ndimage.zoom(smooth(6), (1, 0.8, 0.8, 1), order=1) * fan[..., None].astype(np.uint8)
    path = write(tmp_path / "a.dcm", frames, FrameTime="20")
    geometry = Geometry(size=64)
    plain, viewed = (
        load_clip(path, geometry=geometry, rule="even:2", viewing_copy=with_copy) for with_copy in (False, True)
    )
    assert plain.viewing is None
    assert viewed.viewing is not None
    assert np.array_equal(plain.pixels, viewed.pixels)
    assert viewed.viewing.index == tuple(range(6))
    assert viewed.viewing.time_ms == (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    marked = write(tmp_path / "b.dcm", lettered(frames, range(6)))
    suspected = load_clip(marked, geometry=geometry, viewing_copy=True)
    assert ClipFlag.TEXT_SUSPECTED in suspected.facts.flags
    assert suspected.viewing is None
