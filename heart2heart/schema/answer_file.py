"""The file of answers: JSON Lines, the first line a header, then one answer a line.

A file that is answered again, because its first status may change, has a second line; the last one counts.
"""

from __future__ import annotations

from typing import Literal

from heart2heart.config import Config
from heart2heart.schema.clip_answer import ModelIdentity

ANSWER_FILE_VERSION = 1
"""Version of the layout."""


class AnswerFileHeader(Config):
    """First line of a file of answers: what all its answers share."""

    kind: Literal["heart2heart answers"] = "heart2heart answers"
    """Marks the file."""
    schema_version: int = ANSWER_FILE_VERSION
    """Version of the layout."""
    model: ModelIdentity
    """The model."""
    classes: tuple[str, ...]
    """Class names, in the order of the logits."""
    geometry: str
    """Geometry of the frames."""
    frames: str
    """Frames that are read of each clip, such as `all` or `even:8`."""

    def differing(self, other: AnswerFileHeader) -> list[str]:
        """Return the fields in which two headers differ; the name of a model is no difference."""
        one, two = (header.model_dump(mode="json") for header in (self, other))
        models = [content.pop("model") | {"name": ""} for content in (one, two)]
        fields = [key for key in one if one[key] != two[key]]
        return fields + [f"model.{key}" for key in models[0] if models[0][key] != models[1][key]]
