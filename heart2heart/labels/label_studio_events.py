"""Reads and writes image quality, marked frames and notes as annotations of Label Studio.

The controls of the labeling interface have the names `quality` (Choices), `phase` (TimelineLabels, `ED` and `ES`) and
`note` (TextArea). Label Studio numbers frames from 1 (https://labelstud.io/tags/timelinelabels).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from heart2heart.labels.clip_events import PHASES, ClipEvent, WrittenEvent, parse_marks
from heart2heart.labels.clip_index import ClipIndex
from heart2heart.labels.label_studio import OBJECT, QUALITY_CONTROL, load_tasks, rater_name, results, task_clip
from heart2heart.schema.enums import ClipEventKind
from heart2heart.utils import write_text

PHASE_CONTROL, NOTE_CONTROL = "phase", "note"


def read_annotations(path: Path, clips: ClipIndex) -> Iterator[WrittenEvent]:
    """Yield what the annotations of a JSON export say, without views; the number is that of the task.

    A range of frames of `phase` is one mark for its only frame; a longer range is not valid.

    Args:
        path: The export.
        clips: Index of the clips.

    Raises:
        LabelError: the file is not a JSON export of Label Studio.
    """
    for task_number, task in enumerate(load_tasks(path), start=1):
        clip = task_clip(task["data"], clips, path) or ""
        for annotation in task["annotations"]:
            rater, at = rater_name(annotation.get("completed_by")), str(annotation.get("created_at") or "")
            for kind, value, phase in _findings(annotation):
                yield WrittenEvent(task_number, kind, clip, rater, at, value, phase)


def _findings(annotation: Mapping[str, Any]) -> Iterator[tuple[ClipEventKind, str, str]]:
    for control, value in results(annotation):
        if control == QUALITY_CONTROL:
            yield from ((ClipEventKind.QUALITY, choice.strip().lower(), "") for choice in _texts(value, "choices"))
        elif control == NOTE_CONTROL and (lines := _texts(value, "text")):
            yield ClipEventKind.NOTE, "\n".join(lines).strip(), ""
        elif control == PHASE_CONTROL:
            ranges = value.get("ranges")
            for phase in _texts(value, "timelinelabels"):
                for each in ranges if isinstance(ranges, list) else [None]:
                    yield ClipEventKind.MARKS, _only_frame(each), phase


def _texts(value: Mapping[str, Any], name: str) -> list[str]:
    content = value.get(name)
    return [str(one) for one in content] if isinstance(content, list) else [content] if isinstance(content, str) else []


def _only_frame(span: object) -> str:
    """Return the number of the only frame of a range, from 0, or nothing for another range."""
    if not isinstance(span, dict) or span.get("start") != span.get("end"):
        return ""
    start = span.get("start")
    return str(start - 1) if isinstance(start, int) and not isinstance(start, bool) else ""


def write_annotations(events: Sequence[ClipEvent], out: Path) -> None:
    """Write events as tasks with annotations, one for each clip, rater and time.

    Args:
        events: Events of the kinds quality, marks and note.
        out: JSON file to write.
    """
    tasks: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {}
    for event in events:
        tasks.setdefault(event.clip, {}).setdefault((event.rater, event.at), []).extend(_results(event))
    raters = {name: index for index, name in enumerate(sorted({event.rater for event in events}), start=1)}
    content = [
        {
            "id": task_number,
            "data": {"clip": clip, "video": f"{clip}.mp4"},
            "annotations": [
                {"completed_by": {"id": raters[rater], "username": rater}, "ground_truth": False, "result": result,
                 "was_cancelled": False} | ({"created_at": at} if at else {})
                for (rater, at), result in annotations.items()
            ],
        }
        for task_number, (clip, annotations) in enumerate(tasks.items(), start=1)
    ]  # fmt: skip
    write_text(out, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def _results(event: ClipEvent) -> list[dict[str, Any]]:
    def result(control: str, kind: str, value: dict[str, Any], number: int = 0) -> dict[str, Any]:
        identifier = f"{event.identifier[:9]}{number}"
        return {"id": identifier, "from_name": control, "to_name": OBJECT, "type": kind, "value": value}

    if event.kind == ClipEventKind.QUALITY:
        return [result(QUALITY_CONTROL, "choices", {"choices": [event.value]})]
    if event.kind == ClipEventKind.NOTE:
        return [result(NOTE_CONTROL, "textarea", {"text": [event.value]})]
    marks = parse_marks(event.value)
    return [
        result(PHASE_CONTROL, "timelinelabels",
               {"ranges": [{"start": frame + 1, "end": frame + 1} for frame in marks[phase]],
                "timelinelabels": [phase.upper()]}, phase_number)
        for phase_number, phase in enumerate(PHASES) if marks[phase]
    ]  # fmt: skip
