"""Learning methods, a file for each family; plugins add others by the entry points `heart2heart.algorithms`."""

from __future__ import annotations

from inspect import isabstract
from typing import Any

from heart2heart.registry import Registry
from heart2heart.training.algorithms.agreement import AgreementWeighting
from heart2heart.training.algorithms.base import Algorithm, AlgorithmLoss, LabelsOnly, StepContext, ViewName
from heart2heart.training.algorithms.consistency import VAT, MeanTeacher, PiModel, TemporalEnsembling
from heart2heart.training.algorithms.free_match import FreeMatch
from heart2heart.training.algorithms.io_match import IOMatch
from heart2heart.training.algorithms.meta_learning import DS3L, SelfMetaPseudoLabels
from heart2heart.training.algorithms.mixmatch import MixMatch
from heart2heart.training.algorithms.open_set import MTCF, OpenMatch
from heart2heart.training.algorithms.prototype_match import PrototypeMatch
from heart2heart.training.algorithms.remixmatch import ReMixMatch
from heart2heart.training.algorithms.sco_match import SCOMatch
from heart2heart.training.algorithms.self_training import ATSO, NoisyStudent, PseudoLabel
from heart2heart.training.algorithms.soft_match import SoftMatch
from heart2heart.training.algorithms.supervised import SupervisedMixup, SupervisedStrong
from heart2heart.training.algorithms.uasd import UASD
from heart2heart.training.algorithms.weak_to_strong import UDA, FixMatch

ALGORITHMS: Registry[type[Algorithm]] = Registry(
    "method",
    "heart2heart.algorithms",
    {
        "labels_only": LabelsOnly,
        "supervised_mixup": SupervisedMixup,
        "supervised_strong": SupervisedStrong,
        "pi_model": PiModel,
        "temporal_ensembling": TemporalEnsembling,
        "pseudo_label": PseudoLabel,
        "mean_teacher": MeanTeacher,
        "vat": VAT,
        "mixmatch": MixMatch,
        "remixmatch": ReMixMatch,
        "uda": UDA,
        "fixmatch": FixMatch,
        "freematch": FreeMatch,
        "softmatch": SoftMatch,
        "agreement_weighting": AgreementWeighting,
        "prototype_match": PrototypeMatch,
        "noisy_student": NoisyStudent,
        "atso": ATSO,
        "self_meta_pseudo_labels": SelfMetaPseudoLabels,
        "uasd": UASD,
        "ds3l": DS3L,
        "openmatch": OpenMatch,
        "mtcf": MTCF,
        "iomatch": IOMatch,
        "scomatch": SCOMatch,
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
