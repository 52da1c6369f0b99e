"""Time and memory of evaluation: `python -m benchmarks.evaluation`.

All predictions are SYNTHETIC. Three measurements, each in a fresh process on one core:

1. The interval of balanced accuracy over 500 studies of 20 frames: Wilson and MOVER, and 10,000 replicates of the
   bootstrap. Limit: 2 seconds. Peers: `scipy.stats.bootstrap` on the same sums by study; `bootstrap_ci` of the package
   `confidenceinterval`, if it is installed, which resamples frames; and scikit-learn's `balanced_accuracy_score` in a
   loop over resampled studies. The last two are timed on a part and extrapolated.
2. Every statistic of one run at one site of that size. No limit.
3. 350,000 predictions from arrays in memory to metrics: peak of resident memory. Limit: 2 GiB.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

REPLICATES, STUDIES, FRAMES = 10_000, 500, 20
LIMIT_SECONDS, LIMIT_GIB, ROWS = 2.0, 2.0, 350_000

Ints = npt.NDArray[np.int64]


def random_predictions(clusters: int, frames: int, seed: int = 0) -> tuple[Ints, Ints, npt.NDArray[np.float32]]:
    """Return cluster and truth `(n,)` and logits `(n, 4)` of frames whose cluster makes them easy or hard."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), frames)
    truth = rng.integers(0, 4, len(cluster))
    logits = rng.normal(0, 1, (len(cluster), 4)).astype(np.float32)
    logits[np.arange(len(cluster)), truth] += (1.5 + rng.normal(0, 1, clusters))[cluster]
    return cluster, truth, logits


def bootstrap_seconds() -> float:
    """Time the bootstrap: weights, confusion by study, replicates, interval."""
    from heart2heart.evaluation.classification import balanced_accuracy
    from heart2heart.evaluation.intervals import cluster_weights, percentile_interval, replicate
    from heart2heart.evaluation.sites import aggregate

    cluster, truth, logits = random_predictions(STUDIES, FRAMES)
    start = time.perf_counter()
    weights = cluster_weights(STUDIES, REPLICATES, 0, "site")
    level = aggregate(logits[None].astype(np.float64), truth, cluster, weights, "site")
    percentile_interval(replicate(weights, level.confusion[0], lambda sums: balanced_accuracy(sums, range(4))))
    return time.perf_counter() - start


def wilson_seconds() -> float:
    """Time the interval of the report: confusion by study, Wilson by class, MOVER."""
    from scipy.special import stdtrit

    from heart2heart.evaluation.intervals import cluster_weights
    from heart2heart.evaluation.sites import aggregate

    cluster, truth, logits = random_predictions(STUDIES, FRAMES)
    stdtrit(10, 0.975)  # the import of SciPy is not timed
    start = time.perf_counter()
    weights = cluster_weights(STUDIES, 1, 0, "site")
    level = aggregate(logits[None].astype(np.float64), truth, cluster, weights, "site")
    level.mean_sensitivity([0], range(4)).interval(0.95)
    return time.perf_counter() - start


def scipy_seconds() -> float:
    """Time SciPy's percentile bootstrap of the same statistic, from sums by study."""
    from scipy.stats import bootstrap

    cluster, truth, logits = random_predictions(STUDIES, FRAMES)
    start = time.perf_counter()
    right = logits.argmax(1) == truth
    rows = [np.bincount(cluster[truth == label], minlength=STUDIES) for label in range(4)]
    correct = [np.bincount(cluster[(truth == label) & right], minlength=STUDIES) for label in range(4)]

    def balanced(*sums: npt.NDArray[np.float64], axis: int = -1) -> npt.NDArray[np.float64]:
        shares = [sums[label].sum(axis) / sums[4 + label].sum(axis) for label in range(4)]
        return np.asarray(np.mean(shares, axis=0))

    bootstrap((*correct, *rows), balanced, n_resamples=REPLICATES, paired=True, method="percentile", batch=500)
    return time.perf_counter() - start


def package_seconds(tried: int = 50) -> float:
    """Time the package `confidenceinterval`, for all replicates by extrapolation; 0 if it is not installed."""
    from importlib import import_module

    from sklearn.metrics import balanced_accuracy_score

    try:
        bootstrap_ci = import_module("confidenceinterval.bootstrap").bootstrap_ci
    except ImportError:
        return 0.0
    _, truth, logits = random_predictions(STUDIES, FRAMES)
    called = logits.argmax(1)
    start = time.perf_counter()
    bootstrap_ci(
        y_true=truth.tolist(), y_pred=called.tolist(), metric=balanced_accuracy_score, confidence_level=0.95,
        n_resamples=tried, method="bootstrap_percentile", random_state=np.random.default_rng(0),
    )  # fmt: skip
    return (time.perf_counter() - start) * REPLICATES / tried


def peer_seconds(tried: int = 50) -> float:
    """Time scikit-learn in a loop over resampled studies, for all replicates by extrapolation."""
    from sklearn.metrics import balanced_accuracy_score

    cluster, truth, logits = random_predictions(STUDIES, FRAMES)
    called = logits.argmax(1)
    rows = [np.flatnonzero(cluster == study) for study in range(STUDIES)]
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(tried):
        drawn = np.concatenate([rows[study] for study in rng.integers(0, STUDIES, STUDIES)])
        balanced_accuracy_score(truth[drawn], called[drawn])
    return (time.perf_counter() - start) * REPLICATES / tried


