"""Which signal tells a useful pool from a foreign one, at checkpoints of runs of a packed study.

    python -m benchmarks.pool_signals --design pipelines/studies/uncurated_development.yaml \
      --override levels=[0,50,100] --out development_output
    python -m benchmarks.pool_signals --report docs/results/uncurated-signals.jsonl

Runs of `--way` are trained on pools of level 0, 50 and 100. At each checkpoint a sample of the pool gets each signal by
frame, and fresh batches get the cosine of the unlabeled gradient with each reference. `signal_tables` says what the
tables hold. Signals of held-out labels read tested images as if they were labels that training never saw.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.captured_runs import CapturedRun
from benchmarks.packed_study import PackedStudy
from benchmarks.signal_tables import signal_tables
from heart2heart.training.augment.drivers import augment
from heart2heart.training.labeled_statistics import CLEAN, LabeledStatistics
from heart2heart.training.model_access import last_layer_inputs
from heart2heart.training.optimiser import flat_gradient
from pipelines.study_design import StudyDesign, StudyJob

BATCHES = 24
"""Batches at a checkpoint."""
FRAMES = 1_200
"""Most frames of a pool that get signals."""
THRESHOLD = 0.8
"""Confidence of the pseudo-labels of the unlabeled gradients."""
Floats = npt.NDArray[np.float64]


def main() -> None:
    """Train, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, help="print the tables of such lines, and stop")
    parser.add_argument("--design", type=Path)
    parser.add_argument("--override", action="append", default=[], help="setting of the study")
    parser.add_argument("--out", type=Path, help="folder with packed.npz; receives signals.jsonl")
    parser.add_argument("--way", default="fixmatch")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--checkpoints", type=int, nargs="+", default=[200, 500])
    arguments = parser.parse_args()
    file = arguments.report or arguments.out / "signals.jsonl"
    if not arguments.report:
        overrides = [*arguments.override, f"ways=[{arguments.way}]", f"seeds={arguments.seeds}"]
        design = StudyDesign.load(arguments.design, overrides)
        with file.open("a", encoding="utf-8") as log:
            for line in measure(design, arguments.out, arguments.checkpoints):
                log.write(json.dumps(line) + "\n")
                log.flush()
    print(signal_tables([json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]))


def measure(design: StudyDesign, out: Path, checkpoints: list[int]) -> Iterator[dict[str, Any]]:
    """Train every run with a pool of a study of one way, and yield a line at each checkpoint.

    Args:
        design: The study.
        out: Its folder, with `packed.npz`.
        checkpoints: Numbers of steps, ascending.
    """
    torch.set_num_threads(1)
    study = PackedStudy.read(out / "packed.npz")
    pixels = torch.from_numpy(study.content["pixels"])
    for job in design.jobs(out):
        if job.way == design.ways[0] and job.protocol == "replace":
            yield from measure_run(job, study, pixels, checkpoints)


def measure_run(job: StudyJob, study: PackedStudy, pixels: Tensor, checkpoints: list[int]) -> Iterator[dict[str, Any]]:
    """Train one run, and yield a line at each checkpoint."""
    run = CapturedRun(job, study, pixels)
    run.capture()
    for checkpoint in checkpoints:
        run.launch(checkpoint - run.launched)
        line = {name: value for name, value in job.key().items() if name in ("task", "level", "seed", "way")}
        yield line | {"step": checkpoint, "frames": frame_signals(run, study), "batches": batch_signals(run)}


