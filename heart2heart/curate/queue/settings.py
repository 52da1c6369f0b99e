"""What a queue is asked for."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from heart2heart.config import Config
from heart2heart.frames.choice import FrameRule
from heart2heart.frames.schema import MODES, POOL_MODES


class QueueSettings(Config):
    """How clips are chosen."""

    by: str
    """Method: a name of `METHODS`."""
    budget: int = Field(ge=1)
    """Most clips to be picked."""
    spend: float | None = Field(None, gt=0)
    """Most that the picks may cost together; null sets no limit."""
    per_patient: int | None = Field(None, ge=1)
    """Most clips of one patient; null sets no limit."""
    spread: bool = False
    """Take a second clip of a patient only when every patient has one, and so on."""
    frames: str = "even:8"
    """Frames of a clip that are looked at: `all`, `every:N` or `even:K`."""
    modes: tuple[str, ...] = POOL_MODES
    """Modes whose clips are asked for."""
    rare: tuple[str, ...] = ()
    """Views that `similar` looks for; empty takes those with fewer labels than their equal share."""
    seed: int = Field(0, ge=0)
    """Decides what is drawn."""

    @field_validator("frames")
    @classmethod
    def _frames(cls, value: str) -> str:
        FrameRule.parse(value)
        return value

    @field_validator("modes")
    @classmethod
    def _modes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(MODES):
            raise ValueError(f"name some of {', '.join(MODES)}")
        return value

    @model_validator(mode="after")
    def _rare_is_used(self) -> Self:
        if self.rare and self.by != "similar":
            raise ValueError("only the method similar looks for named views")
        return self
