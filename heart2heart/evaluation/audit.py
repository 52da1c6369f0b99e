"""The sample of an audit: which clips were drawn, and with which probability."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.evaluation.cases import UNLABELED, Cases
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.prediction_powered import Audit

BY_CLASS = "audit_by_class"
"""Strategy that draws from every predicted class; the other one, `audit`, draws from all clips together."""
STRATEGIES = ("audit", BY_CLASS)

_COLUMNS = ("clip", "method", "view", "inclusion")


@dataclass(frozen=True)
class AuditSample:
    """A sample as `heart2heart queue` wrote it.

    Attributes:
        strategy: One of `STRATEGIES`.
        inclusion: Name of each drawn clip to the probability that it was drawn.
        views: Name of each drawn clip to the predicted class at that time; None without a run.
    """

    strategy: str
    inclusion: dict[str, float]
    views: dict[str, str | None]


def read_sample(path: Path) -> AuditSample:
    """Read the sample of an audit, `.parquet` or `.csv`.

    Raises:
        MissingInputError: no such file.
        EvaluationError: no queue, a queue of another strategy, or a clip without a probability.

    Examples:
        >>> row = {"clip": ["c1"], "method": ["audit"], "view": [None], "inclusion": [0.25]}
        >>> pq.write_table(pa.table(row), "sample.parquet")
        >>> read_sample(Path("sample.parquet")).inclusion
        {'c1': 0.25}
    """
    remedy = "Draw one with: heart2heart queue --by audit"
    try:
        table = pyarrow.csv.read_csv(path) if path.suffix.lower() == ".csv" else pq.read_table(path)
        clips, methods, views = (table[name].cast(pa.string()).to_pylist() for name in _COLUMNS[:3])
        chances = table["inclusion"].cast(pa.float64()).to_pylist()
    except FileNotFoundError as error:
        raise MissingInputError("no sample of an audit here", where=path, remedy=remedy) from error
    except (OSError, ValueError, pa.ArrowException, KeyError) as error:
        raise EvaluationError("this is no sample of an audit", where=path, remedy=remedy) from error
    if len(set(methods)) != 1 or methods[0] not in STRATEGIES:
        raise EvaluationError("these clips were not drawn for an audit", where=path, remedy=remedy)
    if any(chance is None or not 0 < chance <= 1 for chance in chances) or len(set(clips)) < len(clips):
        what = "a clip occurs twice, or its probability is not above 0 and at most 1"
        raise EvaluationError(what, where=path, remedy=remedy)
    return AuditSample(methods[0], dict(zip(clips, chances, strict=True)), dict(zip(clips, views, strict=True)))


def audit_of_sample(cases: Cases, probabilities: Floats, sample: AuditSample) -> tuple[Audit, int]:
    """Return how the labeled clips were drawn, and the number of drawn clips without a label.

    Args:
        cases: All clips of a hospital; those that were drawn and read have a label.
        probabilities: Probabilities of the model `(n, classes)`.
        sample: The sample.

    Raises:
        EvaluationError: predictions without patients, no drawn clip among them, or another model than at the draw.
    """
    if not cases.patients_known:
        remedy = "Add a column patient with a pseudonym to the table"
        raise EvaluationError("the predictions name no patients", where="patient", remedy=remedy)
    names = cases.case.tolist()
    chance = np.array([sample.inclusion.get(name, 0.0) for name in names])
    drawn = chance > 0
    if not drawn.any():
        what = "the predictions hold no clip of the sample"
        raise EvaluationError(what, remedy="Give the predictions that `queue --predictions` wrote with the sample")
    predicted = [cases.classes[index] for index in probabilities.argmax(1)]
    by_class = sample.strategy == BY_CLASS
    if by_class and any(sample.views[names[row]] != predicted[row] for row in np.flatnonzero(drawn)):
        what = "the sample was drawn by the classes of other predictions"
        raise EvaluationError(what, remedy="Give the predictions that `queue --predictions` wrote with the sample")
    read = drawn & (cases.truth != UNLABELED)
    weight = np.where(read, 1 / np.where(drawn, chance, 1.0), 0.0)
    stratum = np.unique(predicted, return_inverse=True)[1] if by_class else np.zeros(len(names), np.int64)
    return Audit(cases.patient, weight, stratum.astype(np.int64)), int((drawn & ~read).sum())
