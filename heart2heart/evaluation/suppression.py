"""Which cells of a hospital's counts are hidden: cells of few patients, and cells from which those would follow.

A cell of one to four patients is hidden. Other cells of the same row are hidden with it, so that the row's sum does not
give it away: two or more are hidden, and five patients or more have rows in them. The decision record 0011
gives the reasons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from heart2heart.evaluation.classification import Floats
from heart2heart.schema.counts import SMALLEST_CELL, Hidden

LARGEST_SHARE = 0.5
"""Share of the rows of a class from which one patient alone could be known."""


def is_few(patients: int) -> bool:
    """Return whether a cell of so many patients must be hidden; a cell of none says nothing of anybody.

    Examples:
        >>> [is_few(patients) for patients in (0, 1, 4, 5)]
        [False, True, True, False]
    """
    return 0 < patients < SMALLEST_CELL


def hide_class(rows: Floats) -> Hidden | None:
    """Return why a class must be hidden.

    Args:
        rows: Rows of each patient `(patients,)`.

    Examples:
        >>> hide_class(np.array([3.0, 3.0, 0.0])), hide_class(np.array([9.0, 1.0, 1.0, 1.0, 1.0]))
        (<Hidden.FEW_PATIENTS: 'few_patients'>, <Hidden.ONE_PATIENT: 'one_patient'>)
    """
    if is_few(int((rows > 0).sum())):
        return Hidden.FEW_PATIENTS
    return Hidden.ONE_PATIENT if rows.sum() and rows.max() > LARGEST_SHARE * rows.sum() else None


def hide_outcome(rows: Floats, correct: Floats) -> Hidden | None:
    """Return why the number of right rows of a class must be hidden: it gives the number of wrong ones too.

    Args:
        rows: Rows of each patient `(patients,)`.
        correct: Those that are right `(patients,)`.

    Examples:
        >>> rows = np.full(9, 2.0)
        >>> hide_outcome(rows, rows - np.eye(9)[0]), hide_outcome(rows, rows)
        (<Hidden.FEW_WRONG: 'few_wrong'>, None)
    """
    if is_few(int((rows > correct).sum())):
        return Hidden.FEW_WRONG
    return Hidden.FEW_RIGHT if is_few(int((correct > 0).sum())) else None


def hidden_cells(cells: Floats, label: int, *, diagonal: bool) -> npt.NDArray[np.bool_]:
    """Return which cells of one row of a confusion matrix are hidden `(classes,)`.

    Args:
        cells: Rows of each patient by predicted class `(patients, classes)`.
        label: The true class.
        diagonal: The cell of the right rows is hidden (`hide_outcome`).

    Examples:
        >>> cells = np.zeros((12, 3))
        >>> cells[:, 0], cells[:6, 1], cells[6:8, 2] = 1, 1, 1
        >>> hidden_cells(cells, 0, diagonal=False).tolist()
        [False, True, True]
    """
    patients = (cells > 0).sum(0)
    hidden = np.array([is_few(int(number)) for number in patients])
    hidden[label] = diagonal
    if not hidden.any():
        return hidden
    spare = [int(index) for index in np.argsort(patients, kind="stable") if not hidden[index] and patients[index]]
    spare = [index for index in spare if index != label]
    while spare and not _protects(cells, hidden):
        hidden[spare.pop(0)] = True
    return hidden


def _protects(cells: Floats, hidden: npt.NDArray[np.bool_]) -> bool:
    """Return whether two or more cells are hidden that have rows, and five or more patients are in them."""
    together = cells[:, hidden]
    return int((together.sum(0) > 0).sum()) >= 2 and not is_few(int((together.sum(1) > 0).sum()))


def hidden_pairs(rows: Floats, correct: Floats) -> npt.NDArray[np.bool_]:
    """Return which correlations of two outcomes are hidden `(runs * classes, runs * classes)`.

    Two classes are compared over the patients who have rows of both, two runs on one class over the patients who tell
    them apart.

    Args:
        rows: Rows by patient and class `(patients, classes)`.
        correct: Right rows by run, patient and class `(runs, patients, classes)`.
    """
    runs, _, classes = correct.shape
    both = np.einsum("pa,pb->ab", rows > 0, rows > 0, dtype=np.int64)
    hidden = np.tile((both > 0) & (both < SMALLEST_CELL), (runs, runs))
    for first in range(runs):
        for second in range(runs):
            differ = (correct[first] != correct[second]).sum(0)
            for label in range(classes):
                row, column = first * classes + label, second * classes + label
                hidden[row, column] = is_few(int(differ[label]))
    return hidden
