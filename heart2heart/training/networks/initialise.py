"""Puts the weights of a file into a network: names, heads of another shape, and stems of three colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from heart2heart.errors import ConfigError, RunError
from heart2heart.training.networks.build import InputRange
from heart2heart.training.networks.options import NetworkOptions, in_modules

_PREFIXES = ("", "module.", "model.", "network.", "backbone.", "encoder.")
"""What programs put before the names of a network's weights."""

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
_COUNTER = "num_batches_tracked"
_COLOURS = 3
_SHOWN = 5


@dataclass(frozen=True)
class LoadedNames:
    """What of a network was loaded.

    Attributes:
        loaded: Tensors of the network that were taken from the file.
        fresh: Tensors of the network that stay as they were initialised.
        unused: Tensors of the file that were not taken.
        loaded_share: Share of the network's parameters that were taken, 0 to 1.
        stem: How a stem of three colours became one of grey; None if it was not changed.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]
    loaded_share: float
    stem: str | None


def load_weights(
    network: nn.Module,
    options: NetworkOptions,
    weights: Mapping[str, Tensor],
    *,
    where: Path,
    input_range: InputRange = "symmetric",
    keep_head: bool = True,
) -> LoadedNames:
    """Put weights into a network, in place.

    A module of the head whose shapes differ from the file's stays fresh as a whole. A stem of three colours is folded
    into one of grey: with `x = (g + 1) / 2` for grey g from -1 to 1, the weights become the sum over the colours of
    `w / (2 deviation)`, and the rest of the normalisation moves into the stem's bias, or into the running mean of the
    batch normalisation after it. Padding stays 0, which is mid-grey for the folded stem.

    Args:
        network: A network that `options` built.
        options: Its options, which know its head and the names of other programs.
        weights: Tensors by the names of the file.
        where: The file, for errors.
        input_range: Colours that a stem of three channels expects.
        keep_head: Take the head too, where its shapes agree.

    Raises:
        RunError: no tensor of the encoder is in the file, or one has another shape.
        ConfigError: `input_range` is set for a stem that is not of three colours.
    """
    state = network.state_dict()
    names = [name for name in state if not name.endswith(_COUNTER)]
    renamed = {name: value for name, value in options.convert(weights).items() if not name.endswith(_COUNTER)}
    renamed = _without_prefix(renamed, names)
    head = options.head(network)
    stem = _stem(network)
    folded = stem is not None and _is_colour_stem(state[f"{stem}.weight"], renamed.get(f"{stem}.weight"))
    if input_range != "symmetric" and not folded:
        what = "network.init_input is set, but the weights have no stem of three colours"
        raise ConfigError(what, where=where, remedy="Leave network.init_input as it is")
    note = None
    if stem is not None and folded:
        note = _fold_stem(network, stem, renamed, input_range)

    different = [name for name in names if name in renamed and renamed[name].shape != state[name].shape]
    wrong = [name for name in different if not in_modules(name, head)]
    if wrong:
        raise _shape_error(wrong, renamed, state, where)
    fresh_modules = _fresh_modules(head, names, renamed, different) if keep_head else list(head)
    loaded = [name for name in names if name in renamed and not in_modules(name, fresh_modules)]
    encoder = [name for name in names if not in_modules(name, head)]
    if not set(encoder or names) & set(loaded):
        what = (
            f"no weight of {type(network).__name__}'s encoder is in this file, which has {_first_names(list(weights))}"
        )
        remedy = "Name weights of this network, or another network.name"
        raise RunError(what, where=where, remedy=remedy)
    with torch.no_grad():
        for name in loaded:
            state[name].copy_(renamed[name])
    sizes = {name: value.numel() for name, value in network.named_parameters()}
    return LoadedNames(
        loaded=tuple(loaded),
        fresh=tuple(name for name in names if name not in set(loaded)),
        unused=tuple(sorted(set(renamed) - set(loaded))),
        loaded_share=sum(sizes.get(name, 0) for name in loaded) / max(sum(sizes.values()), 1),
        stem=note,
    )


def _without_prefix(weights: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Return the weights without the prefix whose removal makes most names agree, or with the network's own."""
    known = set(names)
    candidates = [
        {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        for prefix in _PREFIXES
    ]
    candidates.append({f"network.{name}": value for name, value in weights.items()})
    return max(candidates, key=lambda candidate: len(known & candidate.keys()))


def _stem(network: nn.Module) -> str | None:
    """Return the name of the first convolution."""
    return next((name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)), None)


def _is_colour_stem(expected: Tensor, stored: Tensor | None) -> bool:
    if stored is None or stored.ndim != expected.ndim:
        return False
    rest = [shape[:1] + shape[2:] for shape in (expected.shape, stored.shape)]
    return (expected.shape[1], stored.shape[1]) == (1, _COLOURS) and rest[0] == rest[1]


def _fold_stem(network: nn.Module, stem: str, weights: dict[str, Tensor], input_range: InputRange) -> str:
    """Fold a stem of three colours into one of grey, within `weights`; return how."""
    colours = weights[f"{stem}.weight"].double()
    if input_range == "symmetric":
        weights[f"{stem}.weight"] = colours.sum(1, keepdim=True).float()
        return "stem: sum over three colours that were from -1 to 1"
    mean, deviation = (torch.tensor(values, dtype=torch.double) for values in (_IMAGENET_MEAN, _IMAGENET_DEVIATION))
    by_colour = colours / deviation.view(1, -1, 1, 1)
    weights[f"{stem}.weight"] = (by_colour.sum(1, keepdim=True) / 2).float()
    constant = (by_colour * (0.5 - mean).view(1, -1, 1, 1)).sum((1, 2, 3)).float()
    if f"{stem}.bias" in weights:
        weights[f"{stem}.bias"] = weights[f"{stem}.bias"] + constant
        return "stem: sum over three colours with ImageNet's mean and deviation folded in"
    norm = _norm_after(network, stem)
    if norm is None or f"{norm}.running_mean" not in weights:
        return "stem: sum over three colours with ImageNet's deviation folded in; no bias could take its mean"
    weights[f"{norm}.running_mean"] = weights[f"{norm}.running_mean"] - constant
    return "stem: sum over three colours with ImageNet's mean and deviation folded in"


def _norm_after(network: nn.Module, stem: str) -> str | None:
    """Return the name of the batch normalisation that follows the stem, by order of definition."""
    weighted = [
        (name, module) for name, module in network.named_modules() if next(module.parameters(False), None) is not None
    ]
    names = [name for name, _ in weighted]
    name, module = weighted[min(names.index(stem) + 1, len(names) - 1)]
    return name if isinstance(module, _BatchNorm) else None


def _fresh_modules(
    head: Sequence[str], names: Sequence[str], weights: Mapping[str, Tensor], different: Sequence[str]
) -> list[str]:
    """Return the modules of the head that stay fresh: one tensor is missing or has another shape."""
    unusable = {name for name in names if name not in weights} | set(different)
    return [module for module in head if any(in_modules(name, (module,)) for name in unusable)]


def _shape_error(
    wrong: Sequence[str], weights: Mapping[str, Tensor], state: Mapping[str, Tensor], where: Path
) -> RunError:
    pairs = [f"{name} {tuple(weights[name].shape)}, not {tuple(state[name].shape)}" for name in wrong[:_SHOWN]]
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    what = f"this file's weights have other shapes than the network's: {'; '.join(pairs)}{more}"
    return RunError(what, where=where, remedy="Set network.options to those that the weights were trained with")


def _first_names(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
