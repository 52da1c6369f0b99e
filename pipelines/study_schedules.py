"""How each method's unlabeled weight, optimiser and rate run over a study, as shares of the run, with their source.

A method that was published with a ramp over 419,430 of 1,048,576 steps has here the same share of a short run. What a
method schedules inside itself (stages of Noisy Student and ATSO, memories) follows the length of the run already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SGD: Mapping[str, Any] = {"name": "sgd", "lr": 0.03, "weight_decay": 5e-4}
ADAM: Mapping[str, Any] = {"name": "adam", "lr": 0.002, "weight_decay": 4e-5}


@dataclass(frozen=True)
class MethodSchedule:
    """The schedule of one method.

    Attributes:
        source: Where it is from.
        weight: Weight of the unlabeled loss.
        ramp: Share of the run over which the weight rises linearly from 0.
        optimiser: Optimiser, rate and weight decay.
        rate: Schedule of the rate over the whole run.
    """

    source: str
    weight: float = 1.0
    ramp: float = 0.0
    optimiser: Mapping[str, Any] = field(default_factory=lambda: SGD)
    rate: str = "cosine"

    def settings(self, steps: int) -> dict[str, Any]:
        """Return the settings of a run of `steps` steps, as a configuration names them.

        Examples:
            >>> SCHEDULES["mean_teacher"].settings(1000)["unlabeled_weight"]
            {'value': 50.0, 'ramp': 400}
        """
        return {
            "unlabeled_weight": {"value": self.weight, "ramp": round(self.ramp * steps)},
            "optimiser": dict(self.optimiser),
            "schedule": {"name": self.rate},
        }


_FIXMATCH = "as FixMatch: SGD .03, decay 5e-4, cosine, weight 1 without ramp"
_TABLE = "Fix-A-Step (Huang et al., AISTATS 2023), CIFAR table: ramp over 419,430 of 1,048,576 steps"
_RAMP = 0.4

SCHEDULES: Mapping[str, MethodSchedule] = {
    "labels_only": MethodSchedule("as FixMatch, so that only the pool differs; the table has SGD .003, decay 2e-3"),
    "supervised_mixup": MethodSchedule("as labels only"),
    "supervised_strong": MethodSchedule("as labels only"),
    "pi_model": MethodSchedule(_TABLE, weight=10.0, ramp=_RAMP),
    "temporal_ensembling": MethodSchedule("as the Pi-model", weight=10.0, ramp=_RAMP),
    "mean_teacher": MethodSchedule(_TABLE, weight=50.0, ramp=_RAMP),
    "pseudo_label": MethodSchedule(_TABLE, ramp=_RAMP),
    "vat": MethodSchedule(_TABLE, weight=0.3, ramp=_RAMP, optimiser=ADAM, rate="fixed"),
    "mixmatch": MethodSchedule(_TABLE, weight=75.0, ramp=_RAMP, optimiser=ADAM, rate="fixed"),
    "remixmatch": MethodSchedule(
        "ReMixMatch (Berthelot et al., ICLR 2020): Adam .002 at a fixed rate, with the decay of MixMatch here; the "
        "method holds its three weights; the authors' code ramps over 1,024 of 65,536 thousand frames",
        ramp=1 / 64,
        optimiser=ADAM,
        rate="fixed",
    ),
    "freematch": MethodSchedule(f"FreeMatch (Wang et al., ICLR 2023): {_FIXMATCH}"),
    "softmatch": MethodSchedule(f"SoftMatch (Chen et al., ICLR 2023): {_FIXMATCH}"),
    "prototype_match": MethodSchedule(f"our own: {_FIXMATCH}"),
    "uda": MethodSchedule(f"UDA (Xie et al., NeurIPS 2020): {_FIXMATCH}"),
    "openmatch": MethodSchedule(f"OpenMatch (Saito et al., NeurIPS 2021): {_FIXMATCH}; it warms up inside"),
    "iomatch": MethodSchedule(f"IOMatch (Li et al., ICCV 2023): {_FIXMATCH}; it warms up inside"),
    "scomatch": MethodSchedule(f"SCOMatch (Wang et al., ECCV 2024): {_FIXMATCH}; it warms up inside"),
    "fixmatch": MethodSchedule("FixMatch (Sohn et al., NeurIPS 2020): no ramp; the same in the table of Fix-A-Step"),
}
"""Method -> schedule."""

DEFAULT = MethodSchedule("as FixMatch: the paper's own schedule is not in this table")
"""The schedule of every other method."""


def schedule_of(method: str) -> MethodSchedule:
    """Return the schedule of a method."""
    return SCHEDULES.get(method, DEFAULT)
