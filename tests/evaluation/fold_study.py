"""A simulated study of two splits, for the coverage of the intervals of `evaluate_folds`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart.evaluation.cross_split import evaluate_folds
from heart2heart.schema.predictions import PREDICTIONS, Predictions
from heart2heart.schema.site_metrics import Estimate
from tests.evaluation.factory import HOSPITALS, certify, make_predictions
from tests.evaluation.simulation import draw_frames

VIEWS = ("PLAX", "PSAX", "A4C", "A2C")
MADE = make_predictions(hospitals=HOSPITALS[:2])
RUNS = [run.run for run in MADE.provenance.runs]


def measure_folds(
    rng: np.random.Generator, clusters: int, *, bca: bool, replicates: int, seed: int
) -> dict[str, Estimate]:
    """Score two splits of one held-out hospital, tested whole in both, and one source, tested on other patients."""
    held_out = _frames(rng, clusters)
    own = _frames(rng, clusters)
    third = max(1, clusters // 3)
    # Two thirds of the source's patients test in each split, so that a third tests in both.
    parts = (own[2] < 2 * third, own[2] >= clusters - 2 * third)
    splits = []
    for index, part in enumerate(parts):
        rows = [_rows(rng, "north", *(each[part] for each in own)), _rows(rng, "east", *held_out)]
        splits.append(_split(index, pa.concat_tables(rows)))
    metrics = evaluate_folds(splits, replicates=replicates, seed=seed, bca=bca)
    sites = {site.held_out: site.balanced_accuracy for site in metrics.methods[0].sites}
    differences = {site.held_out: site.difference for site in metrics.comparisons[0].sites}
    return {
        "splits: held-out hospital": sites[True],
        "splits: source hospital": sites[False],
        "splits: difference, held-out": differences[True],
        "splits: difference, source": differences[False],
    }


Drawn = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _frames(rng: np.random.Generator, clusters: int) -> Drawn:
    return draw_frames(rng, clusters, classes=4)


def _rows(
    rng: np.random.Generator,
    site: str,
    logits: npt.NDArray[np.float64],
    truth: npt.NDArray[np.int64],
    cluster: npt.NDArray[np.int64],
) -> pa.Table:
    """Return the test rows of both runs of one split, each a noisy version of the same logits."""
    parts = []
    frames = pa.array([f"{site}-{number}" for number in np.arange(len(truth))])
    patients = pa.array([f"{site}-p{number}" for number in cluster.tolist()])
    for run in RUNS:
        noisy = (logits + rng.normal(0, 1, logits.shape)).astype(np.float32)
        fixed = {"run": run, "site": site, "index": 0, "mode": "b_mode", "maker": None, "quality": 0.5, "role": "test"}
        columns = {name: pa.array([value] * len(truth), PREDICTIONS.field(name).type) for name, value in fixed.items()}
        columns |= {"patient": patients, "study": patients, "clip": frames, "frame": frames}
        columns["truth"] = pa.array(np.array(VIEWS)[truth])
        columns["logits"] = pa.array(list(noisy), PREDICTIONS.field("logits").type)
        columns["image"] = pa.nulls(len(truth), pa.binary())
        parts.append(pa.table([columns[name] for name in PREDICTIONS.names], schema=PREDICTIONS))
    return pa.concat_tables(parts)


def _split(number: int, table: pa.Table) -> Predictions:
    provenance = MADE.provenance
    split = certify(provenance.split.model_copy(update={"name": f"fold-{number}", "sha256": f"{number:02d}" * 32}))
    return replace(MADE, table=table, provenance=provenance.model_copy(update={"split": split}))
