from __future__ import annotations

import base64
import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.verify import streams

PARTS = st.lists(st.binary(max_size=40), max_size=12)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK", 16)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(PARTS)
def test_stream_blocks_are_the_same_bytes(given_parts: list[bytes]) -> None:
    blocks = list(streams.stream_blocks(given_parts))
    assert b"".join(blocks) == b"".join(given_parts)
    assert all(len(block) < 2 * 16 for block in blocks)
    assert all(len(block) >= 16 for block in blocks[:-1])


@given(TEXT, st.integers(1, 20))
def test_unescaped_json_wherever_it_is_cut(text: str, size: int) -> None:
    written = json.dumps([text, text])
    assert b"".join(streams.unescaped_json(cut(written.encode(), size))).decode() == f'["{text}", "{text}"]'


@given(st.integers(0, 70), st.integers(1, 20))
def test_unescaped_html_wherever_it_is_cut(before: int, size: int) -> None:
    written = "." * before + html.escape("<Zqx & 'Plant'>") + "&#81;&#x51;&eacute;" + "." * 50
    assert html.unescape(written)[before:-50] in b"".join(streams.unescaped_html(cut(written.encode(), size))).decode()


def test_unescaped_html_does_not_repeat_text_without_character_references() -> None:
    assert b"".join(streams.unescaped_html([b"no reference in here, however long it is"])) == b""


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=3), st.integers(1, 30), st.integers(0, 40))
def test_embedded_files_are_decoded_wherever_they_are_cut(files: list[bytes], size: int, before: int) -> None:
    text = b"." * before
    for file in files:
        text += b'<img src="data:image/png;base64,' + base64.b64encode(file) + b'"> and '
    assert b"".join(streams.embedded_files(cut(text, size))) == b"".join(file + b"\0" for file in files)


def test_embedded_files_may_end_with_the_text() -> None:
    text = b"data:image/png;base64," + base64.b64encode(b"seven bytes and more")
    assert b"".join(streams.embedded_files(cut(text, 7))).startswith(b"seven bytes and more")
