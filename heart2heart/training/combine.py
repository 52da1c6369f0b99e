"""Makes one model of several runs: the mean of their probabilities, or of their weights where that does no harm."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from heart2heart.errors import ExistsError
from heart2heart.schema.run import CombinationKind, CombinationRecord, MemberRecord
from heart2heart.training import checkpoint
from heart2heart.training.augment.extra import ExtraPipeline
from heart2heart.training.data import FramePool, TrainData
from heart2heart.training.derived_networks import Ensemble
from heart2heart.training.labeled_statistics import LabeledStatistics
from heart2heart.training.model_access import ClassOutputs
from heart2heart.training.run import Run
from heart2heart.training.run_directory import RunDirectory
from heart2heart.training.selection import ValidationScore, Weights
from heart2heart.training.validation import ValidationFrames
from heart2heart.utils import sha256_file


class SeedCombiner:
    """Scores and writes models that are made of the runs of several seeds.

    Args:
        runs: Finished runs of one configuration, which differ in their seed.
        data: The frames that they were trained with.
        device: Device of the scoring.
    """

    def __init__(self, runs: Sequence[Run], data: TrainData, device: torch.device) -> None:
        self.runs, self.data, self.config = tuple(runs), data, runs[0].config
        self.frames = ValidationFrames(data, self.config, device)
        extra = self.config.augmentation.extra
        pool = FramePool(data.frames, data.train.rows, device, self.config.pool.placement)
        self.statistics = LabeledStatistics(data, self.config, pool, None if extra is None else ExtraPipeline(extra))
        self.scores = [self.frames.score(run.network) for run in self.runs]
        self.members = tuple(
            MemberRecord(
                run=run.path.name,
                seed=run.config.seed,
                weights_sha256=sha256_file(run.directory.best_checkpoint),
                score=score.key[0],
            )
            for run, score in zip(self.runs, self.scores, strict=True)
        )

    def ensemble(self) -> nn.Module:
        """Return the network that gives the mean of all members' probabilities."""
        return Ensemble([_inner(run.network) for run in self.runs], len(self.data.classes)).eval()

    def averaged(self, indices: Sequence[int]) -> nn.Module:
        """Return a network with the mean of some members' weights.

        Its batch-norm statistics are recorded anew on the labeled training frames, since those of the members do not
        fit other weights (Izmailov et al., UAI 2018, section 3.2). A frozen encoder keeps its own.

        Args:
            indices: Positions of the members.
        """
        weights = uniform_mean([_inner(self.runs[index].network).state_dict() for index in indices])
        network = deepcopy(self.runs[indices[0]].network)
        _inner(network).load_state_dict(weights)
        if len(indices) > 1 and self.config.network.freeze != "encoder":
            self.statistics.record(network)
        return network

    def greedy_average(self) -> GreedyAverage:
        """Return the greedy average of the members' weights (Wortsman et al., ICML 2022, recipe 1).

        From the best member on, each next one stays in the average if the validation score does not fall.
        """
        everyone = range(len(self.runs))
        uniform = self.frames.score(self.averaged(everyone))
        order = sorted(everyone, key=lambda index: self.scores[index].key, reverse=True)
        chosen, best = order[:1], self.scores[order[0]]
        for index in order[1:]:
            score = self.frames.score(self.averaged([*chosen, index]))
            if score.key >= best.key:
                chosen, best = [*chosen, index], score
        return GreedyAverage(tuple(sorted(chosen)), best, uniform)

    def write(self, out: Path, kind: CombinationKind, indices: Sequence[int], network: nn.Module, score: float) -> Run:
        """Write a model as a run folder; one that is there with the same members is returned.

        Args:
            out: Folder of the model.
            kind: How it was made.
            indices: Positions of its members.
            network: The network.
            score: Its score on the validation frames.

        Raises:
            ExistsError: the folder holds something else.
        """
        combination = CombinationRecord(kind=kind, members=tuple(self.members[index] for index in indices))
        if combination_at(out) == combination:
            return Run.load(out)
        remove_combination(out)
        if out.exists() and any(not _is_unfinished(entry.name) for entry in out.iterdir()):
            remedy = "Move it, or choose another --out"
            raise ExistsError(f"this folder is in the way of the {kind.value}", where=out, remedy=remedy)
        members = [self.runs[index].directory.record for index in indices]
        selected_step = max(member.selected_step for member in members)
        record = members[0].model_copy(
            update={
                "combination": combination,
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "seconds": sum(member.seconds for member in members),
                "notes": tuple(dict.fromkeys(note for member in members for note in member.notes)),
                "selected_step": selected_step,
                "selected_score": score,
                "validation_information": self.frames.information(network),
            }
        )
        directory = RunDirectory(out, self.runs[indices[0]].config, record)
        weights = {name: value.cpu() for name, value in _inner(network).state_dict().items()}
        checkpoint.save(directory.best_checkpoint, {"weights": weights, "step": selected_step})
        directory.config.save(out / "config.yaml")
        directory.update()  # the record last: without it there is no model
        return Run.load(out)


@dataclass(frozen=True)
class GreedyAverage:
    """The result of a greedy average.

    Attributes:
        indices: Positions of the members that stayed, ascending; a single one where none can be averaged with the best.
        score: Score of their average.
        uniform: Score of the mean of all members' weights.
    """

    indices: tuple[int, ...]
    score: ValidationScore
    uniform: ValidationScore


def uniform_mean(states: Sequence[Weights]) -> Weights:
    """Return the mean of weights by name; whole numbers, such as counters, are those of the first.

    Examples:
        >>> uniform_mean([{"w": torch.tensor([1.0])}, {"w": torch.tensor([4.0])}])
        {'w': tensor([2.5000])}
    """
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def combination_at(path: Path) -> CombinationRecord | None:
    """Return how the model in a folder was made of runs; None if there is no such model."""
    return RunDirectory.read(path).record.combination if (path / "run.json").exists() else None


def remove_combination(path: Path) -> None:
    """Delete the folder of a model that was made of runs; anything else stays."""
    if combination_at(path) is not None:
        shutil.rmtree(path)


def _is_unfinished(name: str) -> bool:
    """Return whether a file may be left by a process that was killed while it wrote a model."""
    return name in ("config.yaml", "checkpoints") or name.startswith(".")


def _inner(network: nn.Module) -> nn.Module:
    return network.network if isinstance(network, ClassOutputs) else network
