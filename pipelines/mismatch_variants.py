"""Variants of the methods, by name, and the run of one variant on one task.

A variant is a method, alone or combined with parts of Fix-A-Step: `fixmatch`, `fixmatch+fix_a_step`
(both halves), `fixmatch+mixing`, `fixmatch+gradient` (the rule alone), `fixmatch+mixing+per_frame` (mixing and
another rule), `fixmatch+separate` (running statistics of every pass, not of labeled frames alone), `fixmatch+joint`
(one batch of all frames), `fixmatch+mixing+clean` (clean labeled rows beside the mixed ones). A part with `=` is a
setting: `fixmatch+fix_a_step+method.params.threshold=0.8`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heart2heart.errors import ConfigError
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.config import TrainConfig
from heart2heart.training.gradient_rules import GRADIENT_RULES
from pipelines.mismatch_task import FRAME_CLASSES
from pipelines.study_jobs import FORMER_DEFAULTS
from pipelines.study_measures import config_digest, train_and_measure
from pipelines.study_schedules import schedule_of

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
        if "=" in part:
            continue  # a setting, which `variant_config` applies
        if part == "fix_a_step":
            halves |= {
                "mixing": not ALGORITHMS[method].mixes_labeled if method in ALGORITHMS else True,
                "gradient": "fix_a_step",
            }
        elif part == "mixing":
            halves["mixing"] = True
        elif part == "clean":
            halves["clean"] = True
        elif part == "gradient":
            halves["gradient"] = "fix_a_step"
        elif part in GRADIENT_RULES:
            halves["gradient"] = part
        elif part in BATCH_NORMS:
            settings["batch_norm"] = part
        else:
            remedy = (
                f"Choose of fix_a_step, mixing, gradient, clean, {', '.join((*BATCH_NORMS, *sorted(GRADIENT_RULES)))}"
            )
            raise ConfigError(f"no part of a way is called {part!r}", where=way, remedy=remedy)
    if method not in ALGORITHMS:
        raise ConfigError(
            f"no method is called {method!r}", where=way, remedy=f"Choose {', '.join(sorted(ALGORITHMS))}"
        )
    return method, settings


def way_reads_pool(way: str) -> bool:
    """Return whether a way reads unlabeled images.

    Examples:
        >>> way_reads_pool("supervised_mixup"), way_reads_pool("labels_only+mixing"), way_reads_pool("fixmatch")
        (False, True, True)
    """
    method, settings = parse_variant(way)
    return bool(ALGORITHMS[method].views) or bool(settings["fix_a_step"].get("mixing"))


def variant_config(
    way: str, budget: RunBudget, *, stores: Sequence[Path], split: Path, seed: int, base: Mapping[str, Any]
) -> TrainConfig:
    """Return the training configuration of a way, with the schedule of its method.

    Args:
        way: The way.
        budget: What it is given.
        stores: Folders of the stores.
        split: Folder of the split.
        seed: Seed of the run.
        base: Settings of every way; those of the way go before them.

    Raises:
        ConfigError: an unknown way, or a setting that a configuration does not take.
    """
    method, around = parse_variant(way)
    every = max(1, budget.steps // 8)
    content: dict[str, Any] = {
        "data": {"stores": [str(store) for store in stores], "split": str(split)},
        "network": {
            "options": {
                "depth": budget.depth, "widen": budget.widen, "blocks": budget.blocks,
                "norm_momentum": 0.05,  # the statistics of a short run
            }
        },
        "method": {"name": method},
        **schedule_of(method).settings(budget.steps),
        "batch": {"labeled": budget.labeled, "unlabeled": budget.unlabeled},
        "pool": {"modes": ["other"]},
        "ema": budget.ema,
        "steps": budget.steps,
        "evaluate_every": every,
        "checkpoint_every": budget.steps,
        "log_every": every,
        "seed": seed,
        "device": "auto",
    }  # fmt: skip
    config = TrainConfig.parse(content | dict(base) | around, where=way)
    return config.with_overrides([part for part in way.split("+")[1:] if "=" in part])


def run_config(job: MismatchRun) -> TrainConfig:
    """Return the training configuration of a job, with the settings of the published study."""
    way, seed = job.key["way"], job.key["seed"]
    return variant_config(way, job.budget, stores=[job.store], split=job.split, seed=seed, base=FORMER_DEFAULTS)


def run_key(job: MismatchRun) -> dict[str, Any]:
    """Return what names the line of a job in the results."""
    return job.key | {"config_sha256": config_digest(run_config(job))}


def train_and_test(job: MismatchRun) -> dict[str, Any]:
    """Train one variant and return what `train_and_measure` measures."""
    return train_and_measure(run_config(job), job.out, frame_classes=job.store.parent / FRAME_CLASSES)
