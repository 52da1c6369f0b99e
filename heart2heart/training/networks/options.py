"""What a network's options are: the class that builds it, names its head, and reads weights of other programs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from heart2heart.config import Config


@dataclass(frozen=True)
class ClassifierShape:
    """What a classifier takes and gives.

    Attributes:
        classes: Number of logits.
        channels: Channels of the input.
        size: Side of the frames, pixels.
    """

    classes: int
    channels: int
    size: int


class NetworkOptions(Config):
    """The options of a network, named under `network.options`; a plugin registers a subclass.

    Examples:
        >>> class Linear(NetworkOptions):
        ...     bias: bool = True
        ...
        ...     def build(self, shape: ClassifierShape) -> nn.Module:
        ...         inputs = shape.channels * shape.size**2
        ...         return nn.Sequential(nn.Flatten(), nn.Linear(inputs, shape.classes, self.bias))
        >>> Linear(bias=False).build(ClassifierShape(classes=4, channels=1, size=8))[1]
        Linear(in_features=64, out_features=4, bias=False)
    """

    @classmethod
    def parse_stored(cls, content: dict[str, Any], *, where: str | Path) -> Self:
        """Return the options of a run, which an earlier version may have recorded; by default as `parse` does."""
        return cls.parse(content, where=where)

    @abstractmethod
    def build(self, shape: ClassifierShape) -> nn.Module:
        """Return a network from float `(n, channels, size, size)` to logits `(n, classes)`, freshly initialised."""

    def head(self, network: nn.Module) -> tuple[str, ...]:
        """Return the names of the modules that are the head; all others are the encoder.

        A head whose shape differs from that of loaded weights stays fresh, and `network.freeze: encoder` trains it
        alone. By default it is the last linear layer or convolution.

        Args:
            network: A network that `build` returned.

        Examples:
            >>> class Small(NetworkOptions):
            ...     def build(self, shape: ClassifierShape) -> nn.Module:
            ...         return nn.Sequential(nn.Flatten(), nn.Linear(shape.size**2, 8), nn.Linear(8, shape.classes))
            >>> Small().head(Small().build(ClassifierShape(classes=4, channels=1, size=8)))
            ('2',)
        """
        weighted = [name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        return tuple(weighted[-1:])

    def convert(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a file under this network's names; by default they are the file's own.

        Args:
            weights: Tensors by the names that the file has.
        """
        return dict(weights)


def in_modules(name: str, modules: Sequence[str]) -> bool:
    """Return whether a tensor or module of a network belongs to one of some modules.

    Examples:
        >>> in_modules("classifier.weight", ["classifier"]), in_modules("classifier2.weight", ["classifier"])
        (True, False)
    """
    return any(name == module or name.startswith(f"{module}.") for module in modules)
