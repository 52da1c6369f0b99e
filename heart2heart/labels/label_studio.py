"""Reads and writes the JSON export of Label Studio with choices.

A task is one clip or frame, an annotation is one reading (https://labelstud.io/guide/task_format): the view is a
choice, `lead_time` holds the seconds, `created_at` the time, and `ground_truth` marks an adjudicator's decision. The
data of a task name the clip by `clip`, `sop_instance_uid` or `file`. Without these, the name of the video or image,
without the prefix of an upload, is the clip's pseudonym.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.clip_index import CLIP_COLUMNS, NO_SUCH_FRAME, NOT_INGESTED, ClipIndex
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.labels.parsed_labels import ParsedLabels, parse_answer
from heart2heart.labels.table_files import detect_format
from heart2heart.labels.view_words import ViewWords
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.views import TAXONOMY_VERSION
from heart2heart.utils import write_text

_MEDIA = ("video", "image")
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
CONTROL, OBJECT = "view", "video"
"""Names in the labeling interface: `<Choices name="view" toName="video">`, `<Video name="video" value="$video">`."""
QUALITY_CONTROL = "quality"
"""Name of the choices of image quality: they are no view."""


def read_tasks(path: Path, clips: ClipIndex, words: ViewWords) -> ParsedLabels:
    """Return the annotations of a JSON export; predictions, cancelled and skipped annotations are left out.

    Args:
        path: The export.
        clips: Index of the clips.
        words: What the choices mean.

    Raises:
        LabelError: the file is not a JSON export of Label Studio.
    """
    tasks = load_tasks(path)
    parsed = ParsedLabels("task", rows=len(tasks))
    for task_number, task in enumerate(tasks, start=1):
        data: dict[str, Any] = task["data"]
        clip = task_clip(data, clips, path)
        frame_text = str(data.get("frame") or "")
        frame = "" if clip is None or not frame_text else clips.frame(clip, frame_text)
        annotations = list(_annotations(task))
        if not annotations:
            parsed.without_view += 1
        elif clip is None or frame is None:
            parsed.add_unknown_clip(task_number, NOT_INGESTED if clip is None else NO_SUCH_FRAME)
        else:
            for choice, annotation in annotations:
                event = _event(clip, frame, choice, annotation, data, words)
                parsed.add_event(task_number, choice, event)
    return parsed


def load_tasks(path: Path) -> list[dict[str, Any]]:
    """Return the tasks of a JSON export; `data` of each is a mapping, and `annotations` a list of mappings.

    Raises:
        LabelError: the file is not a JSON export of Label Studio.
    """
    if detect_format(path) != "JSON":
        raise LabelError(
            f"this is not JSON, but {detect_format(path)}", where=path, remedy="Export from Label Studio as JSON"
        )
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LabelError("this export is not readable JSON", where=path) from error
    if not isinstance(tasks, list) or not all(_is_task(task) for task in tasks):
        remedy = "Export as JSON, not JSON-MIN, CSV or another form"
        raise LabelError("this is not a JSON export of Label Studio", where=path, remedy=remedy)
    return tasks


def _is_task(task: object) -> bool:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        return False
    annotations = task.get("annotations")
    return isinstance(annotations, list) and all(isinstance(annotation, dict) for annotation in annotations)


def task_clip(data: Mapping[str, Any], clips: ClipIndex, path: Path) -> str | None:
    """Return the clip that the data of a task name, or None if no store holds it."""
    column = next((name for name in CLIP_COLUMNS if data.get(name)), None)
    if column is not None:
        return clips.finder(column, path)({column: str(data[column])})
    media = next((str(data[name]) for name in _MEDIA if data.get(name)), "")
    name = PurePosixPath(unquote(urlsplit(media).path)).stem
    return clips.finder("clip", path)({"clip": _UPLOAD.sub("", name)})


def _annotations(task: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for annotation in task["annotations"]:
        for control, value in results(annotation):
            choices = value.get("choices")
            if control != QUALITY_CONTROL and isinstance(choices, list) and choices:
                yield str(choices[0]), annotation
                break


def results(annotation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name of the control and the value of each result of an annotation; none of a cancelled one."""
    listed = annotation.get("result")
    if annotation.get("was_cancelled") or not isinstance(listed, list):
        return
    for result in listed:
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict):
            yield str(result.get("from_name") or ""), value


def _event(
    clip: str, frame: str, choice: str, annotation: Mapping[str, Any], data: Mapping[str, Any], words: ViewWords
) -> LabelEvent | str | None:
    """Return the event; the choice itself when it is unknown; None when the choice names no view."""
    taxonomy = str(data.get("taxonomy") or TAXONOMY_VERSION)
    answer = parse_answer(choice)
    view: str | None = "" if answer != LabelAnswer.VIEW else choice
    if view and taxonomy == TAXONOMY_VERSION:
        try:
            view = words.translate(choice)
        except UnknownNameError:
            return choice
    if view is None:
        return None
    lead_time = annotation.get("lead_time")
    seconds = float(lead_time) if isinstance(lead_time, int | float) and not isinstance(lead_time, bool) else -1.0
    return LabelEvent(
        clip, frame, view, rater_name(annotation.get("completed_by")), str(annotation.get("created_at") or ""),
        f"label_studio:{words.name}", taxonomy, answer=answer, seconds=seconds if 0 <= seconds < float("inf") else None,
        kind=EventKind.ADJUDICATION if annotation.get("ground_truth") is True else EventKind.LABEL,
    )  # fmt: skip


def rater_name(completed_by: object) -> str:
    """Return the name of the rater's account, else its number."""
    if isinstance(completed_by, dict):
        name = next((str(completed_by[name]) for name in ("username", "email", "id") if completed_by.get(name)), "")
        return name or "unnamed"
    return "unnamed" if completed_by is None else f"label_studio:{completed_by}"


def write_tasks(events: Sequence[LabelEvent], out: Path) -> int:
    """Write the active events as tasks with annotations, and return the number of annotations.

    The data of a task name the video `CLIP.mp4`. Prefix it with the address of the server that holds the videos.

    Args:
        events: Label events in the order in which they were recorded.
        out: JSON file to write.
    """
    tasks: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    raters = {name: index for index, name in enumerate(sorted({event.rater for event in events}), start=1)}
    count = 0
    for event in active_events(events):
        count += 1
        choice = {"from_name": CONTROL, "to_name": OBJECT, "type": "choices", "value": {"choices": [event.value]}}
        annotation: dict[str, Any] = {
            "completed_by": {"id": raters[event.rater], "username": event.rater},
            "ground_truth": event.kind == EventKind.ADJUDICATION,
            "result": [{"id": event.identifier[:10], **choice}],
            "was_cancelled": False,
        }
        if event.at:
            annotation["created_at"] = event.at
        if event.seconds is not None:
            annotation["lead_time"] = event.seconds
        tasks.setdefault((event.clip, event.frame, event.taxonomy), []).append(annotation)
    content = [
        {"id": index, "annotations": annotations,
         "data": {"clip": clip, "taxonomy": taxonomy, "video": f"{clip}.mp4"} | ({"frame": frame} if frame else {})}
        for index, ((clip, frame, taxonomy), annotations) in enumerate(tasks.items(), start=1)
    ]  # fmt: skip
    write_text(out, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return count
