"""Clips kept as one video stream, encoded here from synthetic pictures."""

import io
import sys
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.encaps import encapsulate

from heart2heart.deidentify.clip import load_clip
from heart2heart.dicom.frame_reader import open_frames
from heart2heart.dicom.image_pixel import luma, read_image_pixel
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import DicomError
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames, write

KINDS = [
    ("1.2.840.10008.1.2.4.100", "mpeg2video", "mpeg2video"), ("1.2.840.10008.1.2.4.102", "libx264", "mpegts"),
    ("1.2.840.10008.1.2.4.102.1", "libx264", "mp4"), ("1.2.840.10008.1.2.4.107", "libx265", "mpegts"),
]  # fmt: skip
PARAMETERS = pytest.mark.parametrize(("syntax", "codec", "container"), KINDS)
N = 24
GEOMETRY = Geometry("tmed2", 48)


def encode(
    pictures: npt.NDArray[np.uint8], codec: str, container: str, options: dict[str, str] | None = None,
    path: Path | None = None,
) -> bytes:  # fmt: skip
    """Encode to memory, or by way of a file: an index at the front needs the second pass of a file."""
    buffer = io.BytesIO()
    with av.open(buffer if path is None else str(path), "w", format=container, options=options or {}) as out:
        stream = out.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "yuv420p"
        stream.bit_rate = 8_000_000
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return buffer.getvalue() if path is None else path.read_bytes()


def decoded(path: Path) -> npt.NDArray[np.uint8]:
    with open_dicom(path) as opened:
        layout = read_image_pixel(opened.header, big_endian=opened.big_endian)
        film = open_frames(find_frames(opened, layout), layout, strict=False)
        return film.decode(np.arange(len(film)), gray=True)[1]


def clip(path: Path, syntax: str, raw: bytes, *, n: int = N, fragments: int = 3) -> Path:
    """Write the stream in several fragments."""
    data = encapsulate([raw + b"\0" * (len(raw) % 2)], has_bot=False, fragments_per_frame=fragments)
    write(path, speckle_frames(2), PixelData=data, NumberOfFrames=n, PhotometricInterpretation="YBR_PARTIAL_420")
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    header["PixelData"].is_undefined_length = True
    header.save_as(path)
    return path


@PARAMETERS
def test_load_clip_gives_the_frames_that_were_encoded(tmp_path: Path, syntax: str, codec: str, container: str) -> None:
    pictures = speckle_frames(N, colour=True)
    path = clip(tmp_path / "a.dcm", syntax, encode(pictures, codec, container))
    loaded = load_clip(path, geometry=GEOMETRY, rule="every:5")
    assert [frame["index"] for frame in loaded.frames] == [0, 5, 10, 15, 20]
    assert (loaded.facts.mode, loaded.facts.n_source, loaded.facts.flags) == ("colour", N, ())
    shown, expected = decoded(path), luma(pictures)
    apart = np.abs(shown.astype(int) - expected)[:, 8:88, 16:112]
    assert apart.mean() < 5  # the codecs lose
    assert np.abs(shown[0].astype(int) - expected[1])[8:88, 16:112].mean() > 2 * apart.mean()


@PARAMETERS
def test_load_clip_flags_a_wrong_number_of_frames_and_a_cut_file(
    tmp_path: Path, syntax: str, codec: str, container: str
) -> None:
    raw = encode(speckle_frames(N), codec, container)
    assert load_clip(clip(tmp_path / "a.dcm", syntax, raw, n=7), geometry=GEOMETRY).facts.flags == ("frame_count",)
    whole = clip(tmp_path / "b.dcm", syntax, raw).read_bytes()
    cut = tmp_path / "c.dcm"
    cut.write_bytes(whole[: -len(raw) // 2])
    if container == "mp4":  # its index stands at the end
        with pytest.raises(DicomError) as error:
            load_clip(cut, geometry=GEOMETRY)
        assert error.value.code == "failed:truncated"
        return
    loaded = load_clip(cut, geometry=GEOMETRY)
    assert "salvaged" in loaded.facts.flags
    assert 0 < len(loaded.frames) < N


@pytest.mark.parametrize(
    ("syntax", "codec", "container", "options"),
    [*((*kind, {}) for kind in KINDS if kind[2] != "mp4"), (*KINDS[2], {"movflags": "faststart"})],
)
@pytest.mark.parametrize("fragments", [1, 3])
def test_load_clip_gives_the_whole_frames_of_a_cut_stream(
    tmp_path: Path, syntax: str, codec: str, container: str, options: dict[str, str], fragments: int
) -> None:
    raw = encode(speckle_frames(N), codec, container, options, path=tmp_path / "stream")
    path = clip(tmp_path / "a.dcm", syntax, raw, fragments=fragments)
    whole, pictures = path.read_bytes(), decoded(path)
    counts = []
    for share in (0.4, 0.7, 0.99):
        path.write_bytes(whole[: int(len(whole) - len(raw) * (1 - share))])
        salvaged = decoded(path)
        counts.append(len(salvaged))
        # Which of the last few are shown out of order depends on what was lost; every one of them is whole.
        assert np.array_equal(salvaged[:-4], pictures[: len(salvaged) - 4])
        clipped = load_clip(path, geometry=GEOMETRY)
        assert "salvaged" in clipped.facts.flags
        assert clipped.facts.n_source == len(salvaged)
    assert 5 <= counts[0] < counts[1] < counts[2] < N


def test_load_clip_fails_what_is_no_stream_with_its_code(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.dcm", "1.2.840.10008.1.2.4.102", bytes(5000))
    with pytest.raises(DicomError) as error:
        load_clip(path, geometry=GEOMETRY)
    assert error.value.code == "failed:decode"


def test_load_clip_fails_a_stream_of_another_size_than_the_header(tmp_path: Path) -> None:
    raw = encode(speckle_frames(4)[:, :64, :64], "mpeg2video", "mpeg2video")
    path = clip(tmp_path / "a.dcm", "1.2.840.10008.1.2.4.100", raw)
    with pytest.raises(DicomError) as error:
        load_clip(path, geometry=GEOMETRY)
    assert error.value.code == "failed:decode"


def test_load_clip_names_the_remedy_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "a.dcm", "1.2.840.10008.1.2.4.100", bytes(100))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DicomError, match=r"heart2heart\[video\]") as error:
        load_clip(path, geometry=GEOMETRY)
    assert error.value.code == "failed:no_decoder"