def predictions_table(clusters: int, frames: int) -> pa.Table:
    """Return one run's rows at two sites, a tenth of the source's for validation."""
    from heart2heart.schema.predictions import PREDICTIONS

    cluster, truth, logits = random_predictions(clusters, frames)
    number = np.arange(len(cluster))
    site = np.where(cluster % 2 == 0, "A", "B")
    names = np.array(["PLAX", "PSAX", "A4C", "A2C"])
    columns = {
        "run": pa.array(np.full(len(number), "run")),
        "site": pa.array(site),
        "patient": pa.array(np.char.add("p", cluster.astype(str))),
        "study": pa.array(np.char.add("s", cluster.astype(str))),
        "clip": pa.array(np.char.add("c", (number // 4).astype(str))),
        "frame": pa.array(np.char.add("f", number.astype(str))),
        "index": pa.array(number % 4, pa.int32()),
        "mode": pa.array(np.full(len(number), "b_mode")),
        "maker": pa.array(np.where(cluster % 3 == 0, "Maker One", "Maker Two")),
        "quality": pa.array(np.full(len(number), 0.5, np.float32)),
        "role": pa.array(np.where((site == "A") & (cluster % 20 == 0), "validation", "test")),
        "truth": pa.array(np.where(number % 50 == 0, "OTHER", names[truth])),
        "logits": pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), 4).cast(pa.list_(pa.float32())),
        "image": pa.nulls(len(number), pa.binary()),
    }
    return pa.table([columns[name] for name in PREDICTIONS.names], schema=PREDICTIONS)


def whole_seconds(clusters: int, frames: int) -> float:
    """Time `evaluate_predictions` of one run at two sites with 10,000 replicates."""
    from heart2heart.evaluation.evaluate import evaluate_predictions
    from heart2heart.schema.enums import CheckStatus
    from heart2heart.schema.predictions import Predictions, Provenance
    from heart2heart.schema.split import REQUIRED_CHECKS, Certificate, Check
    from heart2heart.schema.views import SCORED_VIEWS

    checks = tuple(Check(name=name, status=CheckStatus.PASS, detail="") for name in REQUIRED_CHECKS)
    certificate = Certificate(split_sha256="0", checks=checks).digest()
    site = {"synthetic": True, "files": {}, "patients": 1, "studies": 1, "clips": 1, "frames": 1, "roles": {}}
    site |= {"labels": {}, "raters": [], "makers": [], "modes": {}, "date_from": None, "date_to": None}
    run = {"run": "run", "method": "method", "network": "network", "seed": 0, "config_sha256": "0", "config": {}}
    run |= {
        "facts": {"base": "method", "title": "method"},
        "parameters": 0,
        "steps": 0,
        "selected_step": 0,
        "selection": "",
        "seconds": 0.0,
        "device": "cpu",
    }
    provenance = {
        "code_version": "0", "created": "", "command": "", "classes": SCORED_VIEWS, "geometry": "tmed2/1",
        "split": {"name": "s", "sha256": "0", "certificate_sha256": certificate, "source_sites": ["A"],
                  "held_out_sites": ["B"], "checks": [check.model_dump() for check in checks]},
        "sites": [site | {"site": "A", "held_out": False}, site | {"site": "B", "held_out": True}],
        "runs": [run | {"versions": {}, "history": []}],
    }  # fmt: skip
    predictions = Predictions(predictions_table(clusters, frames), Provenance.parse(provenance, where="benchmark"))
    start = time.perf_counter()
    evaluate_predictions(predictions, replicates=REPLICATES)
    return time.perf_counter() - start


def _measured(part: str) -> tuple[float, float]:
    """Run one part in a fresh process on one core: seconds, and peak memory in GiB."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    line = [sys.executable, "-m", "benchmarks.evaluation", "--part", part]
    done = subprocess.run(line, env=os.environ | threads, capture_output=True, text=True, check=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


PARTS: dict[str, Callable[[], float]] = {
    "bootstrap": bootstrap_seconds,
    "wilson": wilson_seconds,
    "scipy": scipy_seconds,
    "package": package_seconds,
    "peer": peer_seconds,
    "site": lambda: whole_seconds(2 * STUDIES, FRAMES),
    "large": lambda: whole_seconds(ROWS // 50, 50),
}


def main(argv: list[str] | None = None) -> int:
    """Print the table; return 1 when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=sorted(PARTS), help="measure one part and print seconds and GiB")
    part: str | None = parser.parse_args(argv).part
    if part:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        seconds = PARTS[part]()
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        return 0
    cost = {name: _measured(name) for name in PARTS}
    fast, lean = cost["bootstrap"][0], cost["large"][1]
    print("| what | seconds | peak memory, GiB | limit | peer |")
    print("|---|---|---|---|---|")
    package = f"{cost['package'][0]:.0f} s" if cost["package"][0] else "not installed"
    print(
        f"| balanced accuracy, Wilson and MOVER, {STUDIES} studies | {cost['wilson'][0]:.3f} |"
        f" {cost['wilson'][1]:.2f} | {LIMIT_SECONDS:.0f} s | |"
    )
    print(
        f"| balanced accuracy, {REPLICATES} replicates, {STUDIES} studies | {fast:.2f} | {cost['bootstrap'][1]:.2f} |"
        f" {LIMIT_SECONDS:.0f} s | SciPy: {cost['scipy'][0]:.2f} s; confidenceinterval: {package};"
        f" scikit-learn in a loop: {cost['peer'][0]:.0f} s |"
    )
    print(f"| all of metrics.json, 2 sites of {STUDIES} studies | {cost['site'][0]:.1f} | {cost['site'][1]:.2f} | | |")
    print(
        f"| all of metrics.json, {ROWS} predictions of {ROWS // 50} patients | {cost['large'][0]:.0f} | {lean:.2f} |"
        f" {LIMIT_GIB:.0f} GiB | |"
    )
    return int(fast > LIMIT_SECONDS or lean > LIMIT_GIB)


if __name__ == "__main__":
    sys.exit(main())
