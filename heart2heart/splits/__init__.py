"""Splits: propose by patient and hospital, freeze, and certify as free of leakage."""

from heart2heart.splits.certificate import Certificate
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import ROLES, Selection, SplitManifest
from heart2heart.splits.official import freeze_official
from heart2heart.splits.propose import propose, propose_folds, propose_leave_one_out
from heart2heart.splits.settings import SplitSettings

__all__ = [
    "ROLES",
    "Certificate",
    "Selection",
    "SplitManifest",
    "SplitSettings",
    "certify",
    "freeze_official",
    "propose",
    "propose_folds",
    "propose_leave_one_out",
]
