"""Search among embeddings by cosine similarity: nearest ones, pairs that are nearly equal, and odd ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError
from heart2heart.schema.embeddings import Embeddings

BLOCK = 1_024
"""Rows that are compared with all others at a time."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Neighbour:
    """One row that is near another, or far from all.

    Attributes:
        name: Its frame, clip or study.
        site: Its hospital.
        patient: Pseudonym of its patient.
        similarity: Cosine similarity, -1 to 1.
    """

    name: str
    site: str
    patient: str
    similarity: float


@dataclass(frozen=True)
class SimilarPair:
    """Two rows that are nearly equal.

    Attributes:
        first: The one.
        second: The other, with the similarity of both.
    """

    first: Neighbour
    second: Neighbour

    @property
    def same_patient(self) -> bool:
        """Whether both are of one patient."""
        return (self.first.site, self.first.patient) == (self.second.site, self.second.patient)


def unit_vectors(vectors: Floats) -> Floats:
    """Return vectors of length 1 after the mean of all is taken off; a vector without length stays 0.

    Features after a rectifier all point to one side, so that their cosines are all close to 1. Without the common part
    they tell frames apart.

    Args:
        vectors: `(n, d)`.

    Examples:
        >>> unit_vectors(np.array([[5.0, 1.0], [5.0, 3.0]], np.float32)).tolist()
        [[0.0, -1.0], [0.0, 1.0]]
    """
    centred = vectors - vectors.mean(0, dtype=np.float64).astype(np.float32)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(length > 0, length, 1), np.float32)


def nearest(
    embeddings: Embeddings, vector: Floats, count: int, *, without: frozenset[str] = frozenset()
) -> list[Neighbour]:
    """Return the rows nearest to a vector, nearest first; of equal ones the first by name.

    Args:
        embeddings: What is searched.
        vector: `(d,)`.
        count: Most rows to return.
        without: Names that are left out, such as that of the vector.

    Raises:
        ConfigError: a vector of other length.
    """
    if vector.shape != (embeddings.vectors.shape[1],):
        what = f"the vector has {vector.size} numbers, the embeddings {embeddings.vectors.shape[1]}"
        raise ConfigError(what, remedy="Use one encoder for both")
    mean = embeddings.vectors.mean(0, dtype=np.float64).astype(np.float32)
    query = vector - mean
    length = float(np.linalg.norm(query))
    similarity = unit_vectors(embeddings.vectors) @ (query / length if length > 0 else query)
    names = embeddings.names
    order = sorted(range(len(names)), key=lambda row: (-float(similarity[row]), names[row]))
    kept = [row for row in order if names[row] not in without][:count]
    return [_neighbour(embeddings, row, float(similarity[row])) for row in kept]


def nearly_equal(embeddings: Embeddings, threshold: float, *, most: int = 10_000) -> list[SimilarPair]:
    """Return the pairs whose cosine similarity reaches a threshold, most similar first.

    Args:
        embeddings: What is compared.
        threshold: Smallest similarity, above 0 and at most 1.
        most: Most pairs to return.

    Raises:
        ConfigError: a threshold outside its range.
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"a similarity of {threshold:g} cannot be reached", where="--duplicates", remedy="Give 0.99")
    pairs: list[tuple[float, int, int]] = []
    for start, block in _similarities(embeddings):
        rows, columns = np.nonzero(block >= threshold - 1e-6)
        later = columns > rows + start
        entries = zip(block[rows, columns][later], (rows + start)[later], columns[later], strict=True)
        pairs += [(float(value), int(row), int(column)) for value, row, column in entries]
        pairs = sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))[:most]
    return [
        SimilarPair(_neighbour(embeddings, first, value), _neighbour(embeddings, second, value))
        for value, first, second in pairs
    ]


def odd_ones(embeddings: Embeddings, count: int, *, neighbours: int = 5) -> list[Neighbour]:
    """Return the rows that are farthest from their nearest neighbours, farthest first.

    Args:
        embeddings: What is searched.
        count: Most rows to return.
        neighbours: Nearest others whose mean similarity counts.

    Raises:
        ConfigError: fewer than two rows.
    """
    n = len(embeddings.vectors)
    if n < 2:
        raise ConfigError("one vector alone has no neighbour", remedy="Embed more clips")
    k, means = min(neighbours, n - 1), np.empty(n, np.float64)
    for start, block in _similarities(embeddings):
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf
        means[start : start + len(block)] = np.partition(block, n - k, axis=1)[:, n - k :].mean(1, dtype=np.float64)
    names = embeddings.names
    order = sorted(range(n), key=lambda row: (means[row], names[row]))[:count]
    return [_neighbour(embeddings, row, float(means[row])) for row in order]


def _similarities(embeddings: Embeddings) -> Iterator[tuple[int, Floats]]:
    """Yield blocks of the matrix of cosine similarities, with the number of their first row."""
    units = unit_vectors(embeddings.vectors)
    for start in range(0, len(units), BLOCK):
        yield start, units[start : start + BLOCK] @ units.T


def _neighbour(embeddings: Embeddings, row: int, similarity: float) -> Neighbour:
    name, site, patient = (embeddings.table[column][row].as_py() for column in ("name", "site", "patient"))
    return Neighbour(name, site, patient, similarity)
