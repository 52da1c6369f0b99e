"""Hidden cells: no cell of one to four patients is shown, and none follows from the sums of its row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.suppression import hidden_cells, hidden_pairs, hide_class, hide_outcome, is_few
from heart2heart.schema.counts import SMALLEST_CELL, Hidden

CELLS = st.tuples(st.integers(1, 14), st.integers(2, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0, 7.0]))
)


def possible_sums(total: int, cells: int) -> int:
    """Return how many values one of several hidden cells can have if only their sum is known."""
    return 1 if cells == 1 else total + 1


@given(CELLS)
def test_hidden_cells_cannot_be_worked_out_from_the_sum_of_their_row(cells: Floats) -> None:
    label, rows = 0, cells.sum(1)
    if hide_class(rows) or not rows.any():
        return
    outcome = hide_outcome(rows, cells[:, label])
    hidden = hidden_cells(cells, label, diagonal=outcome is not None)
    patients, sums = (cells > 0).sum(0), cells.sum(0)
    assert not any(is_few(int(number)) for number, secret in zip(patients, hidden, strict=True) if not secret)
    assert hidden[label] == (outcome is not None)
    if hidden.any():
        together = cells[:, hidden]
        assert possible_sums(int(sums[hidden].sum()), int(hidden.sum())) > 1
        # The sum of the hidden cells, which follows from the row, is one of five patients or more.
        assert (together.sum(1) > 0).sum() >= SMALLEST_CELL
    if outcome is None:  # so the sum of all wrong rows follows
        assert not is_few(int((rows > cells[:, label]).sum()))


def test_hide_class_shows_an_absent_class_and_hides_that_of_one_patient() -> None:
    assert hide_class(np.zeros(9)) is None
    assert hide_class(np.array([1.0, 1, 1, 1, 0, 0])) is Hidden.FEW_PATIENTS
    assert hide_class(np.array([1.0, 1, 1, 1, 1])) is None
    assert hide_class(np.array([1.0, 1, 1, 1, 5])) is Hidden.ONE_PATIENT


def test_hide_outcome_hides_few_wrong_and_few_right_patients() -> None:
    rows = np.full(10, 3.0)
    wrong = np.array([1.0] * 4 + [0] * 6)
    assert hide_outcome(rows, rows - wrong) is Hidden.FEW_WRONG
    assert hide_outcome(rows, wrong) is Hidden.FEW_RIGHT
    assert hide_outcome(rows, rows - np.array([1.0] * 5 + [0] * 5)) is None
    assert hide_outcome(rows, rows) is None
    assert hide_outcome(rows, rows * 0) is None


def test_hidden_pairs_hides_runs_that_few_patients_tell_apart_and_classes_that_few_share() -> None:
    rows = np.zeros((10, 2))
    rows[:8, 0], rows[5:, 1] = 1, 1  # three patients have both classes
    correct = np.stack([rows.copy(), rows.copy()])
    correct[1, :2, 0] = 0  # two patients tell the runs apart on class 0
    hidden = hidden_pairs(rows, correct)
    assert hidden.tolist() == [
        [False, True, True, True],
        [True, False, True, False],
        [True, True, False, True],
        [True, False, True, False],
    ]
