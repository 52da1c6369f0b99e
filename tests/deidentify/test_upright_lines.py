from __future__ import annotations

import numpy as np
import pytest

from heart2heart.deidentify import upright_lines as module
from heart2heart.deidentify.text_evidence import TextEvidence
from heart2heart.deidentify.upright_lines import any_in_cells, upright_lines
from tests.deidentify.test_burned_in_text import COLUMNS, INSIDE, ROWS, WORDS, drawn, tissue


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_upright_lines_covers_small_text_along_and_across(turns: int) -> None:
    written = np.rot90(drawn(tissue(6), WORDS), turns, (1, 2))
    ink = np.rot90(drawn(np.zeros((1, ROWS, COLUMNS), np.uint8), WORDS)[0] > 105, turns)
    evidence = TextEvidence(*ink.shape)
    evidence.add(np.ascontiguousarray(written))
    mask = upright_lines(evidence.planes(), np.rot90(INSIDE, turns))
    assert mask is not None
    assert mask[ink].mean() >= 0.9
    assert mask.mean() < 0.06


def test_upright_lines_is_the_same_where_it_passes_over_parts_without_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    written = np.concatenate([drawn(tissue(6), WORDS), np.zeros((6, 2 * ROWS, COLUMNS), np.uint8)], axis=1)
    evidence = TextEvidence(*written.shape[1:])
    evidence.add(written)
    inside = np.ones(written.shape[1:], bool)
    lines = upright_lines(evidence.planes(), inside)
    monkeypatch.setattr(module, "_EDGES", 0)
    monkeypatch.setattr(module, "_BAND", 1000)
    assert lines is not None
    np.testing.assert_array_equal(lines, upright_lines(evidence.planes(), inside))


@pytest.mark.parametrize("shape", [(8, 12), (9, 13), (3, 2)])
def test_any_in_cells_is_true_where_a_pixel_is(shape: tuple[int, int]) -> None:
    inside = np.random.default_rng(0).random(shape) < 0.1
    cells = any_in_cells(inside, 4)
    for row, column in np.ndindex(cells.shape):
        assert cells[row, column] == inside[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].any()
    assert cells.shape == (-(-shape[0] // 4), -(-shape[1] // 4))
