"""Trains one configuration with several seeds, and makes an ensemble and a weight average of the runs."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from heart2heart.errors import ConfigError, ExistsError, RunError
from heart2heart.notebook import html_card, html_table
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.run import CombinationKind, SeedsRecord
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.combine import SeedCombiner, remove_combination
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import TrainData
from heart2heart.training.distributed import choose_device, join_process_group
from heart2heart.training.initial_network import pin_weights
from heart2heart.training.networks.build import SCRATCH
from heart2heart.training.run import Run
from heart2heart.training.run_directory import RunDirectory, differing_keys
from heart2heart.training.seed_processes import train_in_processes
from heart2heart.utils import write_json

MOST_SEEDS = 100
"""Most seeds of one training."""


@dataclass(frozen=True)
class SeedRuns:
    """The runs of one configuration with several seeds, and the models made of them.

    Attributes:
        members: The runs, by seed.
        ensemble: The model that gives the mean of their probabilities.
        average: The model with the mean of the weights of some of them; None where averaging does harm.
        record: Scores on the source validation frames, and remarks.
    """

    members: tuple[Run, ...]
    ensemble: Run
    average: Run | None
    record: SeedsRecord

    @property
    def models(self) -> tuple[Run, ...]:
        """Members, ensemble and average."""
        return (*self.members, self.ensemble, *([] if self.average is None else [self.average]))

    def __repr__(self) -> str:
        """Return the validation scores in one line."""
        record = self.record
        spread = f"{record.mean:.3f} (SD {record.deviation:.3f}), ensemble {record.ensemble_score:.3f}"
        return f"<SeedRuns({len(self.members)} seeds): source-validation score {spread}>"

    def _repr_html_(self) -> str:
        """Return the validation scores as a table, for a notebook."""
        rows = [(f"seed {member.seed}", f"{member.score:.3f}") for member in self.record.members]
        rows += [("mean (SD)", f"{self.record.mean:.3f} ({self.record.deviation:.3f})")]
        rows += [("ensemble", f"{self.record.ensemble_score:.3f}")]
        return html_card(f"{len(self.members)} seeds", html_table(("model", "source-validation score"), rows))


def read_seeds(seeds: str | Sequence[int]) -> tuple[int, ...]:
    """Return seeds that are written as a list with ranges.

    Args:
        seeds: Numbers and ranges with both ends, such as `0..4` or `0,2,5..7`; or numbers.

    Raises:
        ConfigError: a text of another form, a seed that is repeated, or too many seeds.

    Examples:
        >>> read_seeds("0..2,7")
        (0, 1, 2, 7)
    """
    words = [word.strip() for word in seeds.split(",")] if isinstance(seeds, str) else [str(seed) for seed in seeds]
    numbers: list[int] = []
    for word in words:
        match = re.fullmatch(r"(\d{1,9})(?:\.\.(\d{1,9}))?", word, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise ConfigError(f"{word!r} is no seed", where="--seeds", remedy="Example: --seeds 0..4 or --seeds 0,2,5")
        if len(numbers) + last - first >= MOST_SEEDS:
            raise ConfigError(f"more than {MOST_SEEDS} seeds", where="--seeds", remedy="Name fewer")
        numbers += range(first, last + 1)
    if len(set(numbers)) < len(numbers):
        raise ConfigError("a seed is named twice", where="--seeds", remedy="Name each seed once")
    return tuple(sorted(numbers))


def train_seeds(
    config: TrainConfig,
    seeds: Sequence[int],
    out: str | Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SeedRuns:
    """Train a configuration with several seeds, each as a run of its own, and combine the runs.

    The same command continues what was stopped. Seeds may be added later: ensemble and average are then made anew. A
    seed that fails does not stop the others.

    Args:
        config: The resolved configuration; its own seed is not used.
        seeds: At least two seeds.
        out: Folder of all. It receives `seed-SEED` for each run, `ensemble`, `average` where averaging does no harm,
            and `seeds.json`.
        workers: Processes that train at a time; None takes one for each core of the CPU, or one on an accelerator.
        progress: Receives the number of steps done over all runs.

    Raises:
        ConfigError: fewer than two seeds, or started by torchrun; and as `train`.
        ExistsError: the folder holds something else.
        RunError: the folder holds runs of another configuration or split, or a seed failed.
    """
    out = Path(out)
    if len(set(seeds)) < 2:
        remedy = "Name at least two, such as --seeds 0..4; one seed is trained with the override seed=N"
        raise ConfigError("an ensemble needs several seeds", where="--seeds", remedy=remedy)
    if join_process_group().size > 1:
        what = "several seeds are trained each in one process"
        raise ConfigError(what, where="--seeds", remedy="Start `heart2heart train --seeds` without torchrun")
    configs = {seed: config.with_overrides([f"seed={seed}"]) for seed in sorted(set(seeds))}
    split, frames = SplitManifest.load(config.data.split), FrameStores.open(config.data.stores)
    _check_folder(out, config, split)
    for seed, each in configs.items():  # whatever can be refused is refused before the first step
        RunDirectory.find(seed_folder(out, seed), pin_weights(each, seed_folder(out, seed)), split, frames.geometry)
    data = TrainData.open(split, frames, config)

    names = {f"seed {seed}": each for seed, each in configs.items()}
    folders = {f"seed {seed}": seed_folder(out, seed) for seed in configs}
    failures = train_in_processes(names, folders, workers, progress or NoProgress())
    if failures:
        listed = "; ".join(f"{name}: {message}" for name, message in failures.items())
        what = f"{len(failures)} of {len(configs)} seeds did not finish ({listed})"
        raise RunError(what, where=out, remedy="Run the same command again, or leave these seeds out")
    device = choose_device(config.device, join_process_group())
    runs = [Run.load(folder, device=str(device)) for folder in folders.values()]
    return _combine(runs, data, out, device)


def seed_folder(out: Path, seed: int) -> Path:
    """Return the folder of one seed's run."""
    return out / f"seed-{seed}"


