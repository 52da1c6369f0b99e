"""What a study measures of one run: test score, who was mistaken for what, and what the run took from the pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart.errors import DivergedError
from heart2heart.splits.manifest import SelectedFrames, SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.algorithms import ALGORITHMS, build_algorithm
from heart2heart.training.config import TrainConfig
from heart2heart.training.run import Run
from heart2heart.training.train import train

Integers = npt.NDArray[np.int64]
POOL_SAMPLE = 2_000
"""Most pool frames that the finished network predicts."""
THRESHOLD = 0.95
"""Confidence from which a prediction counts as a label, where the method has no threshold of its own."""
MEANS = ("conflict_rate", "pseudo_label_rate")
"""Metrics of the steps whose mean over the run is a column of the line."""


def config_digest(config: TrainConfig) -> str:
    """Return the hash of a configuration without its paths, which names a run in the results."""
    return config.model_copy(update={"data": None}).digest()


def reads_pool(config: TrainConfig) -> bool:
    """Return whether a run reads unlabeled frames at all."""
    return bool(ALGORITHMS[config.method.name].views) or config.fix_a_step.mixing


def pool_passes(config: TrainConfig, pool: int) -> float:
    """Return how often a run draws each of `pool` frames on average; 0 for a run without a pool."""
    return config.steps * config.batch.unlabeled / pool if pool and reads_pool(config) else 0.0


def confusion(truth: Integers, predicted: Integers, classes: int) -> list[list[int]]:
    """Return the number of frames by true class (row) and predicted class (column).

    Examples:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
        [[1, 1], [0, 1]]
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, predicted), 1)
    return [[int(value) for value in row] for row in counts]


def balanced_accuracy(counts: list[list[int]]) -> float:
    """Return the mean recall over the classes that occur, 0 to 1, of a table of `confusion`.

    Examples:
        >>> balanced_accuracy([[1, 1], [0, 1]])
        0.75
    """
    table = np.array(counts, np.float64)
    present = table.sum(1) > 0
    return float((np.diag(table)[present] / table.sum(1)[present]).mean())


def pseudo_label_measures(
    probabilities: npt.NDArray[np.floating[Any]], truth: Integers, threshold: float
) -> dict[str, float | None]:
    """Return what the confident predictions of pool frames are worth.

    Args:
        probabilities: `(n, classes)`.
        truth: True class `(n,)`; -1 for frames of another class, whose pseudo-label is always wrong.
        threshold: Confidence from which a prediction counts.

    Returns:
        `pool_pass_rate`, the share of frames that pass; `pool_precision`, the share of those with the right label; and
        `pool_foreign_rate`, the share of those that are of another class. The last two are None if none passes.

    Examples:
        >>> pseudo_label_measures(np.array([[0.99, 0.01], [0.03, 0.97], [0.6, 0.4]]), np.array([0, -1, 0]), 0.95)
        {'pool_pass_rate': 0.6666666666666666, 'pool_precision': 0.5, 'pool_foreign_rate': 0.5}
    """
    passes = probabilities.max(1) >= threshold
    right = probabilities.argmax(1) == truth
    return {
        "pool_pass_rate": float(passes.mean()),
        "pool_precision": float(right[passes].mean()) if passes.any() else None,
        "pool_foreign_rate": float((truth[passes] < 0).mean()) if passes.any() else None,
    }


def clip_counts(selected: SelectedFrames, right: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return one row a clip: its patient, its true class, its frames, and how many of them are right.

    Args:
        selected: The frames of known classes that were tested.
        right: Whether each is predicted right, `(n,)`.
    """
    rows: dict[str, dict[str, Any]] = {}
    members = zip(selected.members.to_pylist(), selected.targets.tolist(), right.tolist(), strict=True)
    for member, target, is_right in members:
        empty = {"patient": member["patient"], "truth": target, "frames": 0, "right": 0}
        row = rows.setdefault(member["clip"], empty)
        row["frames"] += 1
        row["right"] += int(is_right)
    return list(rows.values())


def train_and_measure(
    config: TrainConfig, out: Path, *, frame_classes: Path | None = None, by_clip: bool = False
) -> dict[str, Any]:
    """Train one run, or continue it, and read the test frames once with the weights that were selected.

    Args:
        config: The run.
        out: Its folder.
        frame_classes: An array of the name of the class of every frame by its row, which `numpy.load` reads; with it
            the pseudo-labels of pool frames are judged.
        by_clip: Whether the line holds `clips`, the rows of `clip_counts`, for intervals over patients.

    Returns:
        A line of results without its key. Its score is None where the run diverged.
    """
    import torch
    from scipy.special import softmax

    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # the processes are the parallelism
    stores, split = FrameStores.open(config.data.stores), SplitManifest.load(config.data.split)
    pool = split.select(stores, "unlabeled").rows if reads_pool(config) else np.zeros(0, np.int64)
    line: dict[str, Any] = {"split_sha256": split.sha256, "pool": len(pool)}
    line |= {"pool_passes": round(pool_passes(config, len(pool)), 3)}
    try:
        trained = train(config, out)
    except DivergedError:  # a result like any other, and told as one
        return line | {"balanced_accuracy": None} | dict.fromkeys(MEANS)
    run, record = Run.load(trained.path), trained.directory.record
    tested = split.select(stores, "test")
    known = tested.targets >= 0
    predicted = run.predict(stores.read(tested.rows[known])).argmax(1)
    counts = confusion(tested.targets[known], predicted, len(split.classes))
    line |= {
        "balanced_accuracy": balanced_accuracy(counts),
        "confusion": counts,
        "validation": record.selected_score,
        "selected_step": record.selected_step,
        "device": record.device,
    }
    if by_clip:
        of_class = SelectedFrames(tested.rows[known], tested.targets[known], tested.members.filter(pa.array(known)))
        line["clips"] = clip_counts(of_class, predicted == of_class.targets)
    steps = trained.directory.metrics.read()
    for name in MEANS:
        values = [each[name] for each in steps if name in each]
        line[name] = sum(values) / len(values) if values else None
    if frame_classes is not None and len(pool):
        rows = pool[:: -(-len(pool) // POOL_SAMPLE)]
        names = np.load(frame_classes, allow_pickle=False)[rows]
        truth = np.array([split.classes.index(name) if name in split.classes else -1 for name in names.tolist()])
        threshold = getattr(build_algorithm(config.method.name, config.method.params), "threshold", THRESHOLD)
        line |= pseudo_label_measures(softmax(run.predict(stores.read(rows)), axis=1), truth, threshold)
    return line
