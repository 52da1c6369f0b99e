"""Answers of a model that does not exist, for tests of their file and tables."""

from __future__ import annotations

from typing import Any

from heart2heart.schema.answer_file import AnswerFileHeader
from heart2heart.schema.clip_answer import AnswerStatus, ClipAnswer, ModelIdentity, failed_answer
from heart2heart.schema.status import StatusCode

MODEL = ModelIdentity(name="run", weights_sha256="a" * 64, version="1.0", split_sha256="b" * 64)
CLASSES = ("PLAX", "A4C")


def header(**changes: Any) -> AnswerFileHeader:
    """Return a header, with some fields changed."""
    fields: dict[str, Any] = {"model": MODEL, "classes": CLASSES, "geometry": "tmed2-16", "frames": "all"}
    return AnswerFileHeader(**fields | changes)


def answer(file: str, **changes: Any) -> ClipAnswer:
    """Return an answer of one view, with some fields changed."""
    fields: dict[str, Any] = {
        "file": file, "status": AnswerStatus.ANSWERED, "sentence": "A4C", "views": ("A4C",), "frames": 3,
        "probabilities": {"PLAX": 0.25, "A4C": 0.75}, "model": MODEL,
    }  # fmt: skip
    return ClipAnswer(**fields | changes)


def failure(file: str, code: StatusCode) -> ClipAnswer:
    """Return the answer of a file without frames."""
    return failed_answer(file, code, MODEL)
