"""Reads the rows of a predictions file into arrays by site, with the subgroup of each row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.schema.enums import ALTERATIONS, PredictionRole
from heart2heart.schema.predictions import OPTIONAL_COLUMNS, Predictions, RunInfo

AGES = ((0, "under 40"), (40, "40 to 59"), (60, "60 to 79"), (80, "80 and over"))
UNKNOWN = "unknown"


def subgroup_factors(table: pa.Table) -> dict[str, npt.NDArray[np.object_]]:
    """Return the subgroup of each row `(n,)` by factor: manufacturer, mode, sex, image quality and age.

    Quality is divided at the tertiles of all test rows. All sites and runs use the same limits, so the subgroups are
    comparable. A quality that is not a number, and a column that is absent (files of older versions) or entirely null,
    give no factor.
    """
    factors: dict[str, npt.NDArray[np.object_]] = {}
    for name in ("maker", "mode", "sex"):
        if name in table.column_names and table[name].null_count < len(table):
            factors[name] = table[name].fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    quality = table["quality"].to_numpy(zero_copy_only=False)
    test = quality[table["role"].to_numpy(zero_copy_only=False) == PredictionRole.TEST]
    if len(test) and np.isfinite(test).all():
        low, high = np.quantile(test, (1 / 3, 2 / 3))
        names = np.array(["lowest third", "middle third", "highest third"], object)
        factors["quality"] = names[(quality > low).astype(int) + (quality > high)]
    if "age" in table.column_names and table["age"].null_count < len(table):
        years = table["age"].fill_null(-1).to_numpy(zero_copy_only=False)
        names = np.array([UNKNOWN, *(name for _, name in AGES)], object)
        factors["age"] = names[np.searchsorted([least for least, _ in AGES], years, side="right")]
    return factors


UNITS = ("patient", "study", "clip")


Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class AlteredFrames:
    """Logits of altered frames of one site.

    Attributes:
        frame: The original frames `(m,)`, numbered as in `SiteSample`.
        logits: `(runs, m, classes)`.
    """

    frame: Ints
    logits: Floats


@dataclass(frozen=True)
class SiteSample:
    """The labeled test frames of one site, ordered by frame identifier.

    Attributes:
        site: Name of the site.
        truth: Index of the true class `(n,)`; -1 for a view that is not a class.
        outside: Number of frames of each view that is not a class.
        unlabeled: Number of test frames without a label; the arrays do not contain them.
        cluster: Resampling unit of each frame `(n,)`.
        unit_names: Names of the resampling units of the file; `cluster` indexes them.
        clip: Clip of each frame `(n,)`.
        study: Study of each frame `(n,)`.
        frame: Rank of each frame's identifier `(n,)`, ascending.
        factors: Subgroup of each frame `(n,)` by factor; `unknown` if the file does not record it.
        logits: `(runs, n, classes)`.
        altered: Altered frames by alteration; their originals are scored frames of this sample.
        perturbed: Perturbed frames by kind and level, likewise.
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
    perturbed: dict[tuple[str, float], AlteredFrames] = field(default_factory=dict)

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Whether the true view of each frame is one of the classes `(n,)`."""
        return self.truth >= 0


@dataclass(frozen=True)
class ValidationSample:
    """Scored validation frames of the source sites, for one run: logits `(n, classes)`, truth and cluster `(n,)`."""

    logits: Floats
    truth: Ints
    cluster: Ints


def factorize(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Replace each text by its rank among the distinct texts; null becomes -1.

    Returns:
        The ranks `(n,)`, and the distinct texts in ascending order.

    Examples:
        >>> factorize(pa.chunked_array([["b", "a", None, "b"]]))[0].tolist()
        [1, 0, -1, 1]
    """
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[order], rank[-1] = np.arange(len(values)), -1
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return rank[indices], [values[index] for index in order]


def digest(predictions: Predictions) -> str:
    """Return the sha256 of all rows and the provenance; it does not depend on compression or chunking of the file."""
    sha = hashlib.sha256(predictions.provenance.digest_text().encode())
    for name in predictions.table.column_names:
        if name in OPTIONAL_COLUMNS.names and predictions.table[name].null_count == len(predictions.table):
            continue  # an unknown column has the same digest as an absent one
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
    """The rows of a predictions file as arrays."""

    columns: dict[str, tuple[Ints, list[str]]]
    truth: Ints
    logits: Floats

    def rows_where(self, name: str, value: str) -> npt.NDArray[np.bool_]:
        """Return which rows have `value` in column `name` `(n,)`."""
        ranks, values = self.columns[name]
        return ranks == values.index(value) if value in values else np.zeros(len(ranks), dtype=bool)

    def aligned(self, chosen: npt.NDArray[np.bool_], runs: Sequence[RunInfo], site: str) -> list[Ints]:
        """Return the chosen rows of each run, ordered by frame.

        Raises:
            EvaluationError: A frame occurs twice, or the runs differ in their frames or true views.
        """
        frame = self.columns["frame"][0]
        rows_by_run = []
        for run in runs:
            rows = np.flatnonzero(chosen & self.rows_where("run", run.run))
            rows = rows[np.argsort(frame[rows], kind="stable")]
            if np.any(np.diff(frame[rows]) == 0):
                where = f"run {run.run}, site {site}"
                raise EvaluationError("a frame was predicted twice", where=where, remedy="Evaluate the runs again")
            rows_by_run.append(rows)
        for other_rows in rows_by_run[1:]:
            same_frames = np.array_equal(frame[other_rows], frame[rows_by_run[0]])
            if not (same_frames and np.array_equal(self.truth[other_rows], self.truth[rows_by_run[0]])):
                what = "the runs were not tested on the same frames with the same truth"
                remedy = "Evaluate all runs again with one split and one store"
                raise EvaluationError(what, where=f"site {site}", remedy=remedy)
        return rows_by_run

    def altered_frames(
        self, chosen: npt.NDArray[np.bool_], runs: Sequence[RunInfo], site: str, scored_frames: Ints
    ) -> AlteredFrames:
        """Return the chosen rows as altered frames.

        Raises:
            EvaluationError: As in `aligned`, or an original is not among the scored test frames.
        """
        rows_by_run = self.aligned(chosen, runs, site)
        frames = self.columns["frame"][0][rows_by_run[0]]
        if not np.isin(frames, scored_frames).all():
            what = "an altered frame is not among the scored test frames"
            remedy = "Evaluate the runs again with --probes or --stress"
            raise EvaluationError(what, where=f"site {site}", remedy=remedy)
        return AlteredFrames(frames, np.stack([self.logits[rows] for rows in rows_by_run]))


