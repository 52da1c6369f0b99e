"""Augmentation: ONE policy as data, two drivers (batched tensors on the device; albumentations per sample)."""

from heart2heart.training.augment.acoustic import ACOUSTIC_OPERATIONS, AcousticPolicy
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import DRIVERS, augment
from heart2heart.training.augment.extra import ExtraPipeline, check_pipeline, read_pipeline
from heart2heart.training.augment.perturbation import PERTURBATIONS, Perturbation, perturb
from heart2heart.training.augment.policy import STRONG, WEAK, AugmentationParameters, Operation, Policy, draw_parameters

__all__ = [
    "ACOUSTIC_OPERATIONS",
    "DRIVERS",
    "PERTURBATIONS",
    "STRONG",
    "WEAK",
    "AcousticPolicy",
    "AugmentationParameters",
    "ExtraPipeline",
    "Operation",
    "Perturbation",
    "Policy",
    "augment",
    "check_pipeline",
    "draw_parameters",
    "normalise",
    "perturb",
    "read_pipeline",
]
