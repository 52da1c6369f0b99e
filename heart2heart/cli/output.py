"""Formats the output of verbs: tables, and predictions of clips as a table, CSV or JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from heart2heart.csv_files import CsvWriter

if TYPE_CHECKING:
    from heart2heart.api.prediction import ClipPrediction


def text_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an aligned table; columns of numbers are aligned to the right.

    Args:
        header: Column titles.
        rows: Cells, each as long as the header; floats are shown with four significant digits.
    """
    cells = [[_format_cell(cell) for cell in row] for row in rows]
    widths = [max(len(title), *(len(row[column]) for row in cells), 0) for column, title in enumerate(header)]
    right = [bool(rows) and all(isinstance(row[column], int | float) for row in rows) for column in range(len(header))]

    def line(texts: Sequence[str]) -> str:
        parts = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(texts, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *(line(row) for row in cells)])


def _format_cell(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def format_predictions(clips: Sequence[ClipPrediction], form: str) -> str:
    """Return the predictions in one of the formats `table`, `csv`, `json`.

    The CSV has a row for each clip (`frame` empty) followed by its frames; probabilities are in columns named by view.
    """
    if form == "json":
        return json.dumps([clip.to_json() for clip in clips], indent=2)
    if form == "csv":
        return _predictions_csv(clips)
    return "\n\n".join(_predictions_table(clip) for clip in clips)


def _predictions_csv(clips: Sequence[ClipPrediction]) -> str:
    text = io.StringIO()
    writer = CsvWriter(text)
    writer.writerow(("file", "frame", "view", *(clips[0].classes if clips else ())))
    for clip in clips:
        rows: list[tuple[object, str, tuple[float, ...]]] = [("", clip.view, clip.probabilities)]
        rows += [(f.index, f.view, f.probabilities) for f in clip.frames]
        for index, view, probabilities in rows:
            numbers = [f"{p:.6f}" for p in probabilities] or [""] * len(clip.classes)
            writer.writerow((clip.file, index, view or clip.sentence, *numbers))
    return text.getvalue().rstrip("\n")


def _predictions_table(clip: ClipPrediction) -> str:
    likeliest = f" ({100 * max(clip.probabilities):.1f} %)" if clip.probabilities else ""
    head = f"{clip.file}: {clip.sentence or clip.view}{likeliest}, mode {clip.mode}"
    if clip.flags:
        head += f", {', '.join(clip.flags)}"
    if not clip.probabilities:
        return head
    rows: list[tuple[object, ...]] = [("clip", clip.view, *(round(p, 3) for p in clip.probabilities))]
    rows += [(f.index, f.view, *(round(p, 3) for p in f.probabilities)) for f in clip.frames]
    return f"{head}\n{text_table(('frame', 'view', *clip.classes), rows)}"