def _check_folder(out: Path, config: TrainConfig, split: SplitManifest) -> None:
    """Raise unless every run below the folder has this configuration, but for its seed, and this split."""
    if (out / "run.json").exists():
        remedy = "Name another folder for the seeds"
        raise ExistsError("this folder holds a single run", where=out, remedy=remedy)
    for folder in sorted(out.glob("seed-*")):
        if not (folder / "run.json").exists():
            continue
        begun = RunDirectory.read(folder)
        expected = pin_weights(config.with_overrides([f"seed={begun.config.seed}"]), folder)
        differ = differing_keys(begun.config, expected)
        if begun.record.split_sha256 != split.sha256:
            differ = ["the split", *differ]
        if differ:
            what = f"the seeds of this folder were trained otherwise; differing: {', '.join(differ)}"
            raise RunError(what, where=folder, remedy="Give the same settings, or name another folder")


def _combine(runs: Sequence[Run], data: TrainData, out: Path, device: torch.device) -> SeedRuns:
    """Write ensemble, average and `seeds.json`."""
    combiner = SeedCombiner(runs, data, device)
    everyone = range(len(runs))
    network = combiner.ensemble()
    ensemble_score = combiner.frames.score(network).key[0]
    ensemble = combiner.write(out / "ensemble", CombinationKind.ENSEMBLE, everyone, network, ensemble_score)
    greedy = combiner.greedy_average()
    uniform = greedy.uniform.key[0]
    scores = [member.score for member in combiner.members]
    average, notes = None, []
    if len(greedy.indices) > 1:
        averaged = combiner.averaged(greedy.indices)
        average = combiner.write(
            out / "average", CombinationKind.AVERAGE, greedy.indices, averaged, greedy.score.key[0]
        )
    else:
        remove_combination(out / "average")
    if uniform < min(scores) or average is None:
        why = "each seed has initial weights of its own" if runs[0].config.network.init == SCRATCH else "they lie apart"
        what = f"the mean of all {len(runs)} seeds' weights scores {uniform:.3f} on validation, the worst seed"
        outcome = "no weight average was written" if average is None else "only some seeds are averaged"
        notes.append(f"{what} {min(scores):.3f} ({why}): {outcome}")
    record = SeedsRecord(
        members=combiner.members,
        mean=statistics.fmean(scores),
        deviation=statistics.stdev(scores),
        ensemble_score=ensemble_score,
        uniform_score=uniform,
        average_score=None if average is None else greedy.score.key[0],
        average_seeds=() if average is None else tuple(runs[index].config.seed for index in greedy.indices),
        notes=tuple(notes),
    )
    write_json(out / "seeds.json", record.model_dump(mode="json"))
    return SeedRuns(tuple(runs), ensemble, average, record)