@torch.no_grad()
def frame_signals(run: CapturedRun, study: PackedStudy) -> dict[str, Any]:
    """Return the areas under the curve of each signal of pool frames, by the averaged network.

    Its statistics are recorded on the labeled frames, as at the end of a run.
    """
    network = run.trainer.ema.network
    state = {name: value.clone() for name, value in network.state_dict().items()}
    LabeledStatistics(run.data, run.config, run.loader.labeled, run.trainer.extra).record(network)
    network.eval()
    every = -(-len(run.data.unlabeled) // FRAMES)
    truth = torch.from_numpy(study.pool_truth(run.job, every))
    signals, label = _signals_of(run, network, run.pixels[torch.from_numpy(run.data.unlabeled[::every])])
    network.load_state_dict(state)
    right, seen = (label == truth).numpy(), (truth >= 0).numpy()
    scores = {name: value.double().numpy() for name, value in signals.items()}
    areas = {name: {"right": _area(right, score), "seen": _area(seen, score)} for name, score in scores.items()}
    return {"right": float(right.mean()), "seen": float(seen.mean()), "areas": areas}


def _signals_of(run: CapturedRun, network: nn.Module, pool: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Return each signal of pool frames `(n,)`, and their pseudo-labels."""
    settings, generator = run.config.augmentation, torch.Generator().manual_seed(0)
    weak, second = (augment(settings.weak, pool, generator) for _ in range(2))
    strong = augment(settings.strong, pool, generator)
    features, logits = last_layer_inputs(network, weak)
    confidence, label = logits.softmax(-1).max(-1)
    strong_features, strong_logits = last_layer_inputs(network, strong)
    signals = {
        "confidence": confidence,
        "energy": logits.logsumexp(-1),
        "probability of the label, second weak view": _of_label(network(second), label),
        "probability of the label, strong view": _of_label(strong_logits, label),
        "feature norm": features.norm(dim=1),
    }
    residual = strong_logits.softmax(-1) - functional.one_hot(label, logits.shape[1])
    for kind in ("training", "held-out"):
        frames, targets = labeled_frames(run, kind)
        known, known_logits = last_layer_inputs(network, augment(CLEAN, frames, generator))
        hot = functional.one_hot(targets, logits.shape[1]).float()
        head_gradient = (known_logits.softmax(-1) - hot).T @ known / len(known)
        signals[f"product of last-layer gradients, {kind} labels"] = ((residual @ head_gradient) * strong_features).sum(
            1
        )
        signals[f"cosine with the prototype, {kind} labels"] = _prototype_cosine(features, label, known, hot)
        signals[f"the same of logits, {kind} labels"] = _prototype_cosine(logits, label, known_logits, hot)
        centre = known.mean(0)
        near = functional.normalize(features - centre) @ functional.normalize(known - centre).T
        nearest = near.masked_fill(targets[None] != label[:, None], -1).amax(1)
        signals[f"cosine with the nearest of the class, {kind} labels"] = nearest
    return signals, label


def _prototype_cosine(vectors: Tensor, label: Tensor, known: Tensor, hot: Tensor) -> Tensor:
    """Return the cosine of each vector with the mean of the known vectors of its class, less the mean of all known."""
    centre = known.mean(0)
    prototypes = hot.T @ (known - centre) / hot.sum(0)[:, None]
    return functional.cosine_similarity(vectors - centre, prototypes[label], dim=-1)


def _of_label(logits: Tensor, label: Tensor) -> Tensor:
    return logits.softmax(-1).gather(1, label[:, None])[:, 0]


def _area(truth: npt.NDArray[np.bool_], score: Floats) -> float | None:
    return float(roc_auc_score(truth, score)) if 0 < truth.sum() < len(truth) else None


def labeled_frames(run: CapturedRun, kind: str) -> tuple[Tensor, Tensor]:
    """Return labeled frames and labels: those of `training`, or half as many `held-out` ones of the tested role."""
    frames = run.data.train if kind == "training" else run.data.validation
    positions = np.arange(len(frames.rows))
    if kind == "held-out":
        classes = range(len(run.data.classes))
        each = max(1, len(run.data.train.rows) // len(classes) // 2)
        positions = np.concatenate([np.flatnonzero(frames.targets == number)[:each] for number in classes])
    return run.pixels[torch.from_numpy(frames.rows[positions])], torch.from_numpy(frames.targets[positions])


def batch_signals(run: CapturedRun) -> dict[str, list[float]]:
    """Return the cosine of the unlabeled gradient with each reference, for `BATCHES` fresh batches.

    References: the labeled gradient of the same step (its sign is Fix-A-Step's rule), the mean of those of all batches
    of the checkpoint, the gradient of held-out labels, and the last two over the last layer alone.
    """
    trainer, weak = run.trainer, run.config.augmentation.weak
    generator = torch.Generator().manual_seed(1)
    head = sum(parameter.numel() for parameter in trainer.parameters[-2:])  # weight and bias of the last layer
    trainer.network.train()

    def labeled_gradient(frames: Tensor, targets: Tensor) -> Tensor:
        return flat_gradient(trainer.criterion(trainer.model(frames), targets), trainer.parameters)

    frames, targets = labeled_frames(run, "held-out")
    hot = functional.one_hot(targets, trainer.classes).float()
    held_out = labeled_gradient(augment(CLEAN, frames, generator), hot)
    labeled, unlabeled = list[Tensor](), list[Tensor]()
    for _ in range(BATCHES):
        drawn = torch.randint(len(run.rows), (run.config.batch.labeled,), generator=generator)
        known = augment(weak, run.pixels[run.rows[drawn]], generator)
        labeled.append(labeled_gradient(known, run.loader.targets[drawn]))
        unlabeled.append(_unlabeled_gradient(run, generator))
    mean = torch.stack(labeled).mean(0)
    references: Mapping[str, list[Tensor]] = {
        "labeled batch": labeled, "mean of labeled batches": [mean] * BATCHES, "held-out labels": [held_out] * BATCHES,
    }  # fmt: skip
    cosines = {
        name: [_cosine(*pair) for pair in zip(values, unlabeled, strict=True)] for name, values in references.items()
    }
    for name in ("mean of labeled batches", "held-out labels"):
        parts = zip(references[name], unlabeled, strict=True)
        cosines[f"{name}, last layer"] = [_cosine(one[-head:], other[-head:]) for one, other in parts]
    return cosines


def _unlabeled_gradient(run: CapturedRun, generator: torch.Generator) -> Tensor:
    """Return the gradient of FixMatch's loss over a batch of the pool."""
    trainer, settings = run.trainer, run.config.augmentation
    chosen = torch.randint(len(run.pool), (run.config.batch.unlabeled,), generator=generator)
    pool = run.pixels[run.pool[chosen]]
    with torch.no_grad():
        confidence, label = trainer.model(augment(settings.weak, pool, generator)).softmax(-1).max(-1)
    logits = trainer.model(augment(settings.strong, pool, generator))
    loss = functional.cross_entropy(logits, label, reduction="none") * (confidence >= THRESHOLD)
    return flat_gradient(loss.mean(), trainer.parameters)


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(functional.cosine_similarity(one, other, dim=0))


if __name__ == "__main__":
    main()
