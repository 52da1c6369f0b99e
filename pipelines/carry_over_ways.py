"""The ways of training that the carry-over study compares, as overrides of one configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from heart2heart.errors import ConfigError, UnknownNameError
from pipelines.study_jobs import FORMER_DEFAULTS

BASE = tuple(f"{name}={json.dumps(value)}" for name, value in FORMER_DEFAULTS.items())
"""What every way changes one thing of: the defaults before this study."""

BUDGETS: Mapping[str, tuple[str, ...]] = {
    "lung": (
        "network={name: WideResNet, options: {depth: 10, widen: 1, norm_momentum: 0.05}}",
        "optimiser={name: sgd, lr: 0.03, weight_decay: 5.0e-4}",
        "batch={labeled: 16, unlabeled: 32, balance: view}",
        "ema=0.98", "steps=600", "evaluate_every=100", "checkpoint_every=600", "log_every=100",
        *BASE,
    ),
    "synthetic": (
        "network={name: WideResNet, options: {depth: 10, widen: 1, norm_momentum: 0.05}}",
        "optimiser={name: sgd, lr: 0.03, weight_decay: 5.0e-4}",
        "batch={labeled: 16, unlabeled: 32}",
        "ema=0.98", "steps=600", "evaluate_every=100", "checkpoint_every=600", "log_every=100",
        *BASE,
    ),
}  # fmt: skip
"""Network, batch and length of the runs of each kind of task."""

GEOMETRY = "depth, aspect, rotation, sector_angle, shift"
SCAN = "blur, sharpness, speckle, attenuation, time_gain, shadow, haze"
GREY = "gain, dynamic_range, black_level, gamma, brightness, contrast"
OUTSIDE = "background, overlay"


def _policy(*without: str, strength: float = 1.0) -> str:
    """Return an acoustic policy, without the operations that are named."""
    names = ", ".join(without).split(", ") if without else []
    return f"{{strength: {strength}, probabilities: {{" + ", ".join(f"{name}: 0" for name in names) + "}}"


def _labeled(policy: str, crop: float = 0.125) -> str:
    return f"augmentation.labeled={{crop: {crop}, acoustic: {policy}}}"


def _all_views(policy: str) -> tuple[str, ...]:
    strong = f"augmentation.strong={{draws: 2, cutout: 0.5, acoustic: {policy}}}"
    return (_labeled(policy), f"augmentation.weak={{acoustic: {policy}}}", strong)


_FULL, _HALF, _QUARTER = _policy(), _policy(strength=0.5), _policy(strength=0.25)
_SCAN = _policy(GEOMETRY, GREY, OUTSIDE)
_OUTSIDE = _policy(GEOMETRY, SCAN, GREY)
_LEVELS = _policy(GEOMETRY)
_FIXMATCH = "method={name: fixmatch, params: {threshold: 0.95}}"
_MIXING = "fix_a_step={mixing: true, gradient: fix_a_step, temperature: 0.5, alpha: 0.5}"
_LAST_CLEAN = ("selection=last", "batch_norm_record=clean")
_LONG = ("steps=2500", "evaluate_every=500", "checkpoint_every=2500", "ema=0.99")
_GROUP_NORM = "network.options={depth: 10, widen: 1, norm: group}"
_LITE = "network={{name: EfficientNetLite0, init: LITE0, init_input: imagenet{}}}"
_SONO = "network={{name: SonoNet16, init: SONONET{}}}"
_SLOW_ENCODER = ", encoder_lr: 0.1"

WEIGHTS = ("LITE0", "SONONET")
"""Placeholders for files of weights in a way's settings; `--weights LITE0=FILE` names the file."""

