"""Groups the runs that share a configuration and differ only in their seed, and labels each group distinctly."""

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
"""Keys of a run's configuration that may differ within a group: they do not change what is trained."""

_MOST_SETTINGS = 3  # settings named in one label


@dataclass(frozen=True)
class RunGroup:
    """Runs of one configuration.

    Attributes:
        label: Title for readers; no two groups of one evaluation share it.
        runs: Positions of its runs.
        names: Their names.
        seeds: Their seeds.
        facts: The method that they ran.
    """

    label: str
    runs: tuple[int, ...]
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    facts: MethodFacts


def group_runs(runs: Sequence[RunInfo]) -> list[RunGroup]:
    """Group runs by the digest of their configuration without seed, data and device.

    If a seed occurs twice in a group, something that the configuration does not record differs: each of its runs then
    forms a group of its own.
    """
    groups: dict[str, list[int]] = {}
    for position, run in enumerate(runs):
        groups.setdefault(configuration_digest(run), []).append(position)
    labels = _labels([runs[positions[0]] for positions in groups.values()])
    made = []
    for label, positions in zip(labels, groups.values(), strict=True):
        if len({runs[position].seed for position in positions}) == len(positions):
            made.append(_group(label, positions, runs))
        else:
            made += [_group(f"{label} ({runs[position].run})", [position], runs) for position in positions]
    return made


def configuration_digest(run: RunInfo) -> str:
    """Return the sha256 of a run's method, network and configuration, without the keys of `NOT_OF_THE_METHOD`."""
    config = {key: value for key, value in run.config.items() if key not in NOT_OF_THE_METHOD}
    text = json.dumps([run.method, run.network, run.facts.model_dump(), config], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def extended(groups: Sequence[RunGroup]) -> dict[str, str]:
    """Return by label of a group the label of the group that ran the same base method without any addition.

    Where several groups ran the base method, the one whose settings are closest is taken; the first of equals.
    """
    found = {}
    for group in groups:
        plain = [other for other in groups if group.facts.addition and other.facts == group.facts.without_addition()]
        if plain:
            found[group.label] = max(plain, key=lambda other: _shared_words(other.label, group.label)).label
    return found


def _shared_words(one: str, other: str) -> int:
    return len(set(one.split()) & set(other.split()))


def _group(label: str, positions: Sequence[int], runs: Sequence[RunInfo]) -> RunGroup:
    members = [runs[position] for position in positions]
    names, seeds = tuple(run.run for run in members), tuple(run.seed for run in members)
    return RunGroup(label, tuple(positions), names, seeds, members[0].facts)


def _labels(runs: Sequence[RunInfo]) -> list[str]:
    """Return distinct labels: the title, then the network, then the settings that differ between equal titles."""
    networks: dict[str, set[str]] = {}
    for run in runs:
        networks.setdefault(run.method, set()).add(run.network)
    labels = [run.method if len(networks[run.method]) == 1 else f"{run.method}, {run.network}" for run in runs]
    counts = Counter(labels)
    settings = [_leaves(run.config) for run in runs]
    distinct = []
    for label, run, mine in zip(labels, runs, settings, strict=True):
        if counts[label] == 1:
            distinct.append(label)
            continue
        others = [each for other, each in zip(labels, settings, strict=True) if other == label]
        keys = sorted({key for each in others for key in each})
        differing = [key for key in keys if len({repr(each.get(key)) for each in others}) > 1]
        named = ", ".join(f"{key} {mine.get(key)}" for key in differing[:_MOST_SETTINGS])
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
    found: dict[str, Any] = {}
    for key, value in config.items():
        if prefix or key not in NOT_OF_THE_METHOD:
            found |= _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    return found
