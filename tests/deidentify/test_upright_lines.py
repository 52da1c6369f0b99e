from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from heart2heart.deidentify.text_evidence import TextEvidence
from heart2heart.deidentify.text_network import CELL
from heart2heart.deidentify.upright_lines import Mask, any_in_cells, upright_lines
from tests.deidentify.test_burned_in_text import COLUMNS, INSIDE, ROWS, WORDS, drawn, tissue


def planes_of(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    evidence = TextEvidence(*frames.shape[1:])
    evidence.add(np.ascontiguousarray(frames))
    return evidence.planes()


def cells_of(shape: tuple[int, ...]) -> Mask:
    return np.ones([-(-side // CELL) for side in shape], bool)


def pixels(cells: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[: shape[0], : shape[1]]


@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("cut", [0, 3])
def test_upright_lines_covers_small_text_along_and_across(turns: int, cut: int) -> None:
    written = np.rot90(drawn(tissue(6), WORDS), turns, (1, 2))[:, cut:, cut:]
    ink = np.rot90(drawn(np.zeros((1, ROWS, COLUMNS), np.uint8), WORDS)[0] > 105, turns)[cut:, cut:]
    text = upright_lines(planes_of(written), np.ones(ink.shape, bool), cells_of(ink.shape))
    mask = pixels(text.lines, ink.shape)
    assert mask[ink].mean() >= 0.9
    assert mask.mean() < 0.08
    assert pixels(text.odds, ink.shape)[ink].max() > 2


def test_upright_lines_scores_only_where_text_is_possible_and_visible() -> None:
    written = drawn(tissue(6), WORDS)
    possible, inside = cells_of((ROWS, COLUMNS)), INSIDE.copy()
    possible[:, :20], inside[:40] = False, False
    odds = upright_lines(planes_of(written), inside, possible).odds
    assert np.isneginf(odds[:, :16]).all()
    assert np.isneginf(odds[:5]).all()
    assert np.isfinite(odds[5:, 20:]).all()
    assert not upright_lines(planes_of(written), inside, np.zeros_like(possible)).lines.any()


def test_upright_lines_is_the_same_where_it_passes_over_parts_without_text() -> None:
    written = np.concatenate([drawn(tissue(6), WORDS), np.zeros((6, 2 * ROWS, COLUMNS), np.uint8)], axis=1)
    inside = np.ones(written.shape[1:], bool)
    everywhere = upright_lines(planes_of(written), inside, cells_of(inside.shape))
    possible = cells_of(inside.shape)
    possible[ROWS // CELL + 4 :] = False
    searched = upright_lines(planes_of(written), inside, possible)
    assert searched.lines.any()
    np.testing.assert_array_equal(searched.lines, everywhere.lines)
    scored = np.isfinite(searched.odds)
    np.testing.assert_allclose(searched.odds[scored], everywhere.odds[scored], atol=1e-3)


@pytest.mark.parametrize("shape", [(8, 12), (9, 13), (3, 2)])
def test_any_in_cells_is_true_where_a_pixel_is(shape: tuple[int, int]) -> None:
    inside = np.random.default_rng(0).random(shape) < 0.1
    cells = any_in_cells(inside, 4)
    for row, column in np.ndindex(cells.shape):
        assert cells[row, column] == inside[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].any()
    assert cells.shape == (-(-shape[0] // 4), -(-shape[1] // 4))
