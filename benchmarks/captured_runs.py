"""Many small runs on one card at a time: each step is one CUDA graph, and the graphs run beside each other.

A step of a small network is hundreds of kernels that each take microseconds; launched one by one they leave the card
idle. Here a whole step (drawing the batch, augmentation, both losses, the update) is recorded once. What changes from
step to step is read from tables on the device by a counter: rows, learning rate, weight of the unlabeled loss. On
another device the same step is called directly.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import Tensor

from benchmarks.packed_study import PackedStudy
from heart2heart.errors import ConfigError
from heart2heart.training.algorithms import build_algorithm
from heart2heart.training.labeled_statistics import LabeledStatistics
from heart2heart.training.loader import TrainLoader, seeded_generator
from heart2heart.training.losses import inverse_frequency
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import Trainer
from heart2heart.training.validation import INFERENCE_BATCH, infer
from pipelines.study_design import StudyJob
from pipelines.study_measures import (
    MEANS,
    POOL_SAMPLE,
    THRESHOLD,
    balanced_accuracy,
    confusion,
    pool_passes,
    pseudo_label_measures,
    reads_pool,
)

WARM_UP = 3
"""Steps before a step is recorded, in which cuDNN chooses its kernels; their effect is undone."""
AHEAD = 40
"""Steps of a run that are launched at a time; two such parts may wait on the card."""
CAPTURABLE = (
    "labels_only", "supervised_mixup", "supervised_strong", "fixmatch", "softmatch", "freematch", "agreement_weighting",
    "prototype_match",
)  # fmt: skip
"""Methods of one stage that read no number of the step on the host."""


_CUDA: Any = torch.cuda  # whose classes have no types


class ScheduledTrainer(Trainer):
    """A trainer whose learning rate and weight of the unlabeled loss are read from tables on the device.

    Attributes:
        counter: int64 `(1,)`, the present step.
        rates: float32 `(steps, 2)`.
    """

    counter: Tensor
    rates: Tensor

    def scheduled(self, step: int, steps: int) -> tuple[float, float]:
        """Return both as scalars on the device."""
        present: Any = self.rates.index_select(0, self.counter)[0].unbind()
        return present[0], present[1]

    def fill_rates(self, steps: int) -> None:
        """Compute the tables of a run of `steps` steps, and begin at the first."""
        rates = [super(ScheduledTrainer, self).scheduled(step, steps) for step in range(steps)]
        self.rates = torch.tensor(rates, device=self.device)
        self.counter = torch.zeros(1, dtype=torch.int64, device=self.device)


class CapturedRun:
    """One run of a study, whose step is recorded once and replayed.

    Args:
        job: The run. Its method must have one stage and draw nothing on the host within a step.
        study: The arrays.
        pixels: Its images on the device, uint8 `(n, size, size)`, shared by all runs.

    Attributes:
        launched: Steps that were launched.
    """

    def __init__(self, job: StudyJob, study: PackedStudy, pixels: Tensor) -> None:
        self.job, self.study, self.config = job, study, job.config
        if job.config.method.name not in CAPTURABLE:
            raise ConfigError(
                f"{job.config.method.name} cannot be recorded", where=job.way, remedy=f"Choose {', '.join(CAPTURABLE)}"
            )
        self.device, self.launched = pixels.device, 0
        self._waiting = deque[Any]()  # events of parts that were launched
        self.stream: Any = _CUDA.Stream() if self.device.type == "cuda" else None
        self.data = study.train_data(job)
        torch.manual_seed(seeded_generator(self.config.seed, "network", torch.device("cpu")).initial_seed())
        with self._on_stream():
            self._build(pixels)

    def _on_stream(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = nullcontext() if self.stream is None else _CUDA.stream(self.stream)
        return context

    def _build(self, pixels: Tensor) -> None:
        config, data, steps = self.config, self.data, self.config.steps
        classes, settings = len(data.classes), config.network
        extra = build_algorithm(config.method.name, config.method.params).extra_outputs(classes)
        network = build_network(settings.name, classes=classes + extra, size=pixels.shape[1], **settings.options)
        targets = torch.from_numpy(data.train.targets)
        weights = inverse_frequency(targets, classes, None).to(self.device) if config.loss.class_weights else None
        self.trainer = ScheduledTrainer(
            place_network(network, self.device),
            config,
            classes=classes,
            pool_size=len(data.unlabeled),
            weights=weights,
            label_shares=torch.bincount(targets, minlength=classes) / len(targets),
            generator=seeded_generator(config.seed, "mixing", self.device),
        )
        self.trainer.fill_rates(steps)
        self.loader = TrainLoader(config, data, self.trainer, self.device)
        self.pixels = pixels
        # Positions of every batch of the run: among the labeled frames, and in the pool.
        batch = config.batch
        drawn = torch.stack([self.loader.samplers["labeled"].take(batch.labeled) for _ in range(steps)])
        self.labeled = drawn.to(self.device)
        self.rows = torch.from_numpy(data.train.rows).to(self.device)
        self.unlabeled = self.labeled[:, :0]
        if self.trainer.needs_pool:
            sampler = self.loader.samplers["unlabeled 0"]
            self.unlabeled = torch.stack([sampler.take(batch.unlabeled) for _ in range(steps)]).to(self.device)
        self.pool = torch.from_numpy(data.unlabeled).to(self.device)
        self.sums = torch.zeros(len(MEANS), device=self.device)
        self.seen: tuple[bool, ...] = (False,) * len(MEANS)

    def step(self) -> None:
        """Take the step that the counter names."""
        trainer = self.trainer
        labeled = self.labeled.index_select(0, trainer.counter)[0]
        unlabeled = self.unlabeled.index_select(0, trainer.counter)[0]
        frames = (self.pixels[self.rows[labeled]], self.loader.targets[labeled], self.pixels[self.pool[unlabeled]])
        metrics = trainer.step(trainer.augment(*frames, unlabeled, self.loader.augmentation_rng), 1)
        self.seen = tuple(name in metrics for name in MEANS)
        self.sums += torch.stack([metrics[name].float() if name in metrics else self.sums[0] * 0 for name in MEANS])
        trainer.counter += 1

    def capture(self) -> None:
        """Record the step; on another device than a card, nothing is recorded."""
        self.replay: Callable[[], None] = self.step
        if self.stream is None:
            return
        generators = (self.trainer.generator, self.loader.augmentation_rng)
        states = [each.get_state() for each in generators]
        with self._on_stream():
            for _ in range(WARM_UP):
                self.step()
            self.stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            for each in generators:
                graph.register_generator_state(each)
            gc.disable()
            try:
                graph.capture_begin(capture_error_mode="thread_local")
                self.step()
                graph.capture_end()
            finally:
                gc.enable()
            self._begin_anew()
            for each, state in zip(generators, states, strict=True):
                each.set_state(state)
        self.replay = graph.replay

    def _begin_anew(self) -> None:
        """Undo the steps before the recording, in place."""
        trainer = self.trainer
        trainer.network.load_state_dict(trainer._initial)
        trainer.ema.load_state_dict(trainer._initial)
        for state in trainer.optimiser.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    value.zero_()
        memory = trainer.algorithm.initial_memory(len(self.data.unlabeled), trainer.classes, trainer._initial)
        memory |= trainer.rule.initial_memory(sum(parameter.numel() for parameter in trainer.parameters))
        for name, value in memory.items():
            (trainer.memory if name in trainer.memory else trainer.rule_memory)[name].copy_(value)
        trainer.counter.zero_()
        self.sums.zero_()

    def launch(self, steps: int) -> None:
        """Launch some further steps, at most to the end of the run."""
        steps = min(steps, self.config.steps - self.launched)
        with self._on_stream():
            for _ in range(steps):
                self.replay()
            if self.stream is not None:
                self._waiting.append(self.stream.record_event())
        self.launched += steps

    @property
    def hungry(self) -> bool:
        """Whether there are steps to launch, and fewer than two parts wait on the card."""
        while self._waiting and self._waiting[0].query():
            self._waiting.popleft()
        return self.launched < self.config.steps and len(self._waiting) < 2

    @property
    def done(self) -> bool:
        """Whether every step was launched and has ended."""
        return self.launched >= self.config.steps and not self.hungry and not self._waiting

    def measure(self) -> dict[str, Any]:
        """Return the line of a finished run, as `pipelines.study_measures.train_and_measure` returns it."""
        with self._on_stream():
            return self._measure()

    def _measure(self) -> dict[str, Any]:
        config, data, trainer = self.config, self.data, self.trainer
        pool = len(data.unlabeled) if reads_pool(config) else 0
        line: dict[str, Any] = {"split_sha256": self.study.sha256(self.job), "pool": pool}
        line |= {"pool_passes": round(pool_passes(config, pool), 3)}
        if not trainer.weights_are_finite():
            return line | {"balanced_accuracy": None} | dict.fromkeys(MEANS)
        LabeledStatistics(data, config, self.loader.labeled, trainer.extra).record(trainer.ema.network)
        logits = self._logits(data.validation.rows)
        counts = confusion(data.validation.targets, logits.argmax(1), len(data.classes))
        line |= {"balanced_accuracy": balanced_accuracy(counts), "confusion": counts, "validation": None}
        line |= {"selected_step": config.steps, "device": self._device_name()}
        for name, value, seen in zip(MEANS, self.sums.tolist(), self.seen, strict=True):
            line[name] = value / config.steps if seen else None
        if pool:
            every = -(-pool // POOL_SAMPLE)
            rows, truth = data.unlabeled[::every], self.study.pool_truth(self.job, every)
            threshold = getattr(trainer.algorithm, "threshold", THRESHOLD)
            line |= pseudo_label_measures(softmax(self._logits(rows), axis=1), truth, threshold)
        return line

    def _logits(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        parts = torch.split(torch.from_numpy(rows).to(self.device), INFERENCE_BATCH)
        logits = torch.cat([infer(self.trainer.ema_model, self.pixels[part]) for part in parts])
        kept: npt.NDArray[np.float32] = logits[:, : self.trainer.classes].float().cpu().numpy()
        return kept

    def _device_name(self) -> str:
        return torch.cuda.get_device_name() if self.stream is not None else self.device.type


def run_beside(
    jobs: Sequence[StudyJob], study: PackedStudy, device: str, streams: int
) -> Iterator[tuple[StudyJob, dict[str, Any]]]:
    """Yield each run with its line as it ends; `streams` runs are under way at a time, in the order of the jobs."""
    pixels = torch.from_numpy(study.content["pixels"]).to(device)
    waiting, running = list(jobs), list[CapturedRun]()
    while waiting or running:
        if waiting and len(running) < streams:
            run = CapturedRun(waiting.pop(0), study, pixels)
            run.capture()
            running.append(run)
        for each in running:
            if each.hungry:
                each.launch(AHEAD)
        for each in [run for run in running if run.done]:
            running.remove(each)
            yield each.job, each.measure()
