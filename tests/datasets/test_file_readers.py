"""The file formats one by one, and what a damaged file is called."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heart2heart.datasets.file_readers import MAX_SIDE, read_png, read_video, read_volume
from heart2heart.datasets.prepare import resample_to_square
from heart2heart.errors import DicomError
from heart2heart.store.geometry import Geometry
from tests.datasets import miniature


def test_read_png_of_gray_palette_and_colour(tmp_path: Path) -> None:
    gray = miniature.noise(0, 20, 30)
    np.testing.assert_array_equal(read_png(miniature.png(tmp_path / "gray.png", gray)).pixels[0], gray)
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.png")
    assert np.abs(read_png(tmp_path / "palette.png").pixels[0].astype(int) - gray).max() <= 1
    colour = miniature.noise(1, 20, 30, 3)
    expected = colour.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(read_png(miniature.png(tmp_path / "colour.png", colour)).pixels[0] - expected).max() <= 1


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "failed:empty"), (b"\x89PNG\r\n\x1a\n", "failed:decode"), (b"text", "failed:decode")]
)
def test_read_png_refuses_what_is_no_png(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DicomError) as caught:
        read_png(tmp_path / "x.png")
    assert caught.value.code == code


def test_read_png_refuses_a_png_cut_anywhere(tmp_path: Path) -> None:
    path = miniature.png(tmp_path / "x.png", miniature.noise(0, 112, 112))
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DicomError) as caught:
            read_png(path)
        assert caught.value.code == "failed:decode"


def test_read_png_refuses_sixteen_bits_and_too_many_columns(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.zeros((1, MAX_SIDE + 1), np.uint8)).save(tmp_path / "wide.png")
    for name, code in (("deep", "failed:layout"), ("wide", "failed:bounds")):
        with pytest.raises(DicomError) as caught:
            read_png(tmp_path / f"{name}.png")
        assert caught.value.code == code


def test_read_volume_of_other_numbers(tmp_path: Path) -> None:
    values = miniature.noise(0, 3, 8, 9).astype(np.float32)
    volume = read_volume(miniature.volume(tmp_path / "x.nii.gz", values, (0.5, 0.25)))
    np.testing.assert_array_equal(volume.pixels, values)
    assert volume.spacing_mm == pytest.approx((0.25, 0.5))
    for name, picture, spacing in (
        ("low", np.full((9, 9), -1, np.int16), (1.0, 1.0)),
        ("flat", np.zeros((9, 9), np.uint8), (1.0, 0.01)),
    ):
        with pytest.raises(DicomError) as caught:
            read_volume(miniature.volume(tmp_path / f"{name}.nii.gz", picture, spacing))
        assert caught.value.code == "failed:layout"


def test_read_video_refuses_a_video_of_sound_only(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "x.avi"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DicomError) as caught:
        read_video(tmp_path / "x.avi")
    assert caught.value.code == "failed:decode"


def test_resample_to_square_fits_frames_and_leaves_those_of_the_geometry() -> None:
    geometry = Geometry("tmed2", 112)
    ready = miniature.noise(0, 2, 112, 112)
    np.testing.assert_array_equal(resample_to_square(ready, geometry), ready)
    wide = resample_to_square(np.full((1, 300, 600), 90, np.uint8), geometry)
    assert (wide[0, :56] == 90).all()
    assert not wide[0, 56:].any()
    tall = resample_to_square(
        np.full((1, 112, 112), 90, np.uint8), geometry, (2.0, 1.0)
    )  # 112 pixels, twice as high as wide
    assert (tall[0, :, :56] == 90).all()
    assert not tall[0, :, 56:].any()


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_read_volume_refuses_nifti_cut_anywhere(tmp_path: Path, name: str) -> None:
    path = miniature.volume(tmp_path / name, miniature.noise(0, 3, 40, 50), (0.5, 0.25))
    np.testing.assert_array_equal(read_volume(path).pixels, miniature.noise(0, 3, 40, 50))
    whole = path.read_bytes()
    for kept in (100, 400, len(whole) - 300, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(DicomError) as caught:
            read_volume(path)
        assert caught.value.code in ("failed:truncated", "failed:decode")
