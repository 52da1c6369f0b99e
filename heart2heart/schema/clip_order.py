"""The clips of studies in their order: one row a clip, the best clip of each view with rank 1.

The table is CSV. It holds no identity: a study is a number, or the pseudonym of a store, and a clip is named as in the
file of answers.
"""

from __future__ import annotations

from pydantic import Field

from heart2heart.config import Config

SCORE_WEIGHTS: dict[str, float] = {
    "confidence": 2.0, "sector": 1.0, "exposure": 1.0, "contrast": 0.5, "sharpness": 2.0, "detail": 2.0, "length": 1.0,
    "flags": 1.0, "labeled": 4.0,
}  # fmt: skip
"""Weight of each part in the score, which is their weighted geometric mean times 100."""


class ScoreParts(Config):
    """The parts of the score of a clip, each 0 to 1; null: not known, and left out of the mean."""

    confidence: float = Field(ge=0, le=1)
    """Probability of the view."""
    sector: float | None = Field(None, ge=0, le=1)
    """Share of the scan that is neither black nor saturated."""
    exposure: float | None = Field(None, ge=0, le=1)
    """1 where the median gray of the scan is 40 to 90, less where it is darker or brighter."""
    contrast: float | None = Field(None, ge=0, le=1)
    """Spread of gray in the scan."""
    sharpness: float | None = Field(None, ge=0, le=1)
    """Mean gradient in the scan over the spread of gray."""
    detail: float | None = Field(None, ge=0, le=1)
    """Fine detail in the scan over its mean gray."""
    length: float = Field(ge=0, le=1)
    """Frames over 24, at most 1: a clip should hold a heartbeat."""
    flags: float = Field(ge=0, le=1)
    """1, halved for each flag that tells of a damaged file or of text in the scan."""
    labeled: float | None = Field(None, ge=0, le=1)
    """Image quality by readers: good 1, fair 0.6, poor 0.2, unusable 0; the mean of several."""


class RankedClip(Config):
    """One clip of a study."""

    study: str
    """Number of the study, or its pseudonym in the store."""
    view: str
    """The view; empty: the model gives not one view."""
    rank: int | None = Field(None, ge=1)
    """Rank among the clips of this view in this study, 1 the best; null: no view."""
    score: float | None = Field(None, ge=0, le=100)
    """The score; null: no view."""
    file: str
    """Name of the clip in the file of answers."""
    sentence: str
    """The answer in words."""
    parts: ScoreParts | None = None
    """What the score consists of; null: no view."""
