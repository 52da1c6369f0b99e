"""Print predictions of clips: a table for people, CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from heart2heart.cli.tables import text_table

if TYPE_CHECKING:
    from heart2heart.workflow import ClipPrediction


def render(clips: Sequence[ClipPrediction], form: str) -> str:
    """Return the predictions in one of the forms `table`, `csv`, `json`.

    The CSV has a row a clip (`frame` empty) followed by its frames; probabilities are in columns named by view.
    """
    if form == "json":
        return json.dumps([clip.to_json() for clip in clips], indent=2)
    if form == "csv":
        return _csv(clips)
    return "\n\n".join(_table(clip) for clip in clips)


def _csv(clips: Sequence[ClipPrediction]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "frame", "view", *clips[0].classes))
    for clip in clips:
        rows: list[tuple[object, str, tuple[float, ...]]] = [("", clip.view, clip.probabilities)]
        rows += [(f.index, f.view, f.probabilities) for f in clip.frames]
        for index, view, probabilities in rows:
            writer.writerow((clip.file, index, view, *(f"{p:.6f}" for p in probabilities)))
    return text.getvalue().rstrip("\n")


def _table(clip: ClipPrediction) -> str:
    head = f"{clip.file}: {clip.view} ({100 * max(clip.probabilities):.1f} %), mode {clip.mode}"
    if clip.flags:
        head += f", {', '.join(clip.flags)}"
    rows: list[tuple[object, ...]] = [("clip", clip.view, *(round(p, 3) for p in clip.probabilities))]
    rows += [(f.index, f.view, *(round(p, 3) for p in f.probabilities)) for f in clip.frames]
    return f"{head}\n{text_table(('frame', 'view', *clip.classes), rows)}"
