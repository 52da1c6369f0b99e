from __future__ import annotations

import pytest

from heart2heart.verify.identities import Identities
from heart2heart.verify.patterns import PatternSearcher, build_patterns
from heart2heart.verify.streams import wide_text
from tests.verify.blocks import cut


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("id", "AB-471-147", "ab-471-147"), ("name", "ZQXPLÄNT^VORNAME^M", "Vorname Zqxplänt"),
        ("name", "ZQXPLÄNT^VORNAME^M", "ZQXPLÄNT, VORNAME"), ("name", "ZQX^ANN^MAY^^DR", "Ann May Zqx"),
        ("name", "ZQX^ANN=WANG^XIAO", "Xiao Wang"), ("date", "1943-11-22", "22.11.1943"),
        ("date", "1943-11-22", "November 22, 1943"), ("uid", "1.2.826.0.77777", "1.2.826.0.77777"),
    ],
)  # fmt: skip
def test_search_finds_a_pattern_wherever_a_block_is_cut(kind: str, value: str, written: str, encoding: str) -> None:
    identities = Identities()
    identities.add(kind, value)
    searcher = PatternSearcher(build_patterns(identities))
    for before in range(0, 40, 3):
        data = ("." * before + written + "." * 7).encode(encoding)
        if encoding.startswith("utf-16"):
            data = b"".join(wide_text([data]))
        whole = searcher.search([data])
        assert whole[kind] >= 1
        assert all(searcher.search(cut(data, size)) == whole for size in (1, 7)), before


@pytest.mark.usefixtures("small_blocks")
def test_search_does_not_find_a_number_within_another_wherever_a_block_is_cut() -> None:
    identities = Identities()
    identities.add("id", "AB-471-147")
    searcher = PatternSearcher(build_patterns(identities))
    for before in range(40):
        assert not searcher.search([b"." * before + b"xab-471-147y"]), before
