"""Bodies of STOW-RS, cut into pieces anywhere: the parts come out byte for byte, and damage is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.service.multipart_upload import (
    MAX_HEAD_BYTES,
    MalformedUploadError,
    PartEnd,
    PartStart,
    UploadParser,
    upload_boundary,
)


def parse(pieces: list[bytes]) -> list[bytes]:
    parser, parts, is_open = UploadParser(b"bd"), list[bytes](), False
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, PartStart):
                assert not is_open
                parts.append(b"")
                is_open = True
            elif isinstance(event, PartEnd):
                is_open = False
            else:
                parts[-1] += event
    parser.close()
    assert not is_open
    return parts


CONTENT = st.binary(max_size=40) | st.sampled_from([b"\r\n--b", b"\r\n", b"--bd", b"\r\n\r\n", b"\r\n-\r\n--"])


@given(contents=st.lists(CONTENT, max_size=4), size=st.integers(1, 50), preamble=st.sampled_from([b"", b"ignored"]))
def test_feed_gives_every_part_whatever_the_pieces(contents: list[bytes], size: int, preamble: bytes) -> None:
    body = b"".join(b"\r\n--bd\r\nContent-Type: application/dicom\r\n\r\n" + each for each in contents)
    body = (preamble + body if preamble else body.removeprefix(b"\r\n")) + b"\r\n--bd--\r\nepilogue"
    assert parse([body[start : start + size] for start in range(0, len(body), size)]) == contents


@given(body=st.binary(max_size=200), size=st.integers(1, 50))
def test_feed_takes_any_bytes(body: bytes, size: int) -> None:
    try:
        parse([body[start : start + size] for start in range(0, len(body), size)])
    except MalformedUploadError:
        return


@pytest.mark.parametrize(
    "body",
    [b"", b"--bd\r\n\r\ncontent", b"--bdx\r\n\r\n\r\n--bd--", b"--bd\r\n" + b"h" * (MAX_HEAD_BYTES + 1)],
    ids=["empty", "cut", "other_boundary", "long_head"],
)
def test_feed_refuses_damaged_bodies(body: bytes) -> None:
    with pytest.raises(MalformedUploadError):
        parse([body])


@pytest.mark.parametrize(
    "kind",
    [
        "application/dicom", "multipart/related", 'multipart/related; boundary=""', "multipart/related; boundary=a%0d",
        'multipart/related; type="image/jpeg"; boundary=b', "",
    ],
    ids=["type", "none", "empty", "characters", "parts", "missing"],
)  # fmt: skip
def test_upload_boundary_refuses_other_types(kind: str) -> None:
    with pytest.raises(MalformedUploadError):
        upload_boundary(kind)
