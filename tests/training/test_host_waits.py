"""Inside a step the host never waits for the device."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.host_synchronisation import synchronisations
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.train_step import AugmentedBatch, Trainer

CPU = torch.device("cpu")
CASES = [(method, "fix_a_step") for method in ALGORITHMS if ALGORITHMS[method].views] + [
    ("fixmatch", rule) for rule in GRADIENT_RULES
]


@pytest.mark.parametrize(("method", "rule"), sorted(set(CASES)))
def test_step_turns_no_tensor_into_a_number(method: str, rule: str) -> None:
    assert not synchronisations(method, rule, CPU, steps=1)


def test_synchronisations_finds_a_step_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = Trainer.step

    def step(self: Trainer, batch: AugmentedBatch, step_index: int) -> dict[str, Tensor]:
        metrics = keep(self, batch, step_index)
        return metrics if metrics["loss_labeled"] > 0 and len(batch.pool_index[batch.pool_index > 3]) else {}

    monkeypatch.setattr(Trainer, "step", step)
    assert synchronisations("fixmatch", "fix_a_step", CPU, steps=2) == {
        "aten::_local_scalar_dense": 2,
        "aten::nonzero": 2,
    }
