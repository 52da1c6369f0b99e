"""The check of a learning method: every packaged method passes, and each fault is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from heart2heart.testing import algorithm_checks, check_algorithm
from heart2heart.testing.algorithm_checks import check_processes, check_threads, check_unlabeled_loss
from heart2heart.training.algorithms import ALGORITHMS, Algorithm, AlgorithmLoss, FixMatch, StepContext, ViewName

OWN_TESTS = {"mixmatch", "temporal_ensembling", "noisy_student", "atso", "uasd"}
"""Methods that mix the batch of all processes, or need a filled memory: their own tests check them."""
STEPS: dict[str, dict[str, Any]] = {"mtcf": {"step": 20}}
PARAMS: dict[str, dict[str, Any]] = {
    "iomatch": {"threshold": 0.0, "open_threshold": 0.0, "warmup": 0.0},
    "prototype_match": {"threshold": 0.0, "threshold_rule": "fixed", "trust": "none"},
}
"""Settings by which frames count for an untrained network."""


class Agreement(Algorithm):
    """A method of a plugin, in ten lines: two views agree."""

    title: ClassVar[str] = "agreement"
    views: ClassVar[tuple[ViewName, ...]] = ("weak", "weak")
    fault: str = ""

    def unlabeled_loss(self, step: StepContext) -> AlgorithmLoss:
        first, second = (step.model(view).softmax(1) for view in step.unlabeled)
        each = (first.detach() - second).square().mean(1)
        if self.fault == "gradient":
            each = (first - second).square().mean(1)
        if self.fault == "processes":
            each = each * step.unlabeled[0].abs().max()
        metrics = {"agreement": each.mean() if self.fault == "metric" else each.detach().mean()}
        return AlgorithmLoss(each.mean(), metrics, 2 * each if self.fault == "mean" else each)


def formula(network: nn.Module, step: StepContext) -> Tensor:
    first, second = (network(view).softmax(1) for view in step.unlabeled)
    loss: Tensor = (first.detach() - second).square().mean()
    return loss


def test_check_algorithm_passes_a_method_of_a_plugin(tmp_path: Path) -> None:
    settings = {"unlabeled_weight": {"value": 10.0, "ramp": 20}}
    check_algorithm(Agreement(), tmp_path, reference=formula, learns_above=0.6, settings=settings)
    assert "checked_Agreement" not in ALGORITHMS


def test_check_algorithm_names_a_method_that_does_not_learn(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"balanced accuracy after 40 steps is [01]\.\d\d, not above 1"):
        check_algorithm(Agreement(), tmp_path, learns_above=1.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("gradient", "the gradient of the unlabeled loss"),
        ("metric", "the metric agreement carries a gradient"),
        ("mean", "per_sample_loss has another mean"),
    ],
)
def test_check_unlabeled_loss_finds_faults(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_unlabeled_loss(Agreement(fault=fault), formula)


def test_check_unlabeled_loss_compares_with_the_formula() -> None:
    with pytest.raises(AssertionError, match="the unlabeled loss: "):
        check_unlabeled_loss(FixMatch(threshold=0.4), formula)


def test_check_threads_finds_what_depends_on_the_rows_of_one() -> None:
    with pytest.raises(AssertionError, match="three threads have another gradient"):
        check_threads(Agreement(fault="processes"))


def test_check_processes_finds_what_depends_on_the_rows_of_one(tmp_path: Path) -> None:
    check_processes(Agreement(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AssertionError, match="three processes have another gradient"):
        check_processes(Agreement(fault="processes"), tmp_path)


def test_check_processes_names_how_a_process_ended(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"did not finish the step: .*exit code 1"):
        check_processes(Agreement(fault="metric"), tmp_path)


def test_check_algorithm_takes_a_class_that_no_process_can_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Agreement, "__module__", "__main__")
    monkeypatch.setattr(algorithm_checks, "check_processes", None)
    settings = {"unlabeled_weight": {"value": 10.0, "ramp": 20}}
    check_algorithm(Agreement(), tmp_path, settings=settings)
    assert (tmp_path / "whole").is_dir()


@pytest.mark.parametrize("name", [name for name, kind in ALGORITHMS.items() if kind.views and name not in OWN_TESTS])
def test_check_unlabeled_loss_and_check_threads_pass_packaged_methods(name: str) -> None:
    algorithm = ALGORITHMS[name].parse(PARAMS.get(name, {}), where=name)
    with torch.random.fork_rng():
        check_unlabeled_loss(algorithm, None, **STEPS.get(name, {}))
        check_threads(algorithm, **STEPS.get(name, {}))
