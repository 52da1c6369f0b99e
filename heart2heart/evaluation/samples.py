"""Reads the rows of a predictions file into arrays by site, with the subgroup of each row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.schema.enums import ALTERATIONS, PredictionRole
from heart2heart.schema.predictions import DEMOGRAPHICS, Predictions, RunInfo

AGES = ((0, "under 40"), (40, "40 to 59"), (60, "60 to 79"), (80, "80 and over"))
UNKNOWN = "unknown"


def subgroup_factors(table: pa.Table) -> dict[str, npt.NDArray[np.object_]]:
    """Return by factor the level of each row `(n,)`.

    Quality is cut at the thirds of all test rows, the same cuts for every site and run, so that levels compare. A
    column that is not there, as in files of older versions, or that is null throughout gives no factor.
    """
    found: dict[str, npt.NDArray[np.object_]] = {}
    for name in ("maker", "mode", "sex"):
        if name in table.column_names and table[name].null_count < len(table):
            found[name] = table[name].fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    quality = table["quality"].to_numpy(zero_copy_only=False)
    test = quality[table["role"].to_numpy(zero_copy_only=False) == PredictionRole.TEST]
    if len(test):
        low, high = np.quantile(test, (1 / 3, 2 / 3))
        names = np.array(["lowest third", "middle third", "highest third"], object)
        found["quality"] = names[(quality > low).astype(int) + (quality > high)]
    if "age" in table.column_names and table["age"].null_count < len(table):
        years = table["age"].fill_null(-1).to_numpy(zero_copy_only=False)
        names = np.array([UNKNOWN, *(name for _, name in AGES)], object)
        found["age"] = names[np.searchsorted([least for least, _ in AGES], years, side="right")]
    return found


UNITS = ("patient", "study", "clip")


Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class AlteredFrames:
    """Altered frames of one site: `frame` `(m,)` as in `SiteSample`, and logits `(runs, m, classes)`."""

    frame: Ints
    logits: Floats


@dataclass(frozen=True)
class SiteSample:
    """The labeled test frames of one site, ordered by frame identifier.

    Attributes:
        site: Name of the site.
        truth: Index into the classes `(n,)`; -1 for a view outside them.
        outside: Frames outside the classes, by view.
        unlabeled: Test frames without a truth, which are not in the arrays.
        cluster: Resampling unit of each frame `(n,)`.
        unit_names: Name of each resampling unit of the file, by its number in `cluster`.
        clip: Clip of each frame `(n,)`.
        study: Study of each frame `(n,)`.
        frame: Rank of each frame's identifier `(n,)`, ascending.
        factors: By factor the level of each frame `(n,)`, `unknown` where the file does not say.
        logits: `(runs, n, classes)`.
        altered: By alteration the rows of altered frames: those of scored views, a part of `frame`.
    """

    site: str
    truth: Ints
    outside: dict[str, int]
    unlabeled: int
    cluster: Ints
    unit_names: Texts
    clip: Ints
    study: Ints
    frame: Ints
    factors: dict[str, Texts]
    logits: Floats
    altered: dict[str, AlteredFrames]

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Frames whose truth is one of the classes `(n,)`."""
        return self.truth >= 0


@dataclass(frozen=True)
class ValidationSample:
    """Scored validation frames of the source sites, of one run: `(n, classes)` and `(n,)`."""

    logits: Floats
    truth: Ints


