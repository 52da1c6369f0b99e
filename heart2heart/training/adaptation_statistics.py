"""Statistics of batch normalisation, estimated anew from the unlabeled frames of one hospital.

The network normalises a layer's input by the mean and variance that training recorded at the source. At another
hospital grey levels and geometry differ, and these numbers no longer fit. Here they are estimated from the hospital's
own frames:

- A *pass* reads every frame once with all statistics frozen, and sums each layer's input (`StatisticsStream`). The sums
  do not depend on how frames are cut into batches or clips.
- Passes repeat, each with the estimates of the one before, so that later layers see the adapted earlier ones
  (`estimate_statistics`). After as many passes as there are layers the result is that of adapting layer by layer.
- Each patient counts once, however many frames it has.
- The estimate is drawn towards the source's statistics where patients are few (`shrink`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from heart2heart.training.validation import infer

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LayerStatistics:
    """Mean and variance of the input of one batch normalisation.

    Attributes:
        mean: float64 `(channels,)`.
        variance: float64 `(channels,)`, of the population: not corrected for the size of a sample.
    """

    mean: Tensor
    variance: Tensor


Statistics = dict[str, LayerStatistics]
"""Name of a layer in the network -> its statistics."""


def batch_norm_layers(network: nn.Module) -> dict[str, _BatchNorm]:
    """Return by name the batch normalisations of a network that have recorded statistics; empty if there are none."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    }


def read_statistics(network: nn.Module) -> Statistics:
    """Return copies of the statistics that a network normalises with."""
    statistics = {}
    for name, layer in batch_norm_layers(network).items():
        assert layer.running_mean is not None
        assert layer.running_var is not None
        statistics[name] = LayerStatistics(layer.running_mean.double().clone(), layer.running_var.double().clone())
    return statistics


def write_statistics(network: nn.Module, statistics: Mapping[str, LayerStatistics]) -> None:
    """Make a network normalise with these statistics."""
    layers = batch_norm_layers(network)
    for name, layer_statistics in statistics.items():
        running_mean, running_var = layers[name].running_mean, layers[name].running_var
        assert running_mean is not None
        assert running_var is not None
        running_mean.copy_(layer_statistics.mean)
        running_var.copy_(layer_statistics.variance)


