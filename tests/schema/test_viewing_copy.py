"""The layout of a viewing copy: header, bounds, and what damaged bytes lead to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, StoreError
from heart2heart.schema.viewing_copy import (
    MAX_HEADER_BYTES,
    PREFIX_BYTES,
    VIEWING_MAGIC,
    ViewingHeader,
    header_bytes,
    parse_header,
)

CONTENT: dict[str, Any] = {
    "clip": "a1", "width": 64, "height": 48, "colour": True, "spacing_mm": 0.5, "index": [0, 1, 3],
    "time_ms": [0.0, 33.0, 99.0], "length": [10, 20, 30], "crc32": [1, 2, 3],
}  # fmt: skip


def test_viewing_header_comes_back_from_its_bytes() -> None:
    header = ViewingHeader.parse(CONTENT, where="test")
    packed = header.pack()
    length = header_bytes(packed[:PREFIX_BYTES])
    assert len(packed) == PREFIX_BYTES + length
    assert parse_header(packed[PREFIX_BYTES:]) == header
    assert [header.span(0, 0), header.span(1, 2), header.span(0, 2)] == [(0, 10), (10, 60), (0, 60)]


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0}, {"height": 4096}, {"index": []}, {"index": [1, 0, 3]}, {"index": [-1, 0, 3]},
        {"length": [10, 20]},
        {"length": [10, 0, 30]}, {"length": [2**28, 1, 1]}, {"crc32": [1]}, {"time_ms": [0.0]}, {"spacing_mm": 0},
        {"clip": ""}, {"patient": "x"}, {"schema_version": 2},
    ],
    ids=lambda change: "-".join(f"{name}={value}" for name, value in change.items()).replace(" ", ""),
)  # fmt: skip
def test_viewing_header_refuses_what_contradicts_itself(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ViewingHeader.parse(CONTENT | change, where="test")
    with pytest.raises(StoreError, match="header of this viewing copy is damaged"):
        parse_header(json.dumps(CONTENT | change).encode())


@given(st.binary(max_size=64) | st.text(max_size=40).map(str.encode))
def test_parse_header_of_any_bytes_is_a_store_error(data: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        parse_header(data)


@given(
    st.binary(max_size=PREFIX_BYTES + 2)
    | st.integers(0, 2**32 - 1).map(lambda n: VIEWING_MAGIC + n.to_bytes(4, "little"))
)
def test_header_bytes_stays_within_its_bound(prefix: bytes) -> None:
    try:
        length = header_bytes(prefix)
    except StoreError:
        return
    assert prefix.startswith(VIEWING_MAGIC)
    assert 2 <= length <= MAX_HEADER_BYTES
