"""The table of predictions of any model, CSV or Parquet: its columns and limits, and a template."""

from __future__ import annotations

import io
from collections.abc import Sequence

from heart2heart.csv_files import CsvWriter

REQUIRED_COLUMNS = {
    "case": "Name of the case: one row. Unique within its hospital.",
    "patient": "Pseudonym of the patient. All cases of a patient are resampled together.",
    "site": "Hospital.",
    "truth": "True class of the case, as the column of that class is named.",
}
"""Column -> meaning. Every other column that `OPTIONAL_COLUMNS` does not name is the probability of a class."""

OPTIONAL_COLUMNS = {
    "clip": "Name of the clip, unique within its hospital. Its cases vote together. Absent: every case is a clip.",
    "study": "Name of the examination, unique within its hospital. Absent: every patient has one.",
    "maker": "Manufacturer of the scanner, for subgroups.",
    "sex": "Sex of the patient, `F`, `M` or `O`, for subgroups.",
    "age": "Age of the patient in years, for subgroups; above 90 it is recorded as 90.",
}
"""Column -> meaning. A cell may be empty, but not in a column `clip` or `study`."""

SEXES = ("F", "M", "O")

MAX_BYTES = 2**29
"""Largest file, bytes; of Parquet, decompressed."""
MAX_ROWS = 2_000_000
"""Largest number of rows."""
MAX_CLASSES = 200
"""Largest number of classes."""
MAX_TEXT = 200
"""Longest text of a cell and longest name of a column, characters."""

SUM_TOLERANCE = 0.01
"""Largest difference from 1 of a row's sum, for rounded probabilities; the row is then divided by its sum."""

SMALLEST_PROBABILITY = 1e-12
"""A smaller probability counts as this one, so that its logarithm is finite."""

EXAMPLE = "example-"
"""Beginning of the cases of the template; a table that has such a case was not filled in."""


def template(classes: Sequence[str]) -> str:
    """Return a table with one example of each class, as CSV.

    Args:
        classes: Names of the classes, at least two.

    Examples:
        >>> print(template(["normal", "pneumonia"]).splitlines()[0])
        case,patient,site,truth,clip,study,normal,pneumonia
    """
    text = io.StringIO()
    writer = CsvWriter(text)
    writer.writerow((*REQUIRED_COLUMNS, "clip", "study", *classes))
    low = round(0.2 / (len(classes) - 1), 6)
    for index, name in enumerate(classes):
        probabilities = [low] * len(classes)
        probabilities[index] = round(1 - low * (len(classes) - 1), 6)
        names = (f"{EXAMPLE}{index + 1}", f"patient-{index + 1}", "hospital", name)
        writer.writerow((*names, f"clip-{index + 1}", f"study-{index + 1}", *probabilities))
    return text.getvalue()