class StatisticsStream:
    """Sums of every layer's input, patient by patient, as frames arrive.

    The network must be in evaluation mode, and its statistics must not change between the first `update` and `result`.

    Args:
        network: A classifier with batch normalisation.

    Examples:
        >>> network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()).eval()
        >>> stream = StatisticsStream(network)
        >>> _ = stream.update(torch.full((2, 4, 4), 255, dtype=torch.uint8), ["p1", "p1"])
        >>> _ = stream.update(torch.full((1, 4, 4), 0, dtype=torch.uint8), ["p2"])
        >>> statistics, patients = stream.result()
        >>> statistics["0"].mean.item(), statistics["0"].variance.item(), patients
        (0.0, 1.0, 2.0)
    """

    def __init__(self, network: nn.Module) -> None:
        self.network, self.layers = network, batch_norm_layers(network)
        # Sums of differences from the present mean: their squares lose no digits where a mean is large.
        self.origin = {name: layer_statistics.mean for name, layer_statistics in read_statistics(network).items()}
        self._frames: dict[str, int] = {}
        self._weights: dict[str, float] = {}
        self._sums: dict[str, dict[str, Tensor]] = {}

    def update(self, pixels: Tensor, patients: Sequence[str], weights: Floats | None = None) -> Tensor:
        """Add frames.

        Args:
            pixels: uint8 `(n, size, size)`, on the network's device.
            patients: Patient of each frame, `n`.
            weights: Weight of each frame within its patient, float64 `(n,)`; None weighs all the same.

        Returns:
            The network's float32 logits `(n, classes)`.
        """
        moments: dict[str, Tensor] = {}

        def record(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                moments[name] = frame_moments(inputs[0], self.origin[name])

            return hook

        handles = [layer.register_forward_pre_hook(record(name)) for name, layer in self.layers.items()]
        try:
            logits = infer(self.network, pixels)
        finally:
            for handle in handles:
                handle.remove()
        share = np.ones(len(patients)) if weights is None else weights
        names, owner = np.unique(np.array(patients, object), return_inverse=True)
        member = np.zeros((len(names), len(patients)))
        member[owner, np.arange(len(patients))] = share
        rows = torch.from_numpy(member).to(pixels.device)
        for name, layer_moments in moments.items():
            sums = torch.einsum("pn,nkc->pkc", rows, layer_moments)
            for patient, patient_sums in zip(names.tolist(), sums, strict=True):
                by_layer = self._sums.setdefault(patient, {})
                by_layer[name] = by_layer[name] + patient_sums if name in by_layer else patient_sums
        for patient, count, weight in zip(names.tolist(), np.bincount(owner), member.sum(1), strict=True):
            self._frames[patient] = self._frames.get(patient, 0) + int(count)
            self._weights[patient] = self._weights.get(patient, 0.0) + float(weight)
        return logits

    def result(self) -> tuple[Statistics, float]:
        """Return the statistics of all frames so far, and the effective number of patients.

        A patient weighs as much as the mean weight of its frames. The effective number is Kish's,
        `(sum w)^2 / sum w^2`: without weights of frames it is the number of patients.
        """
        patients = list(self._frames)
        weights = np.array([self._weights[patient] / self._frames[patient] for patient in patients])
        effective = float(weights.sum() ** 2 / np.square(weights).sum())
        statistics = {}
        for name, origin in self.origin.items():
            parts = [self._sums[patient][name] / self._frames[patient] for patient in patients]
            first, second = torch.stack(parts).sum(0) / weights.sum()
            statistics[name] = LayerStatistics(origin + first, (second - first.square()).clamp_min(0))
        return statistics, effective


def frame_moments(values: Tensor, origin: Tensor) -> Tensor:
    """Return the first two moments of each frame's values about `origin`.

    Args:
        values: Input of a layer, `(n, channels, ...)`.
        origin: float64 `(channels,)`.

    Returns:
        float64 `(n, 2, channels)`.
    """
    flat = values.detach().float().flatten(2) if values.ndim > 2 else values.detach().float()[:, :, None]
    mean = flat.mean(2, keepdim=True)
    variance = (flat - mean).square_().mean(2)  # in a tenth of the time of torch.var_mean
    first = mean[:, :, 0].double() - origin
    return torch.stack([first, variance.double() + first.square()], dim=1)


def shrink(source: Statistics, target: Statistics, patients: float, prior_patients: float) -> Statistics:
    """Draw statistics of a hospital towards those of the source.

    The hospital's statistics weigh `n / (n + n0)` and the source's `n0 / (n + n0)` (Schneider et al., "Improving
    robustness against common corruptions by covariate shift adaptation", NeurIPS 2020, with patients for frames).

    Args:
        source: Statistics of the source.
        target: Statistics of the hospital, of the same layers.
        patients: n, the effective number of patients.
        prior_patients: n0, the number of patients that the source's statistics are worth, at least 0.

    Examples:
        >>> one, other = ({"layer": LayerStatistics(*torch.tensor([values, [1.0]]))} for values in ([0.0], [4.0]))
        >>> shrink(one, other, patients=6, prior_patients=2)["layer"].mean.item()
        3.0
    """
    weight = patients / (patients + prior_patients)
    return {
        name: LayerStatistics(
            torch.lerp(source[name].mean, layer.mean, weight), torch.lerp(source[name].variance, layer.variance, weight)
        )
        for name, layer in target.items()
    }


@dataclass(frozen=True)
class FrameBatch:
    """Some frames of a hospital.

    Attributes:
        pixels: uint8 `(n, size, size)`, on the network's device.
        patients: Patient of each, `n`.
        weights: float64 `(n,)`.
    """

    pixels: Tensor
    patients: Sequence[str]
    weights: Floats


@dataclass(frozen=True)
class EstimatedStatistics:
    """What `estimate_statistics` found; the network normalises with `statistics`.

    Attributes:
        statistics: After shrinkage.
        patients: Effective number of patients.
        passes: Passes over the frames.
        change: Largest change of a mean in the last pass, in standard deviations of its channel.
    """

    statistics: Statistics
    patients: float
    passes: int
    change: float


def estimate_statistics(
    network: nn.Module,
    batches: Callable[[], Iterable[FrameBatch]],
    *,
    prior_patients: float,
    max_passes: int,
    tolerance: float = 0.01,
) -> EstimatedStatistics:
    """Estimate the statistics of every layer from a hospital's frames, and make the network normalise with them.

    Args:
        network: A classifier in evaluation mode, with the source's statistics.
        batches: Gives the frames, once a pass.
        prior_patients: See `shrink`.
        max_passes: Most passes; no more are made than the network has layers of batch normalisation.
        tolerance: Passes end when no mean changes by more than this, in standard deviations of its channel.
    """
    source = read_statistics(network)
    present, effective, change, passes = source, 0.0, np.inf, 0
    while passes < min(max_passes, len(source)) and change > tolerance:
        stream = StatisticsStream(network)
        for batch in batches():
            stream.update(batch.pixels, batch.patients, batch.weights)
        target, effective = stream.result()
        estimate = shrink(source, target, effective, prior_patients)
        change = largest_change(present, estimate)
        write_statistics(network, estimate)
        present, passes = estimate, passes + 1
    return EstimatedStatistics(present, effective, passes, change)


def largest_change(before: Statistics, after: Statistics) -> float:
    """Return the largest difference of a mean, in standard deviations that the channel has afterwards."""
    changes = [
        ((after[name].mean - layer.mean).abs() / (after[name].variance + 1e-5).sqrt()).max()
        for name, layer in before.items()
    ]
    return float(torch.stack(changes).max())
