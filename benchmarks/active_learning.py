"""Time and memory of the query strategies: `python -m benchmarks.active_learning`.

All numbers are SYNTHETIC: embeddings of 128 numbers in 200 clusters, and 8 views. Each measurement is made in a
fresh process on two cores, given embeddings; CPU seconds count all threads and depend little on other load. Tables:

1. 350,000 frames that are as many clips (the harder case: clips of several frames are averaged first), 2,000 of them
   labeled, 500 to be picked. Limit: 120 CPU seconds for each method, which two cores take at most as long for.
2. heart2heart beside scikit-activeml, where that has the method, at 35,000 clips, 200 labeled, 50 to be picked: at
   350,000 its BADGE alone would hold 2.9 GB of gradients.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from heart2heart.active_learning.pool import ClipPool
from heart2heart.active_learning.queue import QueueSettings, select_clips
from heart2heart.active_learning.strategies import STRATEGIES
from heart2heart.cli import yield_cores

CLIPS, PICKS, LABELED, WIDTH, VIEWS = 350_000, 500, 2000, 128, 8
PEER_CLIPS, PEER_PICKS, PEER_LABELED = 35_000, 50, 200
LIMIT = 120.0
CORES = 2


def random_pool(clips: int, labeled: int, seed: int = 0) -> ClipPool:
    """Return a pool of clips in clusters, five clips per patient."""
    rng = np.random.default_rng(seed)
    heap = rng.integers(0, 200, clips)
    embeddings = rng.normal(0, 1, (clips, WIDTH)).astype(np.float32)
    embeddings += rng.normal(0, 1, (200, WIDTH)).astype(np.float32)[heap]
    weights = rng.normal(0, WIDTH**-0.5, (WIDTH, VIEWS)).astype(np.float32)
    logits = embeddings @ weights
    tables = {"embeddings": embeddings, "weights": weights, "bias": np.zeros(VIEWS, np.float32)}
    for name in ("probabilities", "earlier", "student", "teacher"):
        share = np.exp(logits if name == "probabilities" else logits + rng.normal(0, 0.3, logits.shape))
        tables[name] = (share / share.sum(1, keepdims=True)).astype(np.float32)
    labeled_mask = np.arange(clips) < labeled
    number = np.arange(clips)
    return ClipPool(
        patient=number // 5,
        labeled_mask=labeled_mask,
        target=np.where(labeled_mask, logits.argmax(1), -1),
        cost=np.ones(clips),
        duplicate_group=number,
        classes=tuple(map(str, range(VIEWS))),
        tables=tables,
    )


def select_with_heart2heart(by: str, pool: ClipPool, picks: int) -> None:
    """Pick by one method; VAAL with its adversary."""
    if by == "vaal":
        from heart2heart.training.model_outputs import vaal_scores

        pool = ClipPool(
            **(vars(pool) | {"tables": {"unlike": vaal_scores(pool.table("embeddings"), pool.labeled_mask, 0)}})
        )
    selected = select_clips(pool, QueueSettings(by=by, budget=picks))
    assert len(selected) == picks


def _labels(pool: ClipPool) -> Any:
    return np.where(pool.labeled_mask, pool.target.astype(float), np.nan)


def _peer_core_set(pool: ClipPool, picks: int) -> None:
    from skactiveml.pool import CoreSet

    CoreSet(random_state=0).query(pool.table("embeddings"), _labels(pool), batch_size=picks)


def _peer_typiclust(pool: ClipPool, picks: int) -> None:
    from skactiveml.pool import TypiClust
    from sklearn.cluster import MiniBatchKMeans

    kind = TypiClust(random_state=0, cluster_algo=MiniBatchKMeans, cluster_algo_dict={"n_init": 1, "batch_size": 1024})
    kind.query(pool.table("embeddings"), _labels(pool), batch_size=picks)


def _peer_badge(pool: ClipPool, picks: int) -> None:
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge
    from sklearn.naive_bayes import GaussianNB

    points = pool.table("embeddings")
    model = SklearnClassifier(GaussianNB(), classes=range(VIEWS)).fit(points, _labels(pool))
    Badge(random_state=0).query(points, _labels(pool), model, fit_clf=False, batch_size=picks)


def _peer_uncertainty(method: str, pool: ClipPool, picks: int) -> None:
    from skactiveml.pool import uncertainty_scores

    scores = uncertainty_scores(pool.table("probabilities").astype(np.float64), method=method)
    np.argsort(-np.where(pool.labeled_mask, -1, scores))[:picks]


PEERS: dict[str, Callable[[ClipPool, int], None]] = {
    "entropy": partial(_peer_uncertainty, "entropy"),
    "margin": partial(_peer_uncertainty, "margin_sampling"),
    "least_confidence": partial(_peer_uncertainty, "least_confident"),
    "core_set": _peer_core_set,
    "badge": _peer_badge,
    "typiclust": _peer_typiclust,
}


MODULES = (
    ("heart2heart.training.model_outputs", "sklearn.cluster"),
    ("skactiveml.classifier", "skactiveml.pool", "sklearn.cluster", "sklearn.naive_bayes"),
)
"""What ours and theirs load; loading is not timed."""


def _part(kind: str, by: str) -> tuple[float, float, float]:
    """Measure in this process: seconds, seconds of CPU over all threads, and peak memory in GiB."""
    large = kind == "large"
    pool = random_pool(CLIPS, LABELED) if large else random_pool(PEER_CLIPS, PEER_LABELED)
    for name in MODULES[kind == "peer"]:
        importlib.import_module(name)
    start, used = time.perf_counter(), time.process_time()
    if kind == "peer":
        PEERS[by](pool, PEER_PICKS)
    else:
        select_with_heart2heart(by, pool, PICKS if large else PEER_PICKS)
    return (
        time.perf_counter() - start,
        time.process_time() - used,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )


def _measured(kind: str, by: str) -> tuple[float, float, float]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(CORES))
    line = [sys.executable, "-m", "benchmarks.active_learning", "--part", kind, by]
    done = subprocess.run(line, env=os.environ | threads, capture_output=True, text=True, check=True)
    seconds, used, peak = map(float, done.stdout.split())
    return seconds, used, peak


def main(argv: list[str] | None = None) -> int:
    """Print both tables; return 1 when a method breaks the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs=2, metavar=("KIND", "METHOD"), help="measure one and print seconds and GiB")
    parser.add_argument("--by", action="append", choices=list(STRATEGIES), help="method; repeatable, all by default")
    arguments = parser.parse_args(argv)
    yield_cores()
    if arguments.part:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:CORES]))
        print(*_part(*arguments.part))
        return 0
    methods: list[str] = arguments.by or list(STRATEGIES)
    print(f"| method | {CLIPS} clips, {PICKS} picks, seconds | CPU seconds | peak memory, GiB | limit |")
    print("|---|---|---|---|---|")
    slow = []
    for by in methods:
        seconds, used, peak = _measured("large", by)
        slow += [by] if used > LIMIT else []
        print(f"| {by} | {seconds:.1f} | {used:.1f} | {peak:.1f} | {LIMIT:.0f} CPU s |", flush=True)
    head = f"{PEER_CLIPS} clips, {PEER_PICKS} picks"
    print(f"\n| method | ours, {head}, CPU seconds | scikit-activeml, CPU seconds | ratio |\n|---|---|---|---|")
    for by in (by for by in methods if by in PEERS):
        seconds, peer_seconds = _measured("small", by)[1], _measured("peer", by)[1]
        print(f"| {by} | {seconds:.2f} | {peer_seconds:.2f} | {peer_seconds / seconds:.1f} |", flush=True)
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
