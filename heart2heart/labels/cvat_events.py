"""Reads and writes image quality, marked frames and notes as tags of CVAT.

The label `image quality` has the attribute `quality`, the labels `ED` and `ES` have `frame` (the number of the frame in
the recording, from 0), and `note` has `note`; all have `rater` and `at`. The image is that of the clip, as for views.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from heart2heart.labels.clip_events import ClipEvent, WrittenEvent, parse_marks
from heart2heart.labels.clip_index import ClipIndex
from heart2heart.labels.cvat import NOTE_TAG, PHASE_TAGS, QUALITY_TAG, Tag, image_clip, parse_tags, write_tags
from heart2heart.labels.events import is_time
from heart2heart.schema.enums import ClipEventKind


def read_tags(path: Path, clips: ClipIndex) -> Iterator[WrittenEvent]:
    """Yield what the tags of an XML file say, without views; the number is that of the tag.

    Args:
        path: The file, `annotations.xml` of a CVAT export.
        clips: Index of the clips.

    Raises:
        LabelError: the file is too large, or is no XML of CVAT.
    """
    find = clips.finder("clip", path)
    for tag_number, tag in enumerate(parse_tags(path)[1], start=1):
        if tag.is_view:
            continue
        attributes = {name: value.strip() for name, value in tag.attributes.items()}
        clip, at = find({"clip": image_clip(tag)}) or "", attributes.get("at", "")
        common = (clip, attributes.get("rater") or "cvat", at if is_time(at) else "")
        if tag.label == QUALITY_TAG:
            yield WrittenEvent(tag_number, ClipEventKind.QUALITY, *common, attributes.get("quality", "").lower())
        elif tag.label == NOTE_TAG:
            yield WrittenEvent(tag_number, ClipEventKind.NOTE, *common, attributes.get("note", ""))
        else:
            yield WrittenEvent(tag_number, ClipEventKind.MARKS, *common, attributes.get("frame", ""), tag.label)


def write_event_tags(events: Sequence[ClipEvent], out: Path) -> None:
    """Write events as tags of images, one for each quality, note and marked frame.

    Args:
        events: Events of the kinds quality, marks and note.
        out: XML file to write.
    """
    tags = []
    for event in events:
        common = {"rater": event.rater, "at": event.at}
        if event.kind == ClipEventKind.QUALITY:
            tags.append(Tag(event.clip, QUALITY_TAG, common | {"quality": event.value}))
        elif event.kind == ClipEventKind.NOTE:
            tags.append(Tag(event.clip, NOTE_TAG, common | {"note": event.value}))
        else:
            marks = parse_marks(event.value)
            tags += [
                Tag(event.clip, label, common | {"frame": str(frame)})
                for label in PHASE_TAGS
                for frame in marks[label.lower()]
            ]
    write_tags(tags, out)
