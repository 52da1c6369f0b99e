"""What the web application of the service uses, and how it describes a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heart2heart.evaluation.drift import MonitorState
from heart2heart.service.intake import Intake, ServiceSpool
from heart2heart.service.metrics import ServiceMetrics
from heart2heart.service.monitoring import InputShift
from heart2heart.service.queue import ServiceQueue
from heart2heart.service.settings import ServiceSettings


@dataclass(frozen=True)
class WebParts:
    """What the application uses.

    Attributes:
        settings: Settings of the service.
        spool: Where clips arrive.
        intake: The limits.
        queue: The queue.
        metrics: The metrics.
        shifts: The measures of the last clips beside the reference.
        drift: What the journal of the drift test shows.
        is_ready: Whether clips are being answered.
    """

    settings: ServiceSettings
    spool: ServiceSpool
    intake: Intake
    queue: ServiceQueue
    metrics: ServiceMetrics
    shifts: Callable[[], list[InputShift]]
    drift: Callable[[], MonitorState | None]
    is_ready: Callable[[], bool]


def clip_content(queue: ServiceQueue, name: str) -> dict[str, Any] | None:
    """Return a clip with the answer of the active model, as JSON; None: no such clip."""
    rows = queue.rows("SELECT state, study FROM clips WHERE name = ?", name)
    if not rows:
        return None
    state, study = rows[0]
    answer = queue.answers(name).get(queue.active)
    return {
        "clip": name,
        "state": state,
        "study": study,
        "answer": None if answer is None else answer.model_dump(mode="json"),
    }
