"""One part out of a multipart answer, whatever the cut of the pieces."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.pacs.multipart import BrokenResponseError, copy_part

KIND = 'multipart/related; type="application/dicom"; boundary="limit"'
HEAD, TAIL = b"\r\n--limit\r\nContent-Type: application/dicom\r\n\r\n", b"\r\n--limit--\r\n"


def taken(body: bytes, cuts: int, kind: str = KIND) -> bytes:
    """Return the content of a body that arrives in pieces of `cuts` bytes."""
    out = BytesIO()
    copy_part(kind, (body[index : index + cuts] for index in range(0, len(body), cuts)), out)
    return out.getvalue()


@given(st.lists(st.sampled_from([b"\r\n", b"--", b"limi", b"-", b"\0", b"DICM"]), max_size=30), st.integers(1, 40))
def test_copy_part_gives_the_content_byte_for_byte(parts: list[bytes], cuts: int) -> None:
    content = b"".join(parts)
    assert taken(HEAD + content + TAIL, cuts) == content


@given(st.integers(0, len(HEAD) + 20), st.integers(1, 40))
def test_copy_part_refuses_a_body_cut_anywhere(length: int, cuts: int) -> None:
    with pytest.raises(BrokenResponseError):
        taken((HEAD + bytes(20) + TAIL)[:length], cuts)


def test_copy_part_of_other_shapes() -> None:
    assert taken(b"plain", 2, "application/dicom") == b"plain"
    with pytest.raises(BrokenResponseError, match="more than one"):
        taken(HEAD + b"a" + HEAD + b"b" + TAIL, 7)
    with pytest.raises(BrokenResponseError, match="without a boundary"):
        taken(HEAD + TAIL, 7, "multipart/related")
    with pytest.raises(BrokenResponseError, match="without a part"):
        taken(b"x" * 200_000, 1000)
