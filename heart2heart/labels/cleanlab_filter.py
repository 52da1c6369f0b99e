"""Label errors found by cleanlab instead of `label_errors.confident_classes`, as an option.

cleanlab is licensed under AGPL-3.0. It is an extra that no other extra installs, and only this module imports it
(docs/decisions/0005).
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from heart2heart.errors import MissingInputError


def find_cleanlab_issues(
    labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.bool_], float]:
    """Return the issues that cleanlab's default filter (prune by noise rate) finds, and the number that it expects.

    Args:
        labels: Given labels, int64 `(n,)`.
        probabilities: Out-of-sample probabilities, float64 `(n, classes)`.

    Returns:
        bool `(n,)`, and the number of wrong labels by its calibrated joint.

    Raises:
        MissingInputError: cleanlab is not installed.
    """
    try:
        from cleanlab.count import num_label_issues
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        remedy = "Run: pip install 'heart2heart[cleanlab]' (AGPL-3.0: mind its terms), or leave --judge out"
        raise MissingInputError("cleanlab is not installed", remedy=remedy) from error
    with warnings.catch_warnings():
        # cleanlab warns of views with few labels, which it does not flag. docs/labels.md says so.
        warnings.simplefilter("ignore", UserWarning)
        issues = find_label_issues(labels, probabilities, n_jobs=1)
        expected = num_label_issues(labels, probabilities)
    return np.asarray(issues, np.bool_), float(expected)
