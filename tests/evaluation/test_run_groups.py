"""Runs are grouped by their configuration without seed, data and device; labels name the settings that differ."""

from __future__ import annotations

from typing import Any

from heart2heart.evaluation.run_groups import extended, group_runs
from heart2heart.schema.predictions import RunInfo
from tests.evaluation.factory import HOSPITALS, METHODS, make_predictions


def runs(seeds: tuple[int, ...] = (0, 1)) -> tuple[RunInfo, ...]:
    return make_predictions(seeds=seeds, hospitals=HOSPITALS[:1]).provenance.runs


def changed(run: RunInfo, name: str, seed: int = 0, **config: Any) -> RunInfo:
    return run.model_copy(update={"run": name, "seed": seed, "config": {**run.config, **config}})


def labels(*run_infos: RunInfo) -> list[str]:
    return [group.label for group in group_runs(run_infos)]


def test_group_runs_takes_seeds_together() -> None:
    assert [(group.label, group.runs) for group in group_runs(runs())] == [(METHODS[0], (0, 1)), (METHODS[1], (2, 3))]


def test_group_runs_ignores_seed_data_and_device() -> None:
    first = runs((0,))[0]
    other = changed(first, "b", 1, device="cuda", data={"split": "elsewhere"}).model_copy()
    other.config["seed"] = 1
    assert len(group_runs([first, other])) == 1


def test_group_runs_tells_learning_rates_apart() -> None:
    """Two settings of one method with a seed each were once reported as one method that was trained twice."""
    first = runs((0,))[1]
    other = changed(first, "b", 1, optimiser={"lr": 0.1})
    assert labels(first, other) == [f"{METHODS[1]} (optimiser.lr 0.03)", f"{METHODS[1]} (optimiser.lr 0.1)"]
    many = [changed(first, str(n), optimiser={"lr": 0.1, "a": n, "b": n, "c": n}) for n in range(2)]
    assert len(set(labels(*many))) == 2


def test_group_runs_names_the_network_where_it_differs() -> None:
    first = runs()[0]
    other = first.model_copy(update={"run": "b", "network": "densenet121"})
    assert labels(first, other) == ["labels only, wideresnet_canonical", "labels only, densenet121"]


def test_group_runs_separates_runs_of_the_same_seed() -> None:
    first = runs()[0]
    assert labels(first, changed(first, "again")) == ["labels only (ref-0)", "labels only (again)"]


def test_group_runs_gives_distinct_labels_when_settings_named_are_equal() -> None:
    first = runs((0,))[0]
    other = [changed(first, str(n), a=0, optimiser={"x": n // 2, "y": n % 2, "w": n, "v": n}) for n in range(4)]
    names = labels(*(changed(each, each.run, z=each.run) for each in other))
    assert len(set(names)) == 4


def test_extended_reads_facts_and_not_titles() -> None:
    first, candidate = runs((0,))
    plain = candidate.model_copy(
        update={"run": "plain", "method": "quite another title", "facts": candidate.facts.without_addition()}
    )
    other = first.model_copy(update={"run": "decoy", "method": "fixmatch"})
    groups = group_runs([first, other, plain, candidate])
    assert extended(groups) == {METHODS[1]: "quite another title"}
