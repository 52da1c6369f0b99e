"""One adaptation, step by step: predictions before, statistics, entropy, predictions after, checks for harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import torch

from heart2heart.progress import Progress
from heart2heart.schema.adaptation import AdaptationCheck, AdaptationSettings, PredictionSummary, StatisticsMethod
from heart2heart.schema.clip_probabilities import log_softmax
from heart2heart.schema.enums import SplitRole
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training import adaptation_check as checks
from heart2heart.training import checkpoint
from heart2heart.training.adaptation_entropy import minimise_entropy
from heart2heart.training.adaptation_priors import balance_weights, corrected_probabilities, estimate_shares_em
from heart2heart.training.adaptation_statistics import (
    EstimatedStatistics,
    FrameBatch,
    batch_norm_layers,
    estimate_statistics,
    read_statistics,
    write_statistics,
)
from heart2heart.training.config import TrainConfig
from heart2heart.training.derived_networks import inner_network
from heart2heart.training.run import Run
from heart2heart.training.unscored_frames import AdaptationFrames, batch_slices
from heart2heart.training.validation import INFERENCE_BATCH, infer

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AdaptedStatistics:
    """What came of the statistics.

    Attributes:
        estimate: The estimate; None if none was made.
        before: Predictions of the unadapted run.
        after: Predictions with adapted statistics, also if they were not kept.
        checks: The checks for harm.
        kept_source: Whether the source's statistics were kept.
        reason: Why they were kept, or what a check found; empty if nothing.
        method: The statistics that the network has in the end.
        disagreement: Share of the unadapted run's confident predictions whose view changed.
    """

    estimate: EstimatedStatistics | None
    before: PredictionSummary
    after: PredictionSummary
    checks: tuple[AdaptationCheck, ...]
    kept_source: bool
    reason: str
    method: StatisticsMethod = StatisticsMethod.SOURCE
    disagreement: float | None = None

    def outcome(self, site: str) -> str:
        """Return the outcome in one sentence."""
        if self.kept_source:
            return f"kept the source's statistics because {self.reason}"
        if self.method == StatisticsMethod.SOURCE:
            return f"minimised the entropy of the predictions at {site}, with the source's statistics"
        weighted = ", with frames weighted by their views" if self.method == StatisticsMethod.PRIOR_AWARE else ""
        return f"adapted the statistics to {site}{weighted}"

    def weight(self, settings: AdaptationSettings) -> float:
        """Return the weight of the hospital's own statistics, 0 to 1."""
        if self.kept_source or self.estimate is None:
            return 0.0
        return self.estimate.patients / (self.estimate.patients + settings.prior_patients)


def candidates(settings: AdaptationSettings) -> tuple[StatisticsMethod, ...]:
    """Return the statistics that are tried one after the other, until the checks pass."""
    if settings.statistics == StatisticsMethod.SOURCE:
        return ()
    if settings.statistics != StatisticsMethod.AUTO:
        return (settings.statistics,)
    both = (StatisticsMethod.PLAIN, StatisticsMethod.PRIOR_AWARE)
    return both if settings.refuse else both[:1]


