"""SonoNet16 (Baumgartner et al., IEEE TMI 2017): a small network for fetal ultrasound, without fully connected layers.

The published classifier is a 1 x 1 convolution with batch normalisation, whose outputs are averaged over the picture.
It is linear, so averaging first gives the same logits; the classifier here is that linear layer.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from heart2heart.errors import RunError
from heart2heart.training.networks.options import ClassifierShape, NetworkOptions

WIDTHS = ((16, 16), (32, 32), (64, 64, 64), (128, 128, 128), (128, 128, 128))
"""Channels of the 3 x 3 convolutions; a 2 x 2 max pooling lies between groups."""

ADAPTATION = 64
INPUT_SCALE = 255.0
NORM_EPS = 1e-4
_EVEN = 1e-3  # a smaller deviation is a hundredth of a grey level or rounding
_ARRAYS_PER_LAYER = 5  # weight, beta, gamma, mean, inverse standard deviation


def _unit(inside: int, outside: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(outside, eps=NORM_EPS), nn.ReLU(inplace=True))


class SonoNet16(nn.Module):
    """SonoNet16 for frames of any size of at least 16 pixels; 0.93 million parameters.

    Args:
        classes: Number of logits.
        channels: Channels of the input.
        standardise: Bring each picture to mean 0 and standard deviation 1 first, as its authors did. Either way the
            input is then multiplied by 255, the scale that the published weights expect.
    """

    def __init__(self, classes: int, channels: int = 1, *, standardise: bool = True) -> None:
        super().__init__()
        self.standardise = standardise
        layers: list[nn.Module] = []
        inside = channels
        for group_index, widths in enumerate(WIDTHS):
            if group_index:
                layers.append(nn.MaxPool2d(2))
            for outside in widths:
                layers.append(_unit(inside, outside, kernel=3))
                inside = outside
        self.encoder = nn.Sequential(*layers)
        self.adaptation = _unit(inside, ADAPTATION, kernel=1)
        self.classifier = nn.Linear(ADAPTATION, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `(n, classes)` of frames `(n, channels, height, width)`."""
        if self.standardise:
            x = standardise_pictures(x)
        features = self.adaptation(self.encoder(x * INPUT_SCALE))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


def standardise_pictures(pictures: Tensor) -> Tensor:
    """Return pictures `(n, channels, height, width)`, each with mean 0 and standard deviation 1; an even one is 0.

    Examples:
        >>> standardise_pictures(torch.tensor([[[[0.0, 2.0], [2.0, 0.0]]]])).flatten()
        tensor([-1.,  1.,  1., -1.])
    """
    centred = pictures - pictures.mean((1, 2, 3), keepdim=True)
    deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp_min(_EVEN)


def from_published(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the published arrays `arr_0` to `arr_74` under the names of `SonoNet16`, exactly.

    A stored inverse standard deviation s is `1 / sqrt(variance + eps)`, so the running variance is `1 / s**2 - eps`.
    The last convolution with its normalisation becomes a linear layer.

    Raises:
        RunError: the arrays are not those of SonoNet16.
    """
    names = _unit_names()
    expected = _ARRAYS_PER_LAYER * (len(names) + 1)
    if set(arrays) != {f"arr_{index}" for index in range(expected)}:
        what = f"SonoNet16's weights are {expected} arrays, arr_0 to arr_{expected - 1}; these are {len(arrays)} arrays"
        raise RunError(what, remedy="Name the published SonoNet16.npz, or a file with the names of this network")
    layers = [
        [arrays[f"arr_{start + index}"].double() for index in range(_ARRAYS_PER_LAYER)]
        for start in range(0, expected, _ARRAYS_PER_LAYER)
    ]
    state: dict[str, Tensor] = {}
    for name, (weight, beta, gamma, mean, inverse) in zip(names, layers, strict=False):
        state[f"{name}.0.weight"] = weight
        state |= {f"{name}.1.weight": gamma, f"{name}.1.bias": beta, f"{name}.1.running_mean": mean}
        state[f"{name}.1.running_var"] = inverse.pow(-2) - NORM_EPS
    weight, beta, gamma, mean, inverse = layers[-1]
    state["classifier.weight"] = weight.flatten(1) * (gamma * inverse)[:, None]
    state["classifier.bias"] = beta - gamma * inverse * mean
    return {name: value.float() for name, value in state.items()}


def _unit_names() -> list[str]:
    """Return the names of the units of convolution, normalisation and activation, in order; poolings count too."""
    names, position = [], 0
    for widths in WIDTHS:
        names += [f"encoder.{position + index}" for index in range(len(widths))]
        position += len(widths) + 1
    return [*names, "adaptation"]


class SonoNet16Options(NetworkOptions):
    """SonoNet16 (Baumgartner et al. 2017), for weights trained on fetal ultrasound."""

    standardise: bool = True
    """Bring each frame to mean 0 and standard deviation 1 inside the network, as the published weights expect."""

    def build(self, shape: ClassifierShape) -> nn.Module:
        """See `NetworkOptions.build`."""
        return SonoNet16(shape.classes, shape.channels, standardise=self.standardise)

    def head(self, network: nn.Module) -> tuple[str, ...]:
        """See `NetworkOptions.head`: what follows the thirteen 3 x 3 convolutions."""
        return ("adaptation", "classifier")

    def convert(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `NetworkOptions.convert`; see `from_published`."""
        return from_published(weights) if "arr_0" in weights else dict(weights)
