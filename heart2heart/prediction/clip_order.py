"""Ranks the clips of a study: by view, the best clip of each view first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from heart2heart.csv_files import CsvWriter
from heart2heart.schema.clip_answer import AnswerStatus, ClipAnswer
from heart2heart.schema.clip_order import SCORE_WEIGHTS, RankedClip, ScoreParts
from heart2heart.schema.enums import ImageQuality
from heart2heart.schema.status import ClipFlag
from heart2heart.schema.views import VIEWS
from heart2heart.utils import atomic_path

HEARTBEAT_FRAMES = 24
"""Frames from which on a clip counts as long enough."""
HARMFUL_FLAGS = frozenset(
    {
        ClipFlag.CORRUPT_FRAMES, ClipFlag.SALVAGED, ClipFlag.NO_SECTOR, ClipFlag.SPLIT_SCREEN, ClipFlag.TEXT_BLANKED,
        ClipFlag.TEXT_QUARANTINED, ClipFlag.TEXT_SUSPECTED,
    }
)  # fmt: skip
"""Flags each of which halves one part of the score."""
LABELED_QUALITY = {
    ImageQuality.GOOD: 1.0,
    ImageQuality.FAIR: 0.6,
    ImageQuality.POOR: 0.2,
    ImageQuality.UNUSABLE: 0.0,
}
"""Part of the score for each image quality that a reader gives."""
_LEAST = 0.01  # a part of 0 would make all others worthless


def score_parts(answer: ClipAnswer, qualities: Sequence[ImageQuality] = ()) -> ScoreParts:
    """Return the parts of the score of a clip that has one view.

    Args:
        answer: The answer.
        qualities: Image quality of the clip by readers.
    """
    parts = answer.parts
    harmful = len(HARMFUL_FLAGS & set(answer.flags))
    return ScoreParts(
        confidence=min(max(answer.probabilities[answer.views[0]], 0.0), 1.0),
        sector=None if parts is None else parts.sector,
        exposure=None if parts is None else parts.exposure,
        contrast=answer.quality if parts is None else parts.contrast,
        sharpness=answer.quality if parts is None else parts.sharpness,
        detail=None if parts is None else parts.detail,
        length=min(1.0, answer.frames / HEARTBEAT_FRAMES),
        flags=0.5**harmful,
        labeled=sum(LABELED_QUALITY[each] for each in qualities) / len(qualities) if qualities else None,
    )


def score(parts: ScoreParts) -> float:
    """Return the score, 0 to 100: the weighted geometric mean of the known parts; none below 0.01 counts.

    Examples:
        >>> round(score(ScoreParts(confidence=1.0, length=1.0, flags=1.0)), 1)
        100.0
        >>> round(score(ScoreParts(confidence=0.5, length=1.0, flags=1.0)), 1)
        70.7
    """
    known = {name: value for name in SCORE_WEIGHTS if (value := getattr(parts, name)) is not None}
    total = sum(SCORE_WEIGHTS[name] * math.log(max(value, _LEAST)) for name, value in known.items())
    return min(100.0, 100 * math.exp(total / sum(SCORE_WEIGHTS[name] for name in known)))


def rank_clips(
    study: str, answers: Iterable[ClipAnswer], qualities: Mapping[str, Sequence[ImageQuality]] | None = None
) -> list[RankedClip]:
    """Return the clips of one study by view, the best first; those without one view come last.

    Args:
        study: Name of the study in the table.
        answers: The answers for its clips.
        qualities: Image qualities by readers, by the name of the clip in its answer.
    """
    by_readers = qualities or {}
    rows: dict[str, list[RankedClip]] = {}
    for answer in answers:
        facts = {"study": study, "file": answer.file, "sentence": answer.sentence}
        if answer.status == AnswerStatus.ANSWERED:
            parts = score_parts(answer, by_readers.get(answer.file, ()))
            row = RankedClip(view=answer.views[0], score=score(parts), parts=parts, **facts)
        else:
            row = RankedClip(view="", **facts)
        rows.setdefault(row.view, []).append(row)
    known = list(VIEWS)
    views = sorted(rows, key=lambda view: (not view, known.index(view) if view in known else len(known), view))
    ranked: list[RankedClip] = []
    for view in views:
        best_first = sorted(rows[view], key=lambda row: (-(row.score or 0.0), row.file))
        ranked += [
            row.model_copy(update={"rank": rank if view else None}) for rank, row in enumerate(best_first, start=1)
        ]
    return ranked


def write_clip_order(rows: Iterable[RankedClip], table: Path) -> int:
    """Write ranked clips as CSV, whole or not at all; return their number.

    Args:
        rows: The clips.
        table: The table.

    Raises:
        NoSpaceError: the disk is full; nothing is written.
    """
    parts, count = list(SCORE_WEIGHTS), 0
    with atomic_path(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = CsvWriter(handle)
        writer.writerow(["study", "view", "rank", "score", *parts, "file", "sentence"])
        for row in rows:
            numbers = [row.score, *(row.parts and getattr(row.parts, name) for name in parts)]
            cells = ["" if value is None else f"{value:.4g}" for value in numbers]
            writer.writerow([row.study, row.view, row.rank or "", *cells, row.file, row.sentence])
            count += 1
    return count
