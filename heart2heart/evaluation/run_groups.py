"""Groups runs that differ only in their seed, and gives each group a distinct label."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from heart2heart.schema.predictions import MethodFacts, RunInfo

NOT_OF_THE_METHOD = (
    "seed", "data", "device", "trackers", "mlflow_file", "log_every", "checkpoint_every",
)  # fmt: skip
"""Keys of the configuration that may differ within a group, because they do not change the method."""

_MOST_SETTINGS = 3  # maximum number of settings in one label


@dataclass(frozen=True)
class RunGroup:
    """Runs of one configuration.

    Attributes:
        label: Title of the method, unique within an evaluation.
        runs: Positions of the runs in the provenance.
        names: Names of the runs.
        seeds: Seeds of the runs.
        facts: Components of the method.
    """

    label: str
    runs: tuple[int, ...]
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    facts: MethodFacts


def group_runs(runs: Sequence[RunInfo]) -> list[RunGroup]:
    """Group runs by the digest of their configuration without seed, data and device.

    If two runs of a group have the same seed, they differ in something that the configuration does not record. Each run
    of such a group then becomes its own group.
    """
    groups: dict[str, list[int]] = {}
    for position, run in enumerate(runs):
        groups.setdefault(configuration_digest(run), []).append(position)
    labels = _labels([runs[positions[0]] for positions in groups.values()])
    run_groups = []
    for label, positions in zip(labels, groups.values(), strict=True):
        if len({runs[position].seed for position in positions}) == len(positions):
            run_groups.append(_group(label, positions, runs))
        else:
            run_groups += [_group(f"{label} ({runs[position].run})", [position], runs) for position in positions]
    return run_groups


def configuration_digest(run: RunInfo) -> str:
    """Return the sha256 of a run's method, network and configuration, without the keys of `NOT_OF_THE_METHOD`."""
    config = {key: value for key, value in run.config.items() if key not in NOT_OF_THE_METHOD}
    text = json.dumps([run.method, run.network, run.facts.model_dump(), config], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def extended(groups: Sequence[RunGroup]) -> dict[str, str]:
    """Return, by label of an extended method, the label of its base method in the same evaluation.

    For example, `VAT + Fix-A-Step` extends `VAT`. If several groups ran the base method, the group with the most
    similar label is returned; the first in case of a tie.
    """
    base_labels = {}
    for group in groups:
        plain = [other for other in groups if group.facts.addition and other.facts == group.facts.without_addition()]
        if plain:
            base_labels[group.label] = max(plain, key=lambda other: _shared_words(other.label, group.label)).label
    return base_labels


def _shared_words(one: str, other: str) -> int:
    return len(set(one.split()) & set(other.split()))


def _group(label: str, positions: Sequence[int], runs: Sequence[RunInfo]) -> RunGroup:
    members = [runs[position] for position in positions]
    names, seeds = tuple(run.run for run in members), tuple(run.seed for run in members)
    return RunGroup(label, tuple(positions), names, seeds, members[0].facts)


def _labels(runs: Sequence[RunInfo]) -> list[str]:
    """Return distinct labels: the title; if titles are equal, also the network, then the settings that differ."""
    networks: dict[str, set[str]] = {}
    for run in runs:
        networks.setdefault(run.method, set()).add(run.network)
    labels = [run.method if len(networks[run.method]) == 1 else f"{run.method}, {run.network}" for run in runs]
    counts = Counter(labels)
    settings = [_leaves(run.config) for run in runs]
    distinct = []
    for label, run, config in zip(labels, runs, settings, strict=True):
        if counts[label] == 1:
            distinct.append(label)
            continue
        others = [each for other, each in zip(labels, settings, strict=True) if other == label]
        keys = sorted({key for each in others for key in each})
        differing = [key for key in keys if len({repr(each.get(key)) for each in others}) > 1]
        named = ", ".join(f"{key} {config.get(key)}" for key in differing[:_MOST_SETTINGS])
        distinct.append(f"{label} ({named or run.run})")
    repeated = Counter(distinct)
    return [
        label if repeated[label] == 1 else f"{label[:-1]}; {run.run})"
        for label, run in zip(distinct, runs, strict=True)
    ]


def _leaves(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the settings of a configuration by dotted key, without the keys of `NOT_OF_THE_METHOD`."""
    if not isinstance(config, dict) or not config:
        return {prefix: config} if prefix else {}
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if prefix or key not in NOT_OF_THE_METHOD:
            leaves |= _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    return leaves
