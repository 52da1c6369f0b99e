"""What pretraining gains with few labels, on SYNTHETIC hospitals: each method against plain training.

    python -m pipelines.pretraining_gain --hospitals demo_output --out pretraining_output --seeds 3

`--hospitals` is the folder of a demo, whose split trains with four labeled patients of hospital A. Each method
pretrains on the frames of training patients and of the unlabeled pool; the labeled patients then fine-tune. Plain
training has as many steps as the fine-tuning (`plain`), or passes as many images as pretraining and fine-tuning
together (`plain_long`). Each run is one line of `results.jsonl`; a study that was stopped continues with what is
missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.stats import t as student

from heart2heart.api import load_train_config
from heart2heart.representation.config import PretrainConfig
from heart2heart.representation.pretrain import pretrain
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.config import TrainConfig
from heart2heart.training.train import train
from heart2heart.utils import sha256_json, write_text
from pipelines.carry_over import CarryOverTask, hospital_task, site_scores
from pipelines.command_line import run
from pipelines.study_engine import Line, run_study
from pipelines.study_measures import config_digest

PLAIN, PLAIN_LONG = "plain", "plain_long"
PAIRED = ("simclr", "moco", "byol", "barlow_twins")
WAYS = (PLAIN, PLAIN_LONG, *PAIRED)
NETWORK: dict[str, Any] = {"name": "WideResNet", "options": {"depth": 10, "widen": 1, "norm_momentum": 0.05}}
FINE_TUNING = {"network.options.norm_momentum": 0.05, "batch_norm_record": "clean"}
"""Settings of every training beside those of `demo/labels_only`; the record of batch-norm statistics is that of a
training from scratch, so that both arms differ by their initial weights alone."""


@dataclass(frozen=True)
class GainRun:
    """One run of the study.

    Attributes:
        task: The hospitals and the split.
        way: One of `WAYS`.
        positives: `views` or `frames`, for a pretraining.
        pairs: Pairs a step of the pretraining.
        pretraining_steps: Its steps.
        steps: Steps of the fine-tuning.
        seed: Seed of both.
        out: Folder of the run.
    """

    task: CarryOverTask
    way: str
    positives: str
    pairs: int
    pretraining_steps: int
    steps: int
    seed: int
    out: Path

    def pretraining(self) -> PretrainConfig:
        """Return the configuration of the pretraining."""
        content = {
            "data": {"stores": list(map(str, self.task.stores)), "split": str(self.task.split(self.seed))},
            "network": NETWORK,
            "method": {"name": self.way},
            "positives": self.positives,
            "pairs": self.pairs,
            "steps": self.pretraining_steps,
            "seed": self.seed,
        }
        return PretrainConfig.parse(content, where="study")

    def training(self) -> TrainConfig:
        """Return the configuration of the training."""
        batch = load_train_config("demo/labels_only", stores=self.task.stores, split="-").batch.labeled
        more = self.pretraining_steps * 2 * self.pairs // batch if self.way == PLAIN_LONG else 0
        init = {} if self.way in (PLAIN, PLAIN_LONG) else {"network.init": str(self.out / "pretrained")}
        steps = self.steps + more
        lengths = {"steps": steps, "evaluate_every": steps, "checkpoint_every": steps, "seed": self.seed}
        return load_train_config(
            "demo/labels_only",
            stores=self.task.stores,
            split=self.task.split(self.seed),
            overrides={**FINE_TUNING, **init, **lengths},
        )

    def key(self) -> dict[str, Any]:
        """Return what names its line of the results."""
        training = self.training().with_overrides(["network.init=scratch"])  # its path says nothing
        digest, positives, pretraining = config_digest(training), None, None
        if self.way not in (PLAIN, PLAIN_LONG):
            positives = self.positives
            pretraining = sha256_json(self.pretraining().model_dump(mode="json", exclude={"data"}))
        return {
            "way": self.way,
            "positives": positives,
            "seed": self.seed,
            "config_sha256": digest,
            "pretraining_sha256": pretraining,
        }


def train_and_score(job: GainRun) -> dict[str, Any]:
    """Pretrain if the way does, train, and read the hospitals that test once."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # the processes are the parallelism
    collapse = None
    if job.way not in (PLAIN, PLAIN_LONG):
        collapse = pretrain(job.pretraining(), job.out / "pretrained").record.collapse
    trained = train(job.training(), job.out / "run")
    split, stores = SplitManifest.load(job.task.split(job.seed)), FrameStores.open(job.task.stores)
    return {
        "sites": site_scores(trained, split, stores),
        "steps": trained.config.steps,
        "effective_rank": None if collapse is None else collapse.effective_rank,
        "device": trained.directory.record.device,
    }


def mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % t interval; infinite for a single value.

    Examples:
        >>> tuple(round(value, 3) for value in mean_and_interval([1.0, 2.0, 3.0]))
        (2.0, 2.484)
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.inf
    return mean, float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))


def table(lines: Sequence[Line]) -> str:
    """Return accuracies by hospital, and differences from plain training, paired by seed, with 95 % t intervals."""
    sites = sorted(lines[0]["sites"])
    by_way: dict[str, dict[int, Line]] = {}
    for line in lines:
        name = line["way"] + (f", {line['positives']}" if line["positives"] else "")
        by_way.setdefault(name, {})[line["seed"]] = line
    rows = [f"| way | {' | '.join(sites)} | mean | minus plain | minus plain_long |", "|---" * (len(sites) + 4) + "|"]
    for name, runs in by_way.items():
        scores = {seed: [100 * run["sites"][site]["clips"] for site in sites] for seed, run in runs.items()}
        means = [f"{np.mean([each[column] for each in scores.values()]):.1f}" for column in range(len(sites))]
        overall = {seed: float(np.mean(each)) for seed, each in scores.items()}
        cells = [*means, f"{np.mean(list(overall.values())):.1f}"]
        for reference in (PLAIN, PLAIN_LONG):
            others = {
                seed: float(np.mean([100 * line["sites"][site]["clips"] for site in sites]))
                for seed, line in by_way.get(reference, {}).items()
            }
            both = sorted(set(overall) & set(others))
            if name == reference or not both:
                cells.append("")
                continue
            mean, half = mean_and_interval([overall[seed] - others[seed] for seed in both])
            cells.append(f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main(
    hospitals: Annotated[Path, typer.Option(help="Output folder of a demo: SYNTHETIC hospitals.")],
    out: Annotated[Path, typer.Option(help="Folder for runs and results.")] = Path("pretraining_output"),
    way: Annotated[list[str] | None, typer.Option(help="A way; repeatable. All by default.")] = None,
    positives: Annotated[list[str] | None, typer.Option(help="views or frames; repeatable. views.")] = None,
    seeds: Annotated[int, typer.Option(help="Number of seeds.", min=1)] = 3,
    pairs: Annotated[int, typer.Option(help="Pairs a step of the pretraining.", min=2)] = 64,
    pretraining_steps: Annotated[int, typer.Option(help="Steps of the pretraining.", min=1)] = 400,
    steps: Annotated[int, typer.Option(help="Steps of the fine-tuning.", min=1)] = 500,
    workers: Annotated[int, typer.Option(help="Processes, each on one core; 1 on a GPU.", min=1)] = 1,
) -> None:
    """Run what is missing of the study, then write and print `results.md`."""
    task = hospital_task(hospitals)
    jobs = []
    for seed in range(seeds):
        for name in way or WAYS:
            kinds = ("views",) if name in (PLAIN, PLAIN_LONG) else tuple(positives or ("views",))
            for kind in kinds:
                folder = out / "runs" / f"{name}-{kind}-seed{seed}"
                jobs.append(GainRun(task, name, kind, pairs, pretraining_steps, steps, seed, folder))
    lines = run_study(jobs, train_and_score, key=GainRun.key, results=out / "results.jsonl", workers=workers)
    shown = table(lines)
    write_text(out / "results.md", shown + "\n")
    print(shown)


if __name__ == "__main__":
    run(main)
