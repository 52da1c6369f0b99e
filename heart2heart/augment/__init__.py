"""Augmentation: ONE policy as data, two drivers (batched tensors on the device; albumentations per sample)."""

from heart2heart.augment.drivers import DRIVERS, augment
from heart2heart.augment.extra import ExtraPipeline, check_pipeline, read_pipeline
from heart2heart.augment.policy import STRONG, WEAK, Operation, Policy
from heart2heart.augment.sample import Parameters, sample
from heart2heart.augment.tensors import normalise

__all__ = [
    "DRIVERS",
    "STRONG",
    "WEAK",
    "ExtraPipeline",
    "Operation",
    "Parameters",
    "Policy",
    "augment",
    "check_pipeline",
    "normalise",
    "read_pipeline",
    "sample",
]
