"""Learning methods, a file each; plugins add others by the entry points `heart2heart.algorithms`."""

from __future__ import annotations

from inspect import isabstract
from typing import Any

from heart2heart.registry import Registry
from heart2heart.training.algorithms.atso import ATSO
from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, StepContext, ViewName
from heart2heart.training.algorithms.ds3l import DS3L
from heart2heart.training.algorithms.fixmatch import FixMatch
from heart2heart.training.algorithms.labels_only import LabelsOnly
from heart2heart.training.algorithms.mean_teacher import MeanTeacher
from heart2heart.training.algorithms.mixmatch import MixMatch
from heart2heart.training.algorithms.mtcf import MTCF
from heart2heart.training.algorithms.noisy_student import NoisyStudent
from heart2heart.training.algorithms.open_match import OpenMatch
from heart2heart.training.algorithms.pi_model import PiModel
from heart2heart.training.algorithms.pseudo_label import PseudoLabel
from heart2heart.training.algorithms.self_meta_pseudo_labels import SelfMetaPseudoLabels
from heart2heart.training.algorithms.temporal_ensembling import TemporalEnsembling
from heart2heart.training.algorithms.uasd import UASD
from heart2heart.training.algorithms.uda import UDA
from heart2heart.training.algorithms.vat import VAT

ALGORITHMS: Registry[type[Algorithm]] = Registry(
    "method",
    "heart2heart.algorithms",
    {
        "labels_only": LabelsOnly,
        "pi_model": PiModel,
        "temporal_ensembling": TemporalEnsembling,
        "pseudo_label": PseudoLabel,
        "mean_teacher": MeanTeacher,
        "vat": VAT,
        "mixmatch": MixMatch,
        "uda": UDA,
        "fixmatch": FixMatch,
        "noisy_student": NoisyStudent,
        "atso": ATSO,
        "self_meta_pseudo_labels": SelfMetaPseudoLabels,
        "uasd": UASD,
        "ds3l": DS3L,
        "openmatch": OpenMatch,
        "mtcf": MTCF,
    },
    "a subclass of heart2heart.training.algorithms.Algorithm with a title and unlabeled_loss",
    lambda part: (
        isinstance(part, type) and issubclass(part, Algorithm) and not isabstract(part) and hasattr(part, "title")
    ),
)
"""Every method that a configuration can name; `ALGORITHMS.register(name, cls)` adds one."""


def build_algorithm(name: str, params: dict[str, Any]) -> Algorithm:
    """Build a method by name.

    Raises:
        UnknownNameError: no such method; the message lists those that exist.
        PluginError: the plugin of this name cannot be used.
        ConfigError: a parameter that this method does not take; the message lists those that it takes.
    """
    return ALGORITHMS[name].parse(params, where="method.params")


__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "AlgorithmLoss",
    "FixMatch",
    "LabelsOnly",
    "StepContext",
    "ViewName",
    "build_algorithm",
]
