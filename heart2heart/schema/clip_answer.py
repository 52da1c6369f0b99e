"""The answer of a model for one clip: a view, a set of views, no answer with its reason, or a failed file.

One answer is one line of JSON. It holds no identity: the file is named relative to the folder that was searched.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag, StatusCode

ANSWER_SCHEMA_VERSION = 1
MODEL_OBSERVER_PREFIX = "heart2heart model "
"""Start of the Device Observer Name in reports of a model's answers; the model's name follows."""


class AnswerStatus(StrEnum):
    """What a model gave for a clip."""

    ANSWERED = "answered"
    """One view."""
    SET = "set"
    """Several views, one of which is the true one with the coverage that was asked for."""
    NOT_ANSWERED = "not_answered"
    """Nothing: the clip is outside the scope of the model, or too many views are possible."""
    FAILED = "failed"
    """Nothing: the file gives no frames."""


class AnswerReason(StrEnum):
    """Why there is not one view."""

    MODE_SPECTRAL = "mode_spectral"
    MODE_M = "mode_m"
    MODE_COLOUR = "mode_colour"
    MODE_TISSUE_DOPPLER = "mode_tissue_doppler"
    MODE_OTHER = "mode_other"
    FLAG_NO_SECTOR = "flag_no_sector"
    FLAG_ORGAN = "flag_organ"
    FLAG_TEXT = "flag_text"
    OUT_OF_SCOPE = "out_of_scope"
    AMBIGUOUS = "ambiguous"
    ERROR = "error"

    @property
    def words(self) -> str:
        """The reason for a reader, such as `spectral Doppler`."""
        return _WORDS[self]


_WORDS = {
    AnswerReason.MODE_SPECTRAL: "spectral Doppler",
    AnswerReason.MODE_M: "M-mode",
    AnswerReason.MODE_COLOUR: "colour Doppler",
    AnswerReason.MODE_TISSUE_DOPPLER: "tissue Doppler",
    AnswerReason.MODE_OTHER: "neither a two-dimensional picture nor a known mode",
    AnswerReason.FLAG_NO_SECTOR: "no sector found",
    AnswerReason.FLAG_ORGAN: "the file names another organ",
    AnswerReason.FLAG_TEXT: "text hides part of the scan",
    AnswerReason.OUT_OF_SCOPE: "unlike the clips that the model knows",
    AnswerReason.AMBIGUOUS: "several views are possible",
    AnswerReason.ERROR: "the file gives no frames",
}

MODE_REASONS = {
    ClipMode.SPECTRAL: AnswerReason.MODE_SPECTRAL,
    ClipMode.M_MODE: AnswerReason.MODE_M,
    ClipMode.COLOUR: AnswerReason.MODE_COLOUR,
    ClipMode.TISSUE_DOPPLER: AnswerReason.MODE_TISSUE_DOPPLER,
    ClipMode.OTHER: AnswerReason.MODE_OTHER,
}
"""Reason for each mode that a model may leave unanswered; B-mode has none."""

FLAG_REASONS = {
    ClipFlag.NO_SECTOR: AnswerReason.FLAG_NO_SECTOR,
    ClipFlag.NOT_A_HEART_PRESET: AnswerReason.FLAG_ORGAN,
    ClipFlag.TEXT_QUARANTINED: AnswerReason.FLAG_TEXT,
}
"""Reason for each flag that a model may leave unanswered."""


class HashedContent(StrEnum):
    """What the hash of an answer covers."""

    FILE = "file"
    """The bytes of the file."""
    FRAMES = "frames"
    """The frames of a clip in a store."""


class ModelIdentity(Config):
    """Which model gave an answer."""

    model_config = ConfigDict(strict=True)

    name: str
    """Name of the run or of the exported file, without the folders above it."""
    weights_sha256: str
    """Hash of the file with the weights."""
    version: str
    """Version of heart2heart that gave the answer."""
    split_sha256: str | None = None
    """Hash of the certified split that the model was trained with; null: not recorded."""
    certificate_sha256: str | None = None
    """Hash of the training certificate; null: not at hand."""
    scope_sha256: str | None = None
    """Hash of the scope file; null: the model has none, and every clip with frames is answered."""


class ScopeScore(Config):
    """How unlike a clip is to those that the model knows."""

    model_config = ConfigDict(strict=True)

    score: str
    """Name of the score, e.g. `knn`."""
    value: float
    """The score; larger is less alike."""
    threshold: float
    """Largest score that is answered."""


class QualityParts(Config):
    """What the quality of the frames of a clip consists of, each 0 to 1; larger is better."""

    model_config = ConfigDict(strict=True)

    sector: float = Field(ge=0, le=1)
    """Share of the scan that is neither black nor saturated."""
    exposure: float = Field(ge=0, le=1)
    """1 where the median gray of the scan is 40 to 90; it falls in line to 0 at gray 0 and 180."""
    contrast: float = Field(ge=0, le=1)
    """Spread between the 5th and the 95th percentile of gray in the scan, over 160 levels."""
    sharpness: float = Field(ge=0, le=1)
    """Mean gradient in the scan over the spread of gray there, over 0.2: gain changes both alike."""
    detail: float | None = Field(None, ge=0, le=1)
    """Standard deviation of gray less a picture smoothed by 1.5 pixels, over the mean gray, over 0.2; null: an older
    version did not compute it. A wide beam, blur, and the haze of a poor window take it away."""


class ClipAnswer(Config):
    """The answer of one model for one file, or one clip of a store."""

    model_config = ConfigDict(strict=True)

    schema_version: int = ANSWER_SCHEMA_VERSION
    """Version of this layout."""
    file: str
    """Path below the folder that was searched, with `/`; of a store, the key of the clip."""
    sha256: str | None = None
    """Hash of the content; null: the content could not be read."""
    hash_of: HashedContent = HashedContent.FILE
    """What the hash covers."""
    status: AnswerStatus
    """`answered`, `set`, `not_answered` or `failed`."""
    reason: AnswerReason | None = None
    """Why there is not one view; null: there is."""
    code: StatusCode | None = None
    """Status code of a failed file; null: it has frames."""
    sentence: str
    """The answer in words, such as `not answered: spectral Doppler`; `sentence_of` makes it."""
    views: tuple[str, ...] = ()
    """The view; of a set its views, the most probable one first; empty: no answer."""
    probabilities: dict[str, float] = Field(default_factory=dict)
    """Probability of each class; empty where there is no answer."""
    scope: ScopeScore | None = None
    """Score of the clip in the scope of the model; null: not computed."""
    coverage: float | None = None
    """Share of sets that hold the true view, as it was asked for; null: no sets are made."""
    mode: ClipMode | None = None
    """Mode of the clip; null: a failed file."""
    flags: tuple[ClipFlag, ...] = ()
    """What a reader of the clip should know."""
    frames: int = Field(0, ge=0)
    """Number of frames that were classified."""
    quality: float | None = Field(None, ge=0, le=1)
    """Quality of the clip, 0 to 1; null: not computed."""
    parts: QualityParts | None = None
    """What the quality of the frames consists of; null: not computed."""
    model: ModelIdentity
    """The model."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        counts = {AnswerStatus.ANSWERED: self.views[1:] == () != self.views, AnswerStatus.SET: len(self.views) > 1}
        if not counts.get(self.status, not self.views):
            raise ValueError(f"status {self.status} does not fit {len(self.views)} views")
        if (self.reason is None) != (self.status == AnswerStatus.ANSWERED):
            raise ValueError(f"status {self.status} does not fit the reason {self.reason}")
        failed = {self.code is not None, self.reason == AnswerReason.ERROR, self.status == AnswerStatus.FAILED}
        if len(failed) > 1:
            raise ValueError("a failed file, and no other, has the reason error and a status code")
        if bool(self.views) != bool(self.probabilities) or not set(self.views) <= self.probabilities.keys():
            raise ValueError("an answer, and no other, has probabilities, and its views are among them")
        return self

    def to_line(self) -> str:
        """Return one line of JSON, without its end."""
        return self.model_dump_json()

    @classmethod
    def from_line(cls, line: str | bytes, *, where: str) -> ClipAnswer:
        """Read one line of JSON.

        Args:
            line: The line.
            where: Its file and number, for errors.

        Raises:
            ConfigError: no answer, or one of another version.
        """
        try:
            answer = cls.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            what = f"this line is no answer: {'.'.join(map(str, first['loc']))} {first['msg']}"
            raise ConfigError(what, where=where, remedy="Name a file that `heart2heart predict` wrote") from error
        if answer.schema_version != ANSWER_SCHEMA_VERSION:
            what = f"this answer has layout {answer.schema_version}; this version reads {ANSWER_SCHEMA_VERSION}"
            raise ConfigError(what, where=where, remedy="Predict again in another file")
        return answer


def sentence_of(
    status: AnswerStatus, reason: AnswerReason | None, views: tuple[str, ...] = (), code: StatusCode | None = None
) -> str:
    """Return an answer in words.

    Examples:
        >>> sentence_of(AnswerStatus.NOT_ANSWERED, AnswerReason.MODE_SPECTRAL)
        'not answered: spectral Doppler'
        >>> sentence_of(AnswerStatus.SET, AnswerReason.AMBIGUOUS, ("A4C", "A2C"))
        'one of A4C, A2C'
    """
    if status == AnswerStatus.ANSWERED:
        return views[0]
    if status == AnswerStatus.SET:
        return f"one of {', '.join(views)}"
    if status == AnswerStatus.FAILED:
        return f"failed: {code}"
    return f"not answered: {reason.words if reason else 'no reason'}"


def failed_answer(file: str, code: StatusCode, model: ModelIdentity, **facts: Any) -> ClipAnswer:
    """Return the answer of a file without frames; `facts` are other fields, such as `sha256`."""
    status, reason = AnswerStatus.FAILED, AnswerReason.ERROR
    sentence = sentence_of(status, reason, code=code)
    return ClipAnswer(file=file, status=status, reason=reason, code=code, sentence=sentence, model=model, **facts)
