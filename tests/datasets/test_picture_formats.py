"""Pictures and videos by their bytes: what each is called, and the pixels, times and turns that it gives."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, TiffImagePlugin

from heart2heart.datasets import picture_formats
from heart2heart.datasets.picture_formats import DecodedPicture, decode_pictures, picture_format
from heart2heart.errors import DicomError
from tests.datasets import miniature
from tests.dicom.build import speckle_frames, write


def _decoded(path: Path) -> list[DecodedPicture]:
    form = picture_format(path)
    assert form is not None
    return [picture for picture in decode_pictures(path, form) if picture is not None]


def _gray(path: Path) -> npt.NDArray[np.uint8]:
    return np.stack([picture.pixels(gray=True) for picture in _decoded(path)])


@pytest.mark.parametrize(("name", "form"), [("x.png", "PNG"), ("x.jpg", "JPEG"), ("x.tif", "TIFF"), ("x.gif", "GIF")])
def test_picture_format_goes_by_the_bytes_of_a_still(tmp_path: Path, name: str, form: str) -> None:
    Image.fromarray(miniature.noise(0, 20, 30)).save(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "disguised.dat")
    assert picture_format(tmp_path / "disguised.dat") == form


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [("x.mp4", "mpeg4", "mov"), ("x.mov", "mjpeg", "mov"), ("x.avi", "mjpeg", "avi"), ("x.mpeg", "mpeg1video", "mpeg")],
)
def test_decode_pictures_reads_every_frame_of_a_video(tmp_path: Path, name: str, codec: str, form: str) -> None:
    frames = np.repeat(miniature.smooth(5)[..., None], 3, axis=-1)
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = miniature.video(tmp_path / name, frames, codec, pixel_format=pixel_format)
    assert picture_format(path) == form
    shown = _gray(path)
    assert shown.shape == (5, 112, 112)
    assert np.abs(shown.astype(int) - frames[..., 0]).mean() < 4
    times = np.array([picture.time_ms for picture in _decoded(path)])
    np.testing.assert_allclose(np.diff(times), 40, atol=0.1)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a zip file", b"text", b"#EXTM3U\nfile:///etc/hostname\n", b"\0" * 300]
)
def test_picture_format_is_none_for_other_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    assert picture_format(tmp_path / "x.png") is None


def test_picture_format_is_none_for_dicom_that_begins_as_tiff(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.dcm")
    raw = path.read_bytes()
    path.write_bytes(b"II*\0" + raw[4:])
    assert picture_format(path) is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.jpg", "x.tif", "x.png"])
def test_decode_pictures_turns_a_picture_by_its_exif_orientation(tmp_path: Path, orientation: int, name: str) -> None:
    upright = np.zeros((24, 40), np.uint8)
    upright[:8, :16], upright[16:, :8] = 255, 128
    undo = {  # how a camera stores the picture, so that the orientation turns it upright
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.T, 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / name, exif=exif, quality=100)
    (shown,) = _gray(tmp_path / name)
    assert shown.shape == upright.shape
    assert np.abs(shown.astype(int) - upright).mean() < 3


@pytest.mark.parametrize(
    ("largest", "stated", "white"),
    [(60000, None, 65535), (4000, None, 4095), (1000, None, 1023), (900, 2047, 2047), (200, None, 255)],
)
def test_decode_pictures_scales_sixteen_bits_once_for_all_pages(
    tmp_path: Path, largest: int, stated: int | None, white: int
) -> None:
    values = np.linspace(0, largest, 300).reshape(15, 20).round().astype(np.uint16)
    pages = [Image.fromarray(values // 2), Image.fromarray(values)]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if stated is not None:
        tags[281] = stated
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:], tiffinfo=tags)
    expected = np.stack([values // 2, values]) * (255 / white)
    assert np.abs(_gray(tmp_path / "x.tif") - expected).max() <= 0.5


def test_decode_pictures_inverts_a_sixteen_bit_negative(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 300).reshape(15, 20).round().astype(np.uint16)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    Image.fromarray(values).save(tmp_path / "x.tif", tiffinfo=tags)
    raw = bytearray((tmp_path / "x.tif").read_bytes())
    entry = raw.find(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01")  # tag 262 (0x106), SHORT, one value, black is zero
    raw[entry + 8] = 0
    (tmp_path / "x.tif").write_bytes(raw)
    assert np.abs(_gray(tmp_path / "x.tif")[0] - (255 - values / 257)).max() <= 1


def test_decode_pictures_reads_floats_of_0_to_1_and_refuses_other_levels(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 300, dtype=np.float32).reshape(15, 20)
    Image.fromarray(values).save(tmp_path / "x.tif")
    assert np.abs(_gray(tmp_path / "x.tif")[0] - 255 * values).max() <= 0.5
    for name, wrong in (("negative", values - 1), ("infinite", np.where(values > 0.5, np.inf, values))):
        Image.fromarray(wrong.astype(np.float32)).save(tmp_path / f"{name}.tif")
        with pytest.raises(DicomError) as caught:
            _gray(tmp_path / f"{name}.tif")
        assert caught.value.code == "failed:layout"


def test_decode_pictures_shows_palettes_and_transparent_parts_on_black(tmp_path: Path) -> None:
    gray = miniature.noise(3, 20, 30)
    alpha = np.where(np.arange(30) < 10, 0, 255).astype(np.uint8) * np.ones((20, 1), np.uint8)
    Image.merge("LA", (Image.fromarray(gray), Image.fromarray(alpha))).save(tmp_path / "alpha.png")
    expected = np.where(alpha > 0, gray, 0)
    np.testing.assert_array_equal(_gray(tmp_path / "alpha.png")[0], expected)
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.png", transparency=int(gray[0, 0]))
    shown = _gray(tmp_path / "palette.png")[0]
    np.testing.assert_array_equal(shown, np.where(gray == gray[0, 0], 0, gray))
    cmyk = Image.new("CMYK", (30, 20), (0, 0, 0, 128))
    cmyk.save(tmp_path / "cmyk.jpg")
    assert np.abs(_gray(tmp_path / "cmyk.jpg").astype(int) - 127).max() <= 3


def test_decode_pictures_gives_the_true_times_of_a_gif(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame[..., 0]) for frame in speckle_frames(4)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:], duration=[40, 100, 20, 500])
    assert [picture.time_ms for picture in _decoded(tmp_path / "x.gif")] == [0, 40, 140, 160]
    np.testing.assert_array_equal(_gray(tmp_path / "x.gif"), speckle_frames(4)[..., 0])


def test_decode_pictures_leaves_out_thumbnails_of_a_tiff(tmp_path: Path) -> None:
    page, thumbnail = Image.fromarray(miniature.noise(0, 40, 60)), Image.fromarray(miniature.noise(1, 10, 15))
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    page.save(tmp_path / "x.tif", save_all=True, append_images=[thumbnail])
    assert _gray(tmp_path / "x.tif").shape == (1, 40, 60)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "x.gif"])
def test_decode_pictures_names_the_fault_of_a_still_cut_anywhere(tmp_path: Path, name: str) -> None:
    Image.fromarray(miniature.noise(0, 120, 160)).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for share in (0.02, 0.3, 0.7, 0.95):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        form = picture_format(tmp_path / name)
        assert form is not None
        with pytest.raises(DicomError) as caught:
            list(decode_pictures(tmp_path / name, form))
        assert caught.value.code in ("failed:truncated", "failed:decode")


@pytest.mark.parametrize("name", ["x.mp4", "x.avi"])
def test_decode_pictures_ends_at_any_cut_of_a_video(tmp_path: Path, name: str) -> None:
    frames = np.repeat(miniature.smooth(8)[..., None], 3, axis=-1)
    whole = miniature.video(tmp_path / name, frames, "mpeg4").read_bytes()
    for share in (0.1, 0.4, 0.8, 0.99):
        (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
        form = picture_format(tmp_path / name)
        assert form is not None
        count = 0
        with suppress(DicomError):
            for picture in decode_pictures(tmp_path / name, form):
                count += picture is not None
        assert count <= 8


def test_decoded_picture_of_a_turned_frame_has_the_size_as_shown() -> None:
    picture = DecodedPicture(Image.fromarray(miniature.noise(0, 20, 30)), turns=1)
    assert picture.size == (30, 20)
    np.testing.assert_array_equal(picture.pixels(gray=True), np.rot90(miniature.noise(0, 20, 30)))
    assert picture.pixels(gray=False).shape == (30, 20, 3)


@pytest.mark.parametrize(("matrix", "turn"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_decode_pictures_turns_a_video_by_its_display_matrix(
    tmp_path: Path, matrix: tuple[int, int, int, int], turn: int
) -> None:
    frames = speckle_frames(3)
    raw = bytearray(miniature.video(tmp_path / "x.mp4", frames, "mpeg4").read_bytes())
    plain = _gray(tmp_path / "x.mp4")
    start = raw.find(b"tkhd") + 4 + 40  # version and flags, times, number, duration, layer and volume: 40 bytes
    a, b, c, d = (value << 16 for value in matrix)
    raw[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "x.mp4").write_bytes(raw)
    np.testing.assert_array_equal(_gray(tmp_path / "x.mp4"), np.rot90(plain, turn, axes=(1, 2)))


def test_decode_pictures_takes_the_first_picture_of_a_jpeg_that_holds_several(tmp_path: Path) -> None:
    first, second = (Image.fromarray(miniature.noise(seed, 40, 60)) for seed in (0, 1))
    first.save(tmp_path / "x.mpo", save_all=True, append_images=[second])
    assert picture_format(tmp_path / "x.mpo") == "JPEG"
    assert _gray(tmp_path / "x.mpo").shape == (1, 40, 60)


def test_decode_pictures_bounds_the_pass_that_looks_for_the_largest_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [Image.fromarray(np.full((50, 50), level, np.uint16)) for level in (3, 2, 1)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    monkeypatch.setattr(picture_formats, "MAX_CLIP_PIXELS", 5000)
    with pytest.raises(DicomError) as caught:
        _gray(tmp_path / "x.tif")
    assert caught.value.code == "failed:bounds"
