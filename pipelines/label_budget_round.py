"""One round of replayed labeling: train on the clips labeled so far, test, and choose the next clips."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart import utils
from heart2heart.active_learning.model_outputs import read_tables
from heart2heart.active_learning.pool import Bools, ClipPool, Ints
from heart2heart.active_learning.queue import QueueSettings, select_clips
from heart2heart.active_learning.strategies import STRATEGIES
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.config import TrainConfig
from heart2heart.training.model_outputs import ModelOutputs
from heart2heart.training.run import Run
from heart2heart.training.train import train
from heart2heart.utils import read_json, write_json
from pipelines.label_budget_data import LabeledClips
from pipelines.mismatch_variants import parse_variant
from pipelines.study_jobs import FORMER_DEFAULTS
from pipelines.study_measures import config_digest


@dataclass(frozen=True)
class ReplayPlan:
    """One replay: a data set, a seed, a way to learn and a method to choose.

    Attributes:
        data: Name of the archive.
        seed: Of the draw, of training and of choosing.
        way: Such as `labels_only` or `fixmatch+fix_a_step`.
        by: A name of `METHODS`.
    """

    data: str
    seed: int
    way: str
    by: str


@dataclass(frozen=True)
class ReplayRound:
    """One round of a replay, the job of the study.

    Attributes:
        plan: The replay.
        round: The round, from 0.
    """

    plan: ReplayPlan
    round: int

    def key(self) -> dict[str, Any]:
        """Return what names its line of the results."""
        return {**vars(self.plan), "round": self.round}


@dataclass(frozen=True)
class ReplayBudget:
    """Settings that every replay shares.

    Attributes:
        first: Clips asked before the first training: one of every class, the rest at random.
        more: Clips asked in each later round.
        rounds: Trainings.
        steps: Optimiser steps of each.
        labeled: Labeled frames a step.
        unlabeled: Unlabeled frames a step.
    """

    first: int
    more: int
    rounds: int
    steps: int
    labeled: int = 32
    unlabeled: int = 32


class Replay:
    """Runs the rounds of one plan; the result of a finished round is read from disk.

    Args:
        archive: The clips.
        part: Part of each clip.
        plan: What is replayed.
        effort: What it is given.
        out: Folder of the study.
    """

    def __init__(
        self, archive: LabeledClips, part: npt.NDArray[np.str_], plan: ReplayPlan, effort: ReplayBudget, out: Path
    ) -> None:
        self.archive, self.part, self.plan, self.effort, self.out = archive, part, plan, effort, out
        self.stores = FrameStores.open(archive.roots)

    def asked(self, number: int) -> Bools:
        """Return which clips are labeled before round `number`, bool over the clips of the archive."""
        if number == 0:
            return self._first()
        before = self.asked(number - 1)
        kept = self.out / "asked" / "-".join(map(str, vars(self.plan).values())) / f"{number}.json"
        names = self.archive.clips["clip"].to_numpy(zero_copy_only=False)
        if not kept.exists():
            run = self._train(before)
            write_json(kept, {"clips": sorted(names[self._choose(run, before, number)].tolist())})
        return np.asarray(before | np.isin(names, read_json(kept, what="round")["clips"]))

    def _first(self) -> Bools:
        """Return the first clips to label: random, with at least one of every class, as a split needs in training."""
        rng = utils.random_stream(self.plan.seed, "label budget", self.archive.name, "first")
        order = rng.permutation(np.flatnonzero(self.part == "pool"))
        target = self.archive.target()[order]
        seen = [int(np.argmax(target == each)) for each in range(len(self.archive.classes))]
        positions = list(dict.fromkeys([*seen, *range(len(order))]))[: self.effort.first]
        labeled = np.zeros(len(self.part), bool)
        labeled[order[positions]] = True
        return labeled

    def play(self, number: int) -> dict[str, Any]:
        """Train on the clips labeled before round `number`, test, and return a line of results without its key."""
        labeled = self.asked(number)
        run = self._train(labeled)
        target = self.archive.target()
        tested = np.flatnonzero((self.part == "test") & (target >= 0))
        frames = np.isin(self.archive.owner, tested)
        owner = np.searchsorted(tested, self.archive.owner[frames])
        shares = read_tables(
            ModelOutputs(run), self.stores, self.archive.rows()[frames], owner, len(tested), {"probabilities"}
        )
        right = shares["probabilities"].argmax(1) == target[tested]
        recalls = [right[target[tested] == each].mean() for each in np.unique(target[tested])]
        counts = np.bincount(target[labeled & (target >= 0)], minlength=len(self.archive.classes))
        return {
            "asked": int(labeled.sum()), "with_a_class": int(counts.sum()),
            "fewest_of_a_class": int(counts.min()),
            "balanced_accuracy": float(np.mean(recalls)), "validation": run.directory.record.selected_score,
            "config_sha256": config_digest(run.config), "device": run.directory.record.device,
            "split_sha256": run.directory.record.split_sha256,
        }  # fmt: skip

    def _train(self, labeled: Bools) -> Run:
        """Train on the clips labeled so far, or read the finished run: plans with the same clips share a run."""
        digest = hashlib.sha256(labeled.tobytes()).hexdigest()[:12]
        name = f"{self.plan.data}-{self.plan.seed}-{digest}"
        split = self._split(labeled, self.out / "splits" / name)
        method, around = parse_variant(self.plan.way)
        effort = self.effort
        content: dict[str, Any] = {
            "data": {"stores": [str(root) for root in self.archive.roots], "split": str(split.path)},
            "network": {"options": {"depth": 10, "widen": 1, "blocks": 2, "norm_momentum": 0.05}},
            "method": {"name": method},
            "optimiser": {"name": "sgd", "lr": 0.03, "weight_decay": 5e-4},
            **FORMER_DEFAULTS,
            "batch": {"labeled": effort.labeled, "unlabeled": effort.unlabeled},
            "pool": {"modes": list(self.archive.modes)},
            "ema": 0.97, "steps": effort.steps, "evaluate_every": max(1, effort.steps // 4),
            "checkpoint_every": effort.steps, "log_every": max(1, effort.steps // 4),
            "seed": self.plan.seed, "device": "auto",
        }  # fmt: skip
        config = TrainConfig.parse(content | around, where=self.plan.way)
        return train(config, self.out / "runs" / self.plan.way.replace("+", "-") / name)

    def _split(self, labeled: Bools, path: Path) -> SplitManifest:
        """Freeze and certify a split: labeled clips train, the rest of the pool is unlabeled."""
        if not (path / "split.json").exists():
            role = np.where(self.part == "pool", np.where(labeled, "train", "unlabeled"), self.part)
            view = self.archive.clips["view"].to_numpy(zero_copy_only=False)
            frame_role = role[self.archive.owner]
            frame_view = np.where(np.isin(frame_role, ["unlabeled", "excluded"]), None, view[self.archive.owner])
            members = self.archive.frames.select(["frame", "clip", "site", "patient", "study"])
            members = members.append_column("role", pa.array(list(frame_role))).append_column(
                "view", pa.array(list(frame_view))
            )
            SplitManifest.freeze(
                path,
                name=f"labels replayed on {self.archive.name}",
                classes=self.archive.classes,
                seed=self.plan.seed,
                source_sites=sorted(set(self.archive.clips["site"].to_pylist())),
                held_out_sites=[],
                settings={},
                members=members.filter(pa.array(frame_role != "excluded")).select(SPLIT_MEMBERS.names),
                stores=self.stores,
            )
        split = SplitManifest.load(path)
        if not (path / "certificate.json").exists():
            certify(split, self.stores)
        split.require_certified()
        return split

    def _choose(self, run: Run, labeled: Bools, number: int) -> Ints:
        """Return the indices of the clips to label next."""
        plan = self.plan
        pool_clips = np.flatnonzero(self.part == "pool")
        frames = np.isin(self.archive.owner, pool_clips)
        owner = np.searchsorted(pool_clips, self.archive.owner[frames])
        pool = ClipPool(
            patient=self.archive.patients()[pool_clips],
            labeled_mask=labeled[pool_clips],
            target=np.where(labeled, self.archive.target(), -1)[pool_clips],
            cost=np.ones(len(pool_clips)),
            duplicate_group=np.arange(len(pool_clips)),
            classes=self.archive.classes,
        )
        outputs, needs = ModelOutputs(run), STRATEGIES[plan.by].tables
        tables_needed = (needs | ({"embeddings"} if "vaal" in needs else set())) - {"vaal"}
        tables = read_tables(outputs, self.stores, self.archive.rows()[frames], owner, len(pool_clips), tables_needed)
        if "vaal" in needs:
            tables["vaal"] = outputs.vaal_scores(tables["embeddings"], pool.labeled_mask, plan.seed)
        pool = ClipPool(**(vars(pool) | {"tables": tables}))
        settings = QueueSettings(by=plan.by, budget=self.effort.more, seed=100 * plan.seed + number)
        return pool_clips[[pick.index for pick in select_clips(pool, settings)]]
