"""Augmentation: ONE policy as data, two drivers (batched tensors on the device; albumentations per sample)."""

from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import DRIVERS, augment
from heart2heart.training.augment.extra import ExtraPipeline, check_pipeline, read_pipeline
from heart2heart.training.augment.policy import STRONG, WEAK, AugmentationParameters, Operation, Policy, draw_parameters

__all__ = [
    "DRIVERS",
    "STRONG",
    "WEAK",
    "AugmentationParameters",
    "ExtraPipeline",
    "Operation",
    "Policy",
    "augment",
    "check_pipeline",
    "draw_parameters",
    "normalise",
    "read_pipeline",
]
