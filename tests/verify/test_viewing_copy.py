"""`verify-deid` reads viewing copies frame by frame, by its own reader."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from heart2heart.store.viewing_copies import ViewingPictures, viewing_path, write_viewing_copy
from heart2heart.verify.artefacts import read_artefacts
from heart2heart.verify.check import verify
from heart2heart.verify.identities import Identities
from heart2heart.verify.pictures import frames_of
from heart2heart.verify.viewing_copy import is_viewing_copy, read_pictures

NAME = "doehringer"


def jpeg(level: int) -> bytes:
    return bytes(
        simplejpeg.encode_jpeg(np.full((48, 64, 1), level, np.uint8), colorspace="GRAY", colorsubsampling="Gray")
    )


def copy_of(folder: Path, *jpegs: bytes, clip: str = "a1") -> Path:
    pictures = ViewingPictures(64, 48, False, None, tuple(range(len(jpegs))), None, jpegs)
    write_viewing_copy(folder, clip, pictures)
    return viewing_path(folder, clip)


def test_read_pictures_yields_the_header_and_each_picture(tmp_path: Path) -> None:
    path = copy_of(tmp_path, jpeg(10), jpeg(200))
    assert is_viewing_copy(path.read_bytes()[:512])
    with path.open("rb") as handle:
        header, *pictures = read_pictures(handle)
    assert b'"clip":"a1"' in header
    assert pictures == [jpeg(10), jpeg(200)]


def test_frames_of_a_viewing_copy_are_those_of_the_clip(tmp_path: Path) -> None:
    frames = list(frames_of(copy_of(tmp_path, *(jpeg(level) for level in (10, 60, 110, 160, 210)))))
    assert [round(float(frame.pixels.mean()), -1) for frame in frames] == [10, 60, 110, 160, 210]
    assert [frame.turned for frame in frames] == [True, False, True, False, True]


@pytest.mark.parametrize("spoil", ["cut", "extra", "no_jpeg"])
def test_read_pictures_refuses_bytes_that_no_picture_accounts_for(spoil: str, tmp_path: Path) -> None:
    path = copy_of(tmp_path, jpeg(10), b"no picture" if spoil == "no_jpeg" else jpeg(90))
    data = path.read_bytes()
    path.write_bytes(data[:-40] if spoil == "cut" else data + b"x" if spoil == "extra" else data)
    with path.open("rb") as handle, pytest.raises(ValueError, match="picture"):
        list(read_pictures(handle))
    assert any(artefact.unread for artefact in read_artefacts(path, "x"))


def test_verify_finds_a_name_in_the_comment_of_one_picture(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(buffer, "JPEG", comment=f"Dr {NAME}")
    identities = Identities()
    identities.add("name", NAME)
    clean = copy_of(tmp_path / "clean", jpeg(10), jpeg(30))
    marked = copy_of(tmp_path / "marked", jpeg(10), buffer.getvalue(), jpeg(30))
    assert verify([clean], identities).findings == ()
    locations = {finding.location for finding in verify([marked], identities).findings}
    assert "a picture, JPEG segment FE" in locations
