"""A picture file as a clip: counts, times, flags, bounds, and what each fault is called."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from heart2heart.datasets import picture_reader
from heart2heart.datasets.picture_reader import PictureReader
from heart2heart.errors import DicomError
from heart2heart.schema.status import ClipFlag
from tests.datasets import miniature
from tests.dicom.build import speckle_frames


def _code(path: Path, *, strict: bool = False) -> str:
    with pytest.raises(DicomError) as caught:
        PictureReader(path, strict=strict)
    assert path.name not in str(caught.value)
    return caught.value.code


def test_picture_reader_streams_the_chosen_frames(tmp_path: Path) -> None:
    frames = speckle_frames(9, colour=True)
    pages = [Image.fromarray(frame) for frame in frames]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    reader = PictureReader(tmp_path / "x.tif")
    assert (len(reader), reader.rows, reader.columns, reader.coloured, reader.times) == (9, 96, 128, True, None)
    numbers, shown = reader.decode(np.array([1, 4, 8]), gray=False)
    assert numbers.tolist() == [1, 4, 8]
    np.testing.assert_array_equal(shown, frames[[1, 4, 8]])
    _, small = reader.decode(np.array([4]), gray=True, shrink=4)
    expected = np.asarray(pages[4].convert("L").reduce(4))
    np.testing.assert_array_equal(small[0], expected)


def test_picture_reader_decodes_a_long_clip_again_as_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = miniature.video(tmp_path / "x.avi", speckle_frames(12), "ffv1", pixel_format="bgr0")
    held = PictureReader(path).decode(np.arange(0, 12, 3), gray=True)
    monkeypatch.setattr(picture_reader, "_MAX_HELD_BYTES", 3 * 96 * 128 * 4)
    again = PictureReader(path).decode(np.arange(0, 12, 3), gray=True)
    np.testing.assert_array_equal(held[1], again[1])
    np.testing.assert_array_equal(held[1], speckle_frames(12)[::3, ..., 0])


def test_picture_reader_keeps_the_times_of_a_variable_frame_rate(tmp_path: Path) -> None:
    times = (0, 33, 100, 120, 300)
    path = miniature.video(tmp_path / "x.mp4", speckle_frames(5), "mpeg4", times_ms=times)
    reader = PictureReader(path)
    assert reader.times is not None
    np.testing.assert_allclose(reader.times, times, atol=1)


def test_picture_reader_ignores_times_that_no_scanner_has(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame[..., 0]) for frame in speckle_frames(3)]
    frames[0].save(tmp_path / "slow.gif", save_all=True, append_images=frames[1:], duration=5000)
    assert PictureReader(tmp_path / "slow.gif").times is None


@pytest.mark.parametrize(("sample", "aspect"), [("16/15", 16 / 15), ("90/1", 1.0)])
def test_picture_reader_keeps_the_shape_of_pixels_that_are_not_square(
    tmp_path: Path, sample: str, aspect: float
) -> None:
    from fractions import Fraction

    import av

    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(sample)
        for frame in speckle_frames(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    assert PictureReader(tmp_path / "x.mp4").aspect == pytest.approx((1.0, aspect))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "failed:empty"),
        (b"PK\x03\x04zip", "excluded:not_picture"),
        (b"#EXTM3U\n/etc/hostname\n", "excluded:not_picture"),
        (b"\x89PNG\r\n\x1a\n", "failed:decode"),
        (b"GIF89a", "failed:decode"),
        (b"II*\0\x08\0\0\0", "failed:decode"),
        (b"RIFF\0\0\0\0AVI LIST", "failed:decode"),
        (b"\0\0\0\x18ftypmp42", "failed:decode"),
    ],
)
def test_picture_reader_names_the_fault_of_a_file(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "Jane_Doe.png").write_bytes(content)
    assert _code(tmp_path / "Jane_Doe.png") == code


def test_picture_reader_refuses_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing")
    assert _code(tmp_path / "broken.png") == "failed:unreadable"
    assert _code(tmp_path) == "excluded:not_picture"


def test_picture_reader_refuses_a_bomb_before_it_decodes_it(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((1, 8193), np.uint8)).save(tmp_path / "wide.png")
    assert _code(tmp_path / "wide.png") == "failed:bounds"
    raw = bytearray(miniature.png(tmp_path / "deep.png", np.zeros((8, 8), np.uint8)).read_bytes())
    raw[16:24] = struct.pack(">II", 8000, 8000)  # the header alone: the data are of 64 pixels
    import zlib

    raw[29:33] = struct.pack(">I", zlib.crc32(raw[12:29]))
    (tmp_path / "deep.png").write_bytes(raw)
    assert _code(tmp_path / "deep.png") == "failed:bounds"


def test_picture_reader_stops_at_the_bound_of_a_gif_that_unpacks_to_many_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Image.fromarray(np.full((1000, 1000), level, np.uint8)) for level in range(0, 40, 2)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:], duration=40)
    monkeypatch.setattr(picture_reader, "MAX_CLIP_PIXELS", 10**7)
    assert _code(tmp_path / "x.gif") == "failed:bounds"
    monkeypatch.setattr(picture_reader, "MAX_FILE_BYTES", 100)
    assert _code(tmp_path / "x.gif") == "failed:bounds"


def test_picture_reader_refuses_pages_of_several_sizes(tmp_path: Path) -> None:
    pages = [Image.fromarray(miniature.noise(0, 40, side)) for side in (60, 61)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    assert _code(tmp_path / "x.tif") == "failed:layout"


def test_picture_reader_keeps_the_whole_frames_of_a_cut_gif_and_says_so(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame[..., 0]) for frame in speckle_frames(6)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:], duration=40)
    raw = (tmp_path / "x.gif").read_bytes()
    (tmp_path / "x.gif").write_bytes(raw[: int(0.7 * len(raw))])
    reader = PictureReader(tmp_path / "x.gif")
    assert 1 <= len(reader) < 6
    assert reader.flags == (ClipFlag.SALVAGED,)
    assert _code(tmp_path / "x.gif", strict=True) == "failed:truncated"


def test_picture_reader_counts_the_frames_that_a_cut_video_lacks(tmp_path: Path) -> None:
    path = miniature.video(tmp_path / "x.avi", speckle_frames(20), "mjpeg", pixel_format="yuvj420p")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(0.5 * len(raw))])
    reader = PictureReader(path)
    assert 5 < len(reader) < 15
    assert set(reader.flags) & {ClipFlag.FRAME_COUNT, ClipFlag.SALVAGED, ClipFlag.CORRUPT_FRAMES}


def test_picture_reader_says_what_to_install_for_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = miniature.video(tmp_path / "x.mp4", speckle_frames(2), "mpeg4")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(DicomError, match=r"heart2heart\[video\]"):
        PictureReader(path)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return a file of each decoder."""
    folder = tmp_path_factory.mktemp("whole")
    pages = [Image.fromarray(frame) for frame in speckle_frames(3)]
    for name in ("x.gif", "x.tif", "x.png"):
        pages[0].save(folder / name, save_all=True, append_images=pages[1:], duration=40)
    pages[0].save(folder / "x.jpg")
    miniature.video(folder / "x.mp4", speckle_frames(3), "mpeg4")
    miniature.video(folder / "x.avi", speckle_frames(3), "mjpeg", pixel_format="yuvj420p")
    miniature.video(folder / "x.mpeg", speckle_frames(3), "mpeg1video")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_picture_reader_of_any_damage_reads_or_names_a_status(
    whole_files: list[bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw = bytearray(data.draw(st.sampled_from(whole_files)))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    count, code = 0, ""
    with suppress(DicomError):  # any other error fails the test
        reader = PictureReader(path)
        count = len(reader.decode(np.arange(len(reader)), gray=True)[0])
        code = "read"
    assert (count > 0) == (code == "read")
