"""What `scope.json` beside a model holds: which clips the model answers, with thresholds frozen before they are used.

The arrays that the scores compare with are in `scope.npz` beside it, without pickle; the record holds their hash.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from heart2heart.config import Config
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag
from heart2heart.utils import sha256_json

SCOPE_SCHEMA_VERSION = 2
SCOPE_FOLDER = "scope"
"""Folder beside the model with both files."""
SCOPE_FILE = "scope.json"
SCOPE_ARRAYS = "scope.npz"
REFUSED_FLAGS = (ClipFlag.NO_SECTOR, ClipFlag.NOT_A_HEART_PRESET, ClipFlag.TEXT_QUARANTINED)
"""Flags of clips that no model answers by default."""


REJECT_CLASS = "OTHER"
"""Class of a network that was trained to tell other views from its own; it is never answered."""


def answered_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes that are answers: all but `REJECT_CLASS`.

    Examples:
        >>> answered_classes(("PLAX", "OTHER", "A4C"))
        ('PLAX', 'A4C')
    """
    return tuple(name for name in classes if name != REJECT_CLASS)


class ScopeScoreName(StrEnum):
    """How unlike a clip is to those that the model knows; a larger score is less alike."""

    MAX_SOFTMAX = "max_softmax"
    """1 less the largest probability: the baseline (Hendrycks and Gimpel, ICLR 2017)."""
    ENERGY = "energy"
    """Negative logarithm of the sum of the exponentials of the logits (Liu et al., NeurIPS 2020)."""
    MAHALANOBIS = "mahalanobis"
    """Mahalanobis distance of the features to the nearest class mean (Lee et al., NeurIPS 2018)."""
    KNN = "knn"
    """Distance of the normalised features to the k-th nearest reference clip (Sun et al., ICML 2022)."""
    OTHER_VIEWS = "other_views"
    """Log odds of another view by linear discriminant analysis, fitted with clips that are labeled with other views."""
    JOINT = "joint"
    """The larger of `other_views` and the logarithm of `mahalanobis`, each centred and scaled by the patients that set
    the thresholds: the one knows other views, the other what is far from all of them."""


LOGIT_SCORES = (ScopeScoreName.MAX_SOFTMAX, ScopeScoreName.ENERGY)
"""Scores that need no features: those of exported models."""
OTHER_VIEW_SCORES = (ScopeScoreName.OTHER_VIEWS, ScopeScoreName.JOINT)
"""Scores that need clips labeled with other views."""


class ScopeSettings(Config):
    """How to fit the scope of a model."""

    score: ScopeScoreName | None = None
    """The score that decides; null: `joint` with enough clips labeled with other views, else `mahalanobis`."""
    logit_score: ScopeScoreName = ScopeScoreName.ENERGY
    """The score that decides for a model without features, such as an exported one: `max_softmax` or `energy`."""
    keep: float = Field(0.95, gt=0, lt=1)
    """Share of the clips in scope whose score is to be answered; every patient counts once."""
    coverage: float = Field(0.9, gt=0, lt=1)
    """Share of the sets that are to hold the true view; every patient counts once."""
    neighbours: int = Field(5, ge=1)
    """Number k of the score `knn`."""
    refused_flags: tuple[ClipFlag, ...] = REFUSED_FLAGS
    """Flags of clips that are not answered."""

    @model_validator(mode="after")
    def _logits_suffice(self) -> Self:
        if self.logit_score not in LOGIT_SCORES:
            raise ValueError(f"{self.logit_score} needs features; choose {' or '.join(LOGIT_SCORES)}")
        return self


class ScopeRecord(Config):
    """The scope of one model."""

    schema_version: int = SCOPE_SCHEMA_VERSION
    """Version of this layout."""
    weights_sha256: str
    """Hash of the file with the weights of the model that the scope was fitted for."""
    classes: tuple[str, ...]
    """Names of the classes that are answers, in the order of the logits; see `answered_classes`."""
    modes: tuple[ClipMode, ...]
    """Modes of clips that are answered."""
    settings: ScopeSettings
    """How the scope was fitted."""
    thresholds: dict[ScopeScoreName, float]
    """Largest score of each kind that is answered."""
    set_threshold: float | None
    """Largest 1 less the probability of a view in a set; null: too few patients, so no sets are made."""
    patients: int
    """Labeled patients that set the thresholds."""
    clips: int
    """Their clips of a class of the model."""
    reference_clips: int
    """Clips of the views of the model that features are compared with."""
    other_clips: int = 0
    """Clips labeled with other views that fitted `other_views`."""
    scales: dict[ScopeScoreName, tuple[float, float]] = Field(default_factory=dict)
    """Median of each part of `joint`, and its distance to the 95th percentile, at the source."""
    foreign_clips: int = 0
    """Clips of other views of the patients that set the thresholds; they fitted nothing."""
    foreign_answered: int = 0
    """How many of them the score that decides would let pass."""
    site: str | None = None
    """Hospital at which the thresholds were set again; null: they are those of the source."""
    shift_clips: int = 0
    """Unlabeled clips of that hospital whose mean and spread moved the features to those of the source."""
    notes: tuple[str, ...] = ()
    """Remarks for a reader, such as that patients are too few for the shares asked for."""
    arrays_sha256: str
    """Hash of `scope.npz`."""

    def digest(self) -> str:
        """Return the hash of the record, and so of the arrays too."""
        return sha256_json(self.model_dump(mode="json"))
