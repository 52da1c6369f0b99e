"""Splits by patient and hospital: proposed, frozen, hashed and certified against leakage."""

from heart2heart.schema.enums import SplitRole
from heart2heart.schema.split import Certificate, SplitSettings
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SelectedFrames, SplitManifest
from heart2heart.splits.official import freeze_official
from heart2heart.splits.propose import propose, propose_folds, propose_leave_one_out

__all__ = [
    "Certificate",
    "SelectedFrames",
    "SplitManifest",
    "SplitRole",
    "SplitSettings",
    "certify",
    "freeze_official",
    "propose",
    "propose_folds",
    "propose_leave_one_out",
]
