"""UIDs that follow from what an object says, so that the same result has the same UID wherever it is made."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence

from pydicom.uid import UID

from heart2heart.schema.clip_answer import ClipAnswer, ModelIdentity


def derived_uid(kind: str, *parts: object) -> UID:
    """Return the UID of an object: 2.25 and a UUID (PS3.5 annex B.2) made of a hash.

    Args:
        kind: What the UID is of, such as `series`.
        parts: What the object is derived from; JSON values.

    Examples:
        >>> derived_uid("example", "1.2.3") == derived_uid("example", "1.2.3")
        True
        >>> derived_uid("example", "1.2.3") == derived_uid("example", "1.2.4")
        False
    """
    content = json.dumps(["heart2heart", kind, *parts], separators=(",", ":")).encode()
    digest = hashlib.sha256(content).digest()[:16]
    return UID(f"2.25.{uuid.UUID(bytes=digest, version=5).int}")


def model_parts(model: ModelIdentity) -> list[str | None]:
    """Return what tells one model from another: the hashes of its weights and of its scope, not its name."""
    return [model.weights_sha256, model.scope_sha256]


def answer_parts(instance: str, answer: ClipAnswer) -> list[object]:
    """Return what an answer says about an instance, without the name of the file.

    Args:
        instance: SOP Instance UID of the clip.
        answer: Its answer.
    """
    probabilities: Sequence[tuple[str, float]] = sorted(answer.probabilities.items())
    return [instance, answer.status, answer.reason, answer.code, list(answer.views), probabilities, answer.coverage]
