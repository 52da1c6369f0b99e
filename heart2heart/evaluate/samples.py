"""From the rows of a predictions file to arrays by site, the same frames in the same order for every run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import EvaluationError
from heart2heart.evaluate.classification import Floats, Ints
from heart2heart.predictions import Predictions

UNITS = ("patient", "study", "clip")


@dataclass(frozen=True)
class SiteSample:
    """The labeled test frames of one site, ordered by frame identifier.

    Attributes:
        site: Name of the site.
        truth: Index into the classes `(n,)`; -1 for a view outside them.
        outside: Frames outside the classes, by view.
        unlabeled: Test frames without a truth, which are not in the arrays.
        cluster: Resampling unit of each frame `(n,)`.
        clip: Clip of each frame `(n,)`.
        logits: `(runs, n, classes)`.
    """

    site: str
    truth: Ints
    outside: dict[str, int]
    unlabeled: int
    cluster: Ints
    clip: Ints
    logits: Floats

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Frames whose truth is one of the classes `(n,)`."""
        return self.truth >= 0


@dataclass(frozen=True)
class ValidationSample:
    """Scored validation frames of the source sites, of one run: `(n, classes)` and `(n,)`."""

    logits: Floats
    truth: Ints


def encode(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Replace texts by their rank among the distinct texts; null becomes -1. The order of the rows plays no part."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[order], rank[-1] = np.arange(len(values)), -1
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return rank[indices], [values[place] for place in order]


def digest(predictions: Predictions) -> str:
    """Return a hash of all rows and the provenance, whatever the compression or chunking of the file."""
    sha = hashlib.sha256(predictions.provenance.model_dump_json().encode())
    for name in predictions.table.column_names:
        sha.update(name.encode())
        if name == "logits":
            sha.update(predictions.logits.tobytes())
        else:
            column = predictions.table[name].cast(pa.binary() if name == "image" else pa.string())
            lengths = pc.fill_null(pc.binary_length(column), -1).to_numpy(zero_copy_only=False)
            sha.update(lengths.astype(np.int64).tobytes())
            for value in column.to_pylist():
                sha.update(value.encode() if isinstance(value, str) else value or b"")
    return sha.hexdigest()


def read_samples(predictions: Predictions) -> tuple[list[SiteSample], list[ValidationSample]]:
    """Arrange the rows.

    Returns:
        One `SiteSample` a site and one `ValidationSample` a run, each in the order of the provenance.

    Raises:
        EvaluationError: a frame occurs twice in a run, or the runs were not tested on the same frames.
    """
    about, table = predictions.provenance, predictions.table
    if about.split.unit not in UNITS:
        raise EvaluationError(f"splits by {about.split.unit!r} have no cluster column", remedy=f"Known: {UNITS}")
    logits = predictions.logits
    columns = {name: encode(table[name]) for name in ("run", "site", "role", "frame", "clip", "truth")}
    cluster, _ = encode(table[about.split.unit])
    views = columns["truth"][1]
    index_of = {view: place for place, view in enumerate(about.classes)}
    class_of = np.array([*(index_of.get(view, -1) for view in views), -2], dtype=np.int64)
    truth = class_of[columns["truth"][0]]

    def rows(name: str, value: str) -> npt.NDArray[np.bool_]:
        found, values = columns[name]
        return found == values.index(value) if value in values else np.zeros(len(table), dtype=bool)

    frame, clip = columns["frame"][0], columns["clip"][0]
    by_run = [rows("run", run.run) for run in about.runs]
    test, samples = rows("role", "test"), []
    for info in about.sites:
        here = test & rows("site", info.site)
        places = [np.flatnonzero(here & mine) for mine in by_run]
        places = [found[np.argsort(frame[found], kind="stable")] for found in places]
        first = places[0]
        for run, found in zip(about.runs, places, strict=True):
            if np.any(np.diff(frame[found]) == 0):
                raise EvaluationError("a frame was predicted twice", where=f"run {run.run}, site {info.site}")
            if not (np.array_equal(frame[found], frame[first]) and np.array_equal(truth[found], truth[first])):
                what = "the runs were not tested on the same frames with the same truth"
                remedy = "Evaluate all runs again with one split and one store"
                raise EvaluationError(what, where=f"site {info.site}", remedy=remedy)
        labeled = truth[first] > -2
        names = columns["truth"][0][first]
        outside = {view: int((names == rank).sum()) for rank, view in enumerate(views) if view not in index_of}
        samples.append(
            SiteSample(
                site=info.site,
                truth=truth[first][labeled],
                outside={view: count for view, count in outside.items() if count},
                unlabeled=int((~labeled).sum()),
                cluster=cluster[first][labeled],
                clip=clip[first][labeled],
                logits=np.stack([logits[found[labeled]] for found in places]),
            )
        )
    source = np.logical_or.reduce([rows("site", site) for site in about.split.source_sites] or [np.zeros_like(test)])
    fit = rows("role", "validation") & source & (truth >= 0)
    validation = [ValidationSample(logits[fit & mine], truth[fit & mine]) for mine in by_run]
    return samples, validation
