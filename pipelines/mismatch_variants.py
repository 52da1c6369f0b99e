"""Variants of the methods, by name, and the run of one variant on one task.

A variant is a method, alone or combined with parts of Fix-A-Step: `fixmatch`, `fixmatch+fix_a_step`
(both halves), `fixmatch+mixing`, `fixmatch+gradient` (the rule alone), `fixmatch+mixing+per_frame` (mixing and
another rule), `fixmatch+separate` (running statistics of every pass, not of labeled frames alone), `fixmatch+joint`
(one batch of all frames).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.errors import ConfigError, DivergedError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.config import TrainConfig
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.run import Run
from heart2heart.training.train import train
from heart2heart.training.validation import balanced_accuracy
from pipelines.study_jobs import FORMER_DEFAULTS

METHOD_SETTINGS: dict[str, dict[str, Any]] = {
    "pi_model": {"unlabeled_weight": {"value": 10.0, "ramp": 0.4}},
    "temporal_ensembling": {"unlabeled_weight": {"value": 10.0, "ramp": 0.4}},
    "mean_teacher": {"unlabeled_weight": {"value": 50.0, "ramp": 0.4}},
    "pseudo_label": {"unlabeled_weight": {"value": 1.0, "ramp": 0.4}},
    "vat": {
        "unlabeled_weight": {"value": 0.3, "ramp": 0.4},
        "optimiser": {"name": "adam", "lr": 0.002, "weight_decay": 4e-5},
        "schedule": {"name": "fixed"},
    },
    "mixmatch": {
        "unlabeled_weight": {"value": 75.0, "ramp": 0.4},
        "optimiser": {"name": "adam", "lr": 0.002, "weight_decay": 4e-5},
        "schedule": {"name": "fixed"},
    },
}
"""Where a method departs from SGD .03, a cosine rate and a weight of 1 without ramp: Fix-A-Step's CIFAR table. A ramp
is given as a share of the run, 419,430 of 1,048,576 steps there."""


BATCH_NORMS = ("separate", "joint")
"""What `batch_norm` may be other than by default."""


@dataclass(frozen=True)
class RunBudget:
    """Settings that every variant shares.

    Attributes:
        steps: Optimiser steps.
        labeled: Labeled images a step.
        unlabeled: Unlabeled images a step.
        depth: Depth of the WideResNet.
        widen: Its width.
        blocks: Its groups.
        ema: Decay of the averaged weights.
    """

    steps: int = 400
    labeled: int = 32
    unlabeled: int = 64
    depth: int = 10
    widen: int = 1
    blocks: int = 2
    ema: float = 0.98


@dataclass(frozen=True)
class MismatchRun:
    """One variant on one split with one seed.

    Attributes:
        key: What names the job in the results: dataset, level, labels, seed, way.
        split: Folder of the split.
        store: Folder of the store.
        out: Folder of the run.
        budget: What it is given.
    """

    key: dict[str, Any]
    split: Path
    store: Path
    out: Path
    budget: RunBudget


def parse_variant(way: str) -> tuple[str, dict[str, Any]]:
    """Return the method's name and the settings around it of a way, as a configuration names them.

    Raises:
        ConfigError: an unknown part, with all there are.
    """
    method, *around = way.split("+")
    halves: dict[str, Any] = {"temperature": 0.5, "alpha": 0.5}
    settings: dict[str, Any] = {"fix_a_step": halves}
    for part in around:
        if part == "fix_a_step":
            halves |= {
                "mixing": not ALGORITHMS[method].mixes_labeled if method in ALGORITHMS else True,
                "gradient": "fix_a_step",
            }
        elif part == "mixing":
            halves["mixing"] = True
        elif part == "gradient":
            halves["gradient"] = "fix_a_step"
        elif part in GRADIENT_RULES:
            halves["gradient"] = part
        elif part in BATCH_NORMS:
            settings["batch_norm"] = part
        else:
            remedy = f"Choose of fix_a_step, mixing, gradient, {', '.join((*BATCH_NORMS, *sorted(GRADIENT_RULES)))}"
            raise ConfigError(f"no part of a way is called {part!r}", where=way, remedy=remedy)
    if method not in ALGORITHMS:
        raise ConfigError(
            f"no method is called {method!r}", where=way, remedy=f"Choose {', '.join(sorted(ALGORITHMS))}"
        )
    return method, settings


def run_config(job: MismatchRun) -> TrainConfig:
    """Return the training configuration of a job."""
    method, around = parse_variant(job.key["way"])
    budget, settings = job.budget, dict(METHOD_SETTINGS.get(method, {}))
    weight = dict(settings.pop("unlabeled_weight", {"value": 1.0, "ramp": 0.0}))
    weight["ramp"] = round(weight["ramp"] * budget.steps)
    every = max(1, budget.steps // 8)
    content: dict[str, Any] = {
        "data": {"stores": [str(job.store)], "split": str(job.split)},
        "network": {
            "options": {
                "depth": budget.depth, "widen": budget.widen, "blocks": budget.blocks,
                "norm_momentum": 0.05,  # the statistics of a short run
            }
        },
        "method": {"name": method},
        "unlabeled_weight": weight,
        "optimiser": {"name": "sgd", "lr": 0.03, "weight_decay": 5e-4},
        **FORMER_DEFAULTS,
        "batch": {"labeled": budget.labeled, "unlabeled": budget.unlabeled},
        "pool": {"modes": ["other"]},
        "ema": budget.ema,
        "steps": budget.steps,
        "evaluate_every": every,
        "checkpoint_every": budget.steps,
        "log_every": every,
        "seed": job.key["seed"],
        "device": "auto",
    }  # fmt: skip
    return TrainConfig.parse(content | around | settings, where=job.key["way"])


def train_and_test(job: MismatchRun) -> dict[str, Any]:
    """Train one variant, and predict the test images once with the weights that validation selected.

    Returns:
        One line of results; its score is null when the run diverged.
    """
    import torch

    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # the processes are the parallelism
    started = time.monotonic()
    config = run_config(job)
    head = job.key | {"config_sha256": config.model_copy(update={"data": None}).digest()}
    try:
        run = train(config, job.out)
    except DivergedError:  # a result like any other, and told as one
        return head | {"balanced_accuracy": None, "conflict_rate": None, "seconds": time.monotonic() - started}
    split, frames = SplitManifest.load(job.split), _frames(job.store)
    tested = split.select(frames, "test")
    logits = torch.from_numpy(Run.load(run.path).predict(frames.read(tested.rows)))
    score = balanced_accuracy(logits, torch.from_numpy(tested.targets))
    lines = run.directory.metrics.read()
    line: dict[str, Any] = {
        "balanced_accuracy": score,
        "validation": run.directory.record.selected_score,
        "selected_step": run.directory.record.selected_step,
        "seconds": time.monotonic() - started,
        "split_sha256": split.sha256,
    }
    for name in ("conflict_rate", "pseudo_label_rate"):
        values = [each[name] for each in lines if name in each]
        line[name] = sum(values) / len(values) if values else None
    assert math.isfinite(score)
    return head | line


def _frames(store: Path) -> Any:
    from heart2heart.store.frame_store import FrameStores

    return FrameStores.open([store])