class Adaptation:
    """One adaptation: a network that begins as the run's and ends adapted.

    Args:
        run: The run; it stays as it is.
        frames: Frames of patients who are never scored.
        split: The run's split.
        settings: How to adapt.
        progress: Receives the percentage done.

    Attributes:
        network: The network.
        before: Probabilities of the unadapted run, `(n, classes)`.
        plain: Probabilities with plain statistics, once they are estimated.
        source_statistics: The source's statistics.
        assumed: Class shares that these probabilities assume.
        trained: Class shares of the frames behind the source's statistics.
        estimated: Class shares at the hospital, estimated from predictions.
    """

    def __init__(
        self, run: Run, frames: AdaptationFrames, split: SplitManifest, settings: AdaptationSettings, progress: Progress
    ) -> None:
        self.run, self.frames, self.settings, self.progress = run, frames, settings, progress
        self.network = Run.load(run.path, device=str(run.device)).network  # a copy: the caller's stays as it is
        self.patient_weights = frames.patient_weights()
        self.assumed, self.trained = class_shares(run.config, split)
        passes = min(settings.max_passes, len(batch_norm_layers(self.network)))
        rounds = 1 if settings.statistics == StatisticsMethod.PLAIN else 2
        self.read, self.reads = 0, (rounds * (passes + 1) + 2) * len(frames.table)
        self.before = self.probabilities()
        self.plain: Floats | None = None
        self.source_statistics = read_statistics(self.network)
        self.estimated = self.estimate_shares(self.before)

    def named(self, shares: Floats) -> dict[str, float]:
        """Return shares by the name of the view."""
        return dict(zip(self.run.classes, shares.tolist(), strict=True))

    def batches(self, weights: Floats) -> Iterator[FrameBatch]:
        """Yield the frames in batches; each has its patient and a weight."""
        rows, owners = self.frames.rows, self.frames.owners
        for part in batch_slices(len(rows), INFERENCE_BATCH):
            pixels = torch.from_numpy(self.frames.store.read(rows[part])).to(self.run.device)
            self.read += len(pixels)
            self.progress.update(min(99, 100 * self.read // self.reads))
            yield FrameBatch(pixels, owners[part], weights[part])

    def logits(self) -> Floats:
        """Return the present network's logits of all frames, `(n, classes)`."""
        parts = [infer(self.network, batch.pixels).cpu().numpy() for batch in self.batches(self.patient_weights)]
        return np.asarray(np.concatenate(parts), np.float64)

    def probabilities(self) -> Floats:
        """Return the present network's probabilities of all frames, `(n, classes)`."""
        return np.exp(log_softmax(self.logits()))

    def adapt_statistics(self) -> AdaptedStatistics:
        """Estimate the statistics, check them, and go back to the source's where they would do harm."""
        settings, classes = self.settings, self.run.classes
        before = checks.summarise_predictions(self.before, self.patient_weights, classes)
        if not batch_norm_layers(self.network):
            return AdaptedStatistics(None, before, before, (), True, "the network has no batch normalisation")
        method, estimate = StatisticsMethod.SOURCE, None
        if settings.statistics == method and not settings.entropy_steps:
            return AdaptedStatistics(None, before, before, (), True, "the settings say so")
        results: tuple[AdaptationCheck, ...] = ()
        latest: tuple[AdaptationCheck, ...] = ()
        after, probabilities = before, self.before
        for method in candidates(settings):
            estimate = self.estimate(method)
            after, probabilities, latest = self.check(before, " with weighted frames" if results else "", estimate)
            results += latest
            if all(result.passed for result in latest if not result.name.startswith(checks.GAIN)):
                break  # where these statistics bring nothing, weighted ones bring nothing either
        # Before entropy minimisation as well: it would hide the entropy that shows harm.
        if settings.entropy_steps and (all(result.passed for result in latest) or not settings.refuse):
            minimise_entropy(
                self.network,
                lambda: self.batches(self.patient_weights),
                steps=settings.entropy_steps,
                rate=settings.entropy_rate,
            )
            after, probabilities, latest = self.check(before, " with minimised entropy")
            results += latest
        failed = [result.detail for result in latest if not result.passed]
        refused = bool(failed) and settings.refuse
        if refused:
            source = checkpoint.load(self.run.directory.best_checkpoint)["weights"]
            inner_network(self.network).load_state_dict(source)
            method = StatisticsMethod.SOURCE
        disagreement = checks.confident_disagreement(self.before, probabilities, self.patient_weights)
        reason = " and ".join(failed)
        return AdaptedStatistics(estimate, before, after, results, refused, reason, method, disagreement)

    def check(
        self, before: PredictionSummary, step: str, estimate: EstimatedStatistics | None = None
    ) -> tuple[PredictionSummary, Floats, tuple[AdaptationCheck, ...]]:
        """Return summary, probabilities and checks of the present predictions; `step` ends the names of the checks."""
        probabilities = self.probabilities()
        after = checks.summarise_predictions(probabilities, self.patient_weights, self.run.classes)
        clips = len(set(self.frames.table["clip"].to_pylist()))
        results = (
            *(() if estimate is None else (checks.check_patients(estimate.patients), checks.check_clips(clips))),
            checks.check_views(before, after, self.run.directory.record.validation_information),
            checks.check_entropy(before, after),
            checks.check_collapse(before, after),
            *(() if estimate is None else (checks.check_gain(before, after),)),
        )
        named = tuple(result.model_copy(update={"name": f"{result.name}{step}"}) for result in results)
        return after, probabilities, named

    def estimate(self, method: StatisticsMethod) -> EstimatedStatistics:
        """Estimate the statistics, and make the network normalise with them.

        The predictions of the unadapted run say little of a hospital's views: where it carries over badly, it predicts
        one view for nearly all frames. So `prior_aware` weights frames by the predictions that plain statistics give.
        """
        if self.plain is None:
            plain = self.estimate_with(np.ones(len(self.before)))
            self.plain = self.probabilities()
            self.estimated = self.estimate_shares(self.plain)
            if method == StatisticsMethod.PLAIN:
                return plain
        write_statistics(self.network, self.source_statistics)
        corrected = corrected_probabilities(self.plain, self.assumed, self.estimated)
        return self.estimate_with(balance_weights(corrected, self.estimated, self.trained))

    def estimate_with(self, weights: Floats) -> EstimatedStatistics:
        """Estimate the statistics; each frame has a weight within its patient."""
        return estimate_statistics(
            self.network,
            lambda: self.batches(weights),
            prior_patients=self.settings.prior_patients,
            max_passes=self.settings.max_passes,
        )

    def estimate_shares(self, probabilities: Floats) -> Floats:
        """Estimate the class shares of the hospital; every patient counts once."""
        return estimate_shares_em(probabilities, self.assumed, self.patient_weights)


def class_shares(config: TrainConfig, split: SplitManifest) -> tuple[Floats, Floats]:
    """Return the class shares that a run's probabilities assume, and those of the frames behind its statistics.

    Class weights make the first ones equal; batches balanced by view make both equal.

    Args:
        config: The run's configuration.
        split: The run's split.
    """
    members = split.members
    views = members.filter(pc.equal(members["role"], SplitRole.TRAIN))["view"].to_pylist()
    counts = np.array([views.count(name) for name in split.classes], np.float64)
    equal = np.full(len(counts), 1 / len(counts))
    balanced = config.batch.balance in ("view", "site_and_view")
    trained = equal if balanced or not counts.sum() else counts / counts.sum()
    return (equal if config.loss.class_weights else trained), trained
