"""A stream is opened as one format, and nothing but the stream is read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from heart2heart.dicom.video import open_video, video_errors
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode
from tests.datasets import miniature
from tests.dicom.build import speckle_frames


def test_open_video_reads_a_stream_in_one_thread(tmp_path: Path) -> None:
    raw = miniature.video(tmp_path / "x.avi", speckle_frames(3), "mpeg4").read_bytes()
    with open_video(io.BytesIO(raw), container_format="avi") as container:
        assert container.streams.video[0].codec_context.thread_count == 1
        assert len(list(container.decode(video=0))) == 3


@pytest.mark.parametrize("container_format", ["mov", None])
def test_open_video_follows_no_playlist(tmp_path: Path, container_format: str | None) -> None:
    path = miniature.video(tmp_path / "x.avi", speckle_frames(3), "mpeg4")
    playlist = f"ffconcat version 1.0\nfile '{path}'\n".encode()
    with (
        pytest.raises(DicomError) as caught,
        open_video(io.BytesIO(playlist), container_format=container_format, unreadable=StatusCode.FAILED_TRUNCATED),
    ):
        pass
    assert caught.value.code == "failed:truncated"
    assert "x.avi" not in str(caught.value)


def test_open_video_refuses_sound_alone(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "x.avi"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=1024)
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
    with (tmp_path / "x.avi").open("rb") as stream, pytest.raises(DicomError, match="no video"), open_video(stream):
        pass


def test_open_video_refuses_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    raw = miniature.video(tmp_path / "x.avi", speckle_frames(3), "mjpeg", pixel_format="yuvj420p").read_bytes()
    stream = io.BytesIO(raw.replace(b"MJPG", b"?@!#"))
    with pytest.raises(DicomError, match="no decoder is known"), open_video(stream, container_format="avi"):
        pass


def test_video_errors_hold_those_of_the_decoder() -> None:
    from av.error import InvalidDataError

    assert issubclass(InvalidDataError, video_errors())