def _perturbed_rows(table: pa.Table, rows: _RunRows) -> dict[tuple[str, float], npt.NDArray[np.bool_]]:
    """Return which rows hold each kind and level of the stress test, in ascending order of both."""
    is_perturbed = rows.rows_where("role", PredictionRole.PERTURBED)
    if not is_perturbed.any():
        return {}
    kinds = table["perturbation"].to_numpy(zero_copy_only=False)
    levels = np.round(table["level"].fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64), 6)
    pairs = sorted(set(zip(kinds[is_perturbed].tolist(), levels[is_perturbed].tolist(), strict=True)))
    return {(kind, level): is_perturbed & (kinds == kind) & (levels == level) for kind, level in pairs}


def read_samples(predictions: Predictions) -> tuple[list[SiteSample], list[ValidationSample]]:
    """Read the rows of predictions into arrays.

    Returns:
        One `SiteSample` per site and one `ValidationSample` per run, each in the order of the provenance.

    Raises:
        EvaluationError: A frame occurs twice in a run, the runs were not tested on the same frames, or an altered frame
            has no scored original.
    """
    provenance, table = predictions.provenance, predictions.table
    if provenance.split.unit not in UNITS:
        raise EvaluationError(f"splits by {provenance.split.unit!r} have no cluster column", remedy=f"Known: {UNITS}")
    names = {"run", "site", "role", "frame", "clip", "study", "truth", provenance.split.unit}
    columns = {name: factorize(table[name]) for name in sorted(names)}
    views = columns["truth"][1]
    index_of = {view: index for index, view in enumerate(provenance.classes)}
    class_of = np.array([*(index_of.get(view, -1) for view in views), -2], dtype=np.int64)
    rows = _RunRows(columns, class_of[columns["truth"][0]], predictions.logits)
    factors = subgroup_factors(table)
    unit_names = np.array(columns[provenance.split.unit][1], object)
    samples = []
    for info in provenance.sites:
        at_site = rows.rows_where("site", info.site)
        test_rows = rows.aligned(at_site & rows.rows_where("role", PredictionRole.TEST), provenance.runs, info.site)
        labeled = rows.truth[test_rows[0]] > -2
        test_views = columns["truth"][0][test_rows[0]]
        outside = {view: int((test_views == rank).sum()) for rank, view in enumerate(views) if view not in index_of}
        first = test_rows[0][labeled]
        frame = columns["frame"][0][first]
        sample = SiteSample(
            site=info.site,
            truth=rows.truth[first],
            outside={view: count for view, count in outside.items() if count},
            unlabeled=int((~labeled).sum()),
            cluster=columns[provenance.split.unit][0][first],
            unit_names=unit_names,
            clip=columns["clip"][0][first],
            study=columns["study"][0][first],
            frame=frame,
            factors={name: levels[first] for name, levels in factors.items()},
            logits=np.stack([rows.logits[run_rows[labeled]] for run_rows in test_rows]),
            altered={},
        )
        scored_frames = frame[sample.scored]
        for alteration in ALTERATIONS:
            altered = at_site & rows.rows_where("role", alteration)
            if altered.any():
                sample.altered[alteration] = rows.altered_frames(altered, provenance.runs, info.site, scored_frames)
        for (kind, level), perturbed in _perturbed_rows(table, rows).items():
            if (perturbed & at_site).any():
                sample.perturbed[kind, level] = rows.altered_frames(
                    perturbed & at_site, provenance.runs, info.site, scored_frames
                )
        samples.append(sample)
    is_validation = rows.rows_where("role", PredictionRole.VALIDATION) & (rows.truth >= 0)
    is_validation &= np.isin(
        columns["site"][0], [rank for rank, s in enumerate(columns["site"][1]) if s in provenance.split.source_sites]
    )
    validation_rows = [is_validation & rows.rows_where("run", run.run) for run in provenance.runs]
    unit = columns[provenance.split.unit][0]
    return samples, [
        ValidationSample(rows.logits[rows_of], rows.truth[rows_of], unit[rows_of]) for rows_of in validation_rows
    ]