def factorize(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
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
        if name in DEMOGRAPHICS.names and predictions.table[name].null_count == len(predictions.table):
            continue  # not known: the same as not there
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


@dataclass(frozen=True)
class _RunRows:
    """The rows of a file as numbers."""

    columns: dict[str, tuple[Ints, list[str]]]
    truth: Ints
    logits: Floats

    def rows_where(self, name: str, value: str) -> npt.NDArray[np.bool_]:
        """Say which rows hold `value` in column `name`."""
        found, values = self.columns[name]
        return found == values.index(value) if value in values else np.zeros(len(found), dtype=bool)

    def aligned(self, chosen: npt.NDArray[np.bool_], runs: Sequence[RunInfo], site: str) -> list[Ints]:
        """Return the chosen rows of each run, ordered by frame; they must be of the same frames with the same truth."""
        frame = self.columns["frame"][0]
        places = []
        for run in runs:
            mine = np.flatnonzero(chosen & self.rows_where("run", run.run))
            mine = mine[np.argsort(frame[mine], kind="stable")]
            if np.any(np.diff(frame[mine]) == 0):
                raise EvaluationError("a frame was predicted twice", where=f"run {run.run}, site {site}")
            places.append(mine)
        for found in places[1:]:
            same = np.array_equal(frame[found], frame[places[0]])
            if not (same and np.array_equal(self.truth[found], self.truth[places[0]])):
                what = "the runs were not tested on the same frames with the same truth"
                remedy = "Evaluate all runs again with one split and one store"
                raise EvaluationError(what, where=f"site {site}", remedy=remedy)
        return places


def read_samples(predictions: Predictions) -> tuple[list[SiteSample], list[ValidationSample]]:
    """Arrange the rows.

    Returns:
        One `SiteSample` a site and one `ValidationSample` a run, each in the order of the provenance.

    Raises:
        EvaluationError: a frame occurs twice in a run, the runs were not tested on the same frames, or an altered frame
            is not among them.
    """
    about, table = predictions.provenance, predictions.table
    if about.split.unit not in UNITS:
        raise EvaluationError(f"splits by {about.split.unit!r} have no cluster column", remedy=f"Known: {UNITS}")
    names = {"run", "site", "role", "frame", "clip", "study", "truth", about.split.unit}
    columns = {name: factorize(table[name]) for name in sorted(names)}
    views = columns["truth"][1]
    index_of = {view: place for place, view in enumerate(about.classes)}
    class_of = np.array([*(index_of.get(view, -1) for view in views), -2], dtype=np.int64)
    rows = _RunRows(columns, class_of[columns["truth"][0]], predictions.logits)
    factors = subgroup_factors(table)
    unit_names = np.array(columns[about.split.unit][1], object)
    samples = []
    for info in about.sites:
        here = rows.rows_where("site", info.site)
        places = rows.aligned(here & rows.rows_where("role", PredictionRole.TEST), about.runs, info.site)
        labeled = rows.truth[places[0]] > -2
        seen = columns["truth"][0][places[0]]
        outside = {view: int((seen == rank).sum()) for rank, view in enumerate(views) if view not in index_of}
        first = places[0][labeled]
        frame = columns["frame"][0][first]
        sample = SiteSample(
            site=info.site,
            truth=rows.truth[first],
            outside={view: count for view, count in outside.items() if count},
            unlabeled=int((~labeled).sum()),
            cluster=columns[about.split.unit][0][first],
            unit_names=unit_names,
            clip=columns["clip"][0][first],
            study=columns["study"][0][first],
            frame=frame,
            factors={name: levels[first] for name, levels in factors.items()},
            logits=np.stack([rows.logits[found[labeled]] for found in places]),
            altered={},
        )
        known = frame[sample.scored]
        for alteration in ALTERATIONS:
            found = rows.aligned(here & rows.rows_where("role", alteration), about.runs, info.site)
            if not len(found[0]):
                continue
            mine = columns["frame"][0][found[0]]
            if not np.isin(mine, known).all():
                raise EvaluationError("an altered frame is not among the scored test frames", where=f"site {info.site}")
            sample.altered[alteration] = AlteredFrames(mine, np.stack([rows.logits[place] for place in found]))
        samples.append(sample)
    fit = rows.rows_where("role", PredictionRole.VALIDATION) & (rows.truth >= 0)
    fit &= np.isin(
        columns["site"][0], [rank for rank, s in enumerate(columns["site"][1]) if s in about.split.source_sites]
    )
    fits = [fit & rows.rows_where("run", run.run) for run in about.runs]
    return samples, [ValidationSample(rows.logits[rows_of], rows.truth[rows_of]) for rows_of in fits]