WAYS: Mapping[str, tuple[str, ...]] = {
    "weak": (),
    "geometry": (_labeled(_policy(SCAN, GREY, OUTSIDE)),),
    "geometry-no-crop": (_labeled(_policy(SCAN, GREY, OUTSIDE), crop=0),),
    "scan": (_labeled(_SCAN),),
    "grey": (_labeled(_policy(GEOMETRY, SCAN, OUTSIDE)),),
    "outside": (_labeled(_OUTSIDE),),
    "acoustic": (_labeled(_FULL),),
    "no-geometry": (_labeled(_LEVELS),),
    "no-scan": (_labeled(_policy(SCAN)),),
    "no-grey": (_labeled(_policy(GREY)),),
    "no-outside": (_labeled(_policy(OUTSIDE)),),
    "acoustic-half": (_labeled(_HALF),),
    "acoustic-quarter": (_labeled(_QUARTER),),
    "group-norm": (_GROUP_NORM,),
    "last": ("selection=last",),
    "perturbed": ("selection=perturbed",),
    "recorded": ("batch_norm_record=labeled",),
    "scan-half": (_labeled(_policy(GEOMETRY, GREY, OUTSIDE, strength=0.5)),),
    "scan-outside": (_labeled(_policy(GEOMETRY, GREY)),),
    "clean": ("batch_norm_record=clean",),
    "last-clean": _LAST_CLEAN,
    "outside-last-clean": (_labeled(_OUTSIDE), *_LAST_CLEAN),
    "outside-group-norm": (_labeled(_OUTSIDE), _GROUP_NORM),
    "outside-last": (_labeled(_OUTSIDE), "selection=last"),
    "outside-perturbed": (_labeled(_OUTSIDE), "selection=perturbed"),
    "outside-recorded": (_labeled(_OUTSIDE), "batch_norm_record=labeled"),
    "outside-clean": (_labeled(_OUTSIDE), "batch_norm_record=clean"),
    "no-geometry-clean": (_labeled(_LEVELS), "batch_norm_record=clean"),
    "imagenet": (_LITE.format(_SLOW_ENCODER),),
    "imagenet-outside": (_LITE.format(_SLOW_ENCODER), _labeled(_OUTSIDE)),
    "ultrasound": (_SONO.format(_SLOW_ENCODER),),
    "ultrasound-outside": (_SONO.format(_SLOW_ENCODER), _labeled(_OUTSIDE)),
    "ultrasound-last": (_SONO.format(_SLOW_ENCODER), "selection=last"),
    "ultrasound-last-clean": (_SONO.format(_SLOW_ENCODER), *_LAST_CLEAN),
    "ultrasound-outside-last": (_SONO.format(_SLOW_ENCODER), _labeled(_OUTSIDE), "selection=last"),
    "ultrasound-outside-last-clean": (_SONO.format(_SLOW_ENCODER), _labeled(_OUTSIDE), *_LAST_CLEAN),
    "fixmatch": (_FIXMATCH,),
    "fixmatch-no-geometry": (_FIXMATCH, _labeled(_LEVELS)),
    "fixmatch-no-geometry-all": (_FIXMATCH, *_all_views(_LEVELS)),
    "fix_a_step": (_FIXMATCH, _MIXING),
    "fix_a_step-separate": (_FIXMATCH, _MIXING, "batch_norm=separate"),
    "fix_a_step-no-geometry": (_FIXMATCH, _MIXING, _labeled(_LEVELS)),
    "fix_a_step-no-geometry-all": (_FIXMATCH, _MIXING, *_all_views(_LEVELS)),
    "labels-long": (_labeled(_LEVELS), *_LAST_CLEAN, *_LONG),
    "fixmatch-long": (_FIXMATCH, _labeled(_LEVELS), *_LAST_CLEAN, *_LONG),
    "fix_a_step-long": (_FIXMATCH.replace("0.95", "0.8"), _MIXING, _labeled(_LEVELS), *_LAST_CLEAN, *_LONG),
}  # fmt: skip
"""Way -> overrides. `acoustic` is the acoustic policy on labeled frames alone, the names of its parts (`geometry`,
`scan`, `grey`, `outside`) one part alone, `no-` all but one part; `-all` is on every view. `-long` are
runs of 2,500 steps without geometry; Fix-A-Step takes guesses from 0.8 on there, since mixed labels make it unsure."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "augmentation": (
        "weak", "geometry", "geometry-no-crop", "scan", "grey", "outside", "acoustic", "no-geometry", "no-scan",
        "no-grey", "no-outside", "acoustic-half", "acoustic-quarter", "scan-half", "scan-outside",
    ),
    "statistics": (
        "weak", "group-norm", "last", "perturbed", "recorded", "clean", "outside", "outside-group-norm", "outside-last",
        "outside-perturbed", "outside-recorded", "outside-clean", "no-geometry", "no-geometry-clean",
    ),
    "long": ("labels-long", "fixmatch-long", "fix_a_step-long"),
    "initialisation": ("weak", "outside", "imagenet", "imagenet-outside", "ultrasound", "ultrasound-outside"),
    "methods": (
        "weak", "no-geometry", "fixmatch", "fixmatch-no-geometry", "fixmatch-no-geometry-all", "fix_a_step",
        "fix_a_step-separate", "fix_a_step-no-geometry", "fix_a_step-no-geometry-all",
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


def with_weights(settings: Sequence[str], weights: Mapping[str, Path]) -> tuple[str, ...]:
    """Return settings with the file of weights in place of each placeholder.

    Raises:
        ConfigError: a placeholder without a file.
    """
    named = []
    for setting in settings:
        for name in WEIGHTS:
            if f"init: {name}" in setting:
                if name not in weights:
                    raise ConfigError(f"a way begins from the weights {name}", remedy=f"Name --weights {name}=FILE")
                setting = setting.replace(f"init: {name}", f"init: {json.dumps(str(weights[name]))}")
        named.append(setting)
    return tuple(named)


def parse_weights(texts: Sequence[str]) -> dict[str, Path]:
    """Return placeholder -> file of texts such as `LITE0=FILE`.

    Raises:
        ConfigError: no such placeholder, or no such file.
    """
    weights = {}
    for text in texts:
        name, _, file = text.partition("=")
        if name not in WEIGHTS:
            raise ConfigError(f"no weights are called {name!r}", remedy=f"Name {' or '.join(WEIGHTS)}, as NAME=FILE")
        if not Path(file).is_file():
            raise ConfigError("no file of weights here", where=file, remedy=f"Name a file: --weights {name}=FILE")
        weights[name] = Path(file).resolve()
    return weights
