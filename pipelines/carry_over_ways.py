"""The ways of training that the carry-over study compares, as overrides of one configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from heart2heart.errors import UnknownNameError

BUDGETS: Mapping[str, tuple[str, ...]] = {
    "lung": (
        "network={name: WideResNet, options: {depth: 10, widen: 1, norm_momentum: 0.05}}",
        "optimiser={name: sgd, lr: 0.03, weight_decay: 5.0e-4}",
        "batch={labeled: 16, unlabeled: 32, balance: view}",
        "ema=0.98", "steps=600", "evaluate_every=100", "checkpoint_every=600", "log_every=100",
    ),
    "synthetic": (
        "network={name: WideResNet, options: {depth: 10, widen: 1, norm_momentum: 0.05}}",
        "optimiser={name: sgd, lr: 0.03, weight_decay: 5.0e-4}",
        "batch={labeled: 16, unlabeled: 32}",
        "ema=0.98", "steps=1200", "evaluate_every=200", "checkpoint_every=1200", "log_every=200",
    ),
}  # fmt: skip
"""Network, batch and length of the runs of each kind of task."""

_GEOMETRY = "depth, aspect, rotation, sector_angle, shift"
_LEVELS = (
    "blur, sharpness, speckle, attenuation, time_gain, shadow, haze, gain, dynamic_range, black_level, gamma, "
    "brightness, contrast, background, overlay"
)


def _without(names: str) -> str:
    return "{probabilities: {" + ", ".join(f"{name}: 0" for name in names.split(", ")) + "}}"


_ON_LABELED = "augmentation.labeled={acoustic: {}}"
_ON_ALL = (_ON_LABELED, "augmentation.weak={acoustic: {}}",
           "augmentation.strong={draws: 2, cutout: 0.5, acoustic: {}}")  # fmt: skip
_FIXMATCH = "method={name: fixmatch, params: {threshold: 0.95}}"
_MIXING = "fix_a_step={mixing: true, gradient: fix_a_step, temperature: 0.5, alpha: 0.5}"
_SELECTION = ("selection=perturbed", "batch_norm_record=labeled")

WAYS: Mapping[str, tuple[str, ...]] = {
    "weak": (),
    "geometry": (f"augmentation.labeled={{acoustic: {_without(_LEVELS)}}}",),
    "levels": (f"augmentation.labeled={{acoustic: {_without(_GEOMETRY)}}}",),
    "acoustic": (_ON_LABELED,),
    "acoustic-half": ("augmentation.labeled={acoustic: {strength: 0.5}}",),
    "acoustic-last": (_ON_LABELED, "selection=last"),
    "acoustic-recorded": (_ON_LABELED, "batch_norm_record=labeled"),
    "acoustic-perturbed": (_ON_LABELED, "selection=perturbed"),
    "acoustic-recorded-perturbed": (_ON_LABELED, *_SELECTION),
    "fixmatch": (_FIXMATCH,),
    "fixmatch-labeled": (_FIXMATCH, _ON_LABELED, *_SELECTION),
    "fixmatch-labeled-strong": (_FIXMATCH, _ON_LABELED, _ON_ALL[2], *_SELECTION),
    "fixmatch-all": (_FIXMATCH, *_ON_ALL, *_SELECTION),
    "fix_a_step": (_FIXMATCH, _MIXING),
    "fix_a_step-all": (_FIXMATCH, _MIXING, *_ON_ALL, *_SELECTION),
}  # fmt: skip
"""Way -> overrides. `acoustic` is the acoustic policy on labeled frames alone; `-all` on every view."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "augmentation": ("weak", "geometry", "levels", "acoustic", "acoustic-half"),
    "statistics": (
        "acoustic", "acoustic-last", "acoustic-recorded", "acoustic-perturbed", "acoustic-recorded-perturbed",
    ),
    "methods": (
        "weak", "acoustic-recorded-perturbed", "fixmatch", "fixmatch-labeled", "fixmatch-labeled-strong",
        "fixmatch-all", "fix_a_step", "fix_a_step-all",
    ),
}  # fmt: skip


def resolve_ways(names: Sequence[str]) -> list[str]:
    """Return the ways that names of ways and of groups stand for, each once; no name stands for every way.

    Raises:
        UnknownNameError: neither a way nor a group.
    """
    ways: dict[str, None] = {}
    for name in names or tuple(WAYS):
        if name not in WAYS and name not in GROUPS:
            raise UnknownNameError.among("way", name, [*WAYS, *GROUPS])
        ways |= dict.fromkeys(GROUPS.get(name, (name,)))
    return list(ways)
