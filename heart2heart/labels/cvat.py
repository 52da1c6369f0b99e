"""Reads and writes CVAT's XML annotations 1.1 for image tasks, with one tag for each reading.

An `<image>` is one clip or frame, a `<tag>` one reading: its label is the view. The attributes `rater`, `at`,
`seconds`, `decision` and `frame` of a tag carry the rest of the reading. CVAT keeps them if the labels of the task
declare them, as the header of a written file does. The name of the image, without folder and ending, is the clip's
pseudonym.

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/ and
https://docs.cvat.ai/docs/other/xml_format (version 1.1, "Annotation").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.clip_index import NO_SUCH_FRAME, NOT_INGESTED, ClipIndex
from heart2heart.labels.events import MAX_SECONDS, LabelEvent, active_events, is_time
from heart2heart.labels.parsed_labels import ParsedLabels, parse_answer
from heart2heart.labels.view_words import ViewWords
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.views import TAXONOMY_VERSION
from heart2heart.utils import atomic_path

MAX_BYTES = 256 * 2**20
"""Largest file that is read."""
ATTRIBUTES = ("rater", "at", "seconds", "decision", "frame", "taxonomy")
"""Attributes of a tag, in the order in which they are written."""
QUALITY_TAG, NOTE_TAG, PHASE_TAGS = "image quality", "note", ("ED", "ES")
"""Labels that are no views; see `labels.cvat_events`."""
OTHER_ATTRIBUTES = ("quality", "note")
"""Attributes of a tag that is no view, beside `ATTRIBUTES`."""

_MAX_DEPTH = 16
_MAX_TEXT = 4096


@dataclass
class Tag:
    """A tag of an image.

    Attributes:
        image: Name of the image.
        label: Its label.
        attributes: Value of those attributes that heart2heart knows, by name.
    """

    image: str
    label: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def is_view(self) -> bool:
        """Whether the label is a view, and not a quality, a marked frame or a note."""
        return self.label not in (QUALITY_TAG, NOTE_TAG, *PHASE_TAGS)


class _TagReader:
    """Collects the tags of a file while expat parses it; a document type, which could define entities, is refused."""

    def __init__(self) -> None:
        self.root, self.images, self.tags = "", 0, list[Tag]()
        self._depth, self._image, self._attribute = 0, "", ""
        self._tag: Tag | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        self.root = self.root or name
        if name == "image":
            self._image = attributes.get("name", "")
            self.images += 1
        elif name == "tag" and self._image:
            self._tag = Tag(self._image, attributes.get("label", ""))
            self.tags.append(self._tag)
        elif name == "attribute" and self._tag is not None:
            self._attribute = attributes.get("name", "")

    def end(self, name: str) -> None:
        self._depth -= 1
        if name == "image":
            self._image = ""
        elif name == "tag":
            self._tag = None
        elif name == "attribute":
            self._attribute = ""

    def text(self, data: str) -> None:
        if self._tag is not None and self._attribute in (*ATTRIBUTES, *OTHER_ATTRIBUTES):
            text = self._tag.attributes.get(self._attribute, "") + data
            self._tag.attributes[self._attribute] = text[:_MAX_TEXT]

    def refuse(self, *_: object) -> NoReturn:
        raise ValueError("it defines a document type")


def parse_tags(path: Path) -> tuple[int, list[Tag]]:
    """Return the number of images of an XML file, and their tags.

    Raises:
        LabelError: the file is too large, or is no XML of CVAT.
    """
    if path.stat().st_size > MAX_BYTES:
        raise LabelError(f"this file is larger than {MAX_BYTES // 2**20} MiB", where=path, remedy="Export it in parts")
    reader = _TagReader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = reader.text, reader.refuse
    try:
        with path.open("rb") as handle:
            parser.ParseFile(handle)
    except (expat.ExpatError, ValueError) as error:
        raise LabelError(f"this XML cannot be read ({error})", where=path) from error
    if reader.root != "annotations":
        remedy = "Export the task from CVAT as: CVAT for images 1.1"
        raise LabelError("this is no XML of CVAT", where=path, remedy=remedy)
    return reader.images, reader.tags


def image_clip(tag: Tag) -> str:
    """Return the pseudonym that the name of a tag's image is."""
    return PurePosixPath(tag.image.replace("\\", "/")).stem


def read_images(path: Path, clips: ClipIndex, words: ViewWords) -> ParsedLabels:
    """Return the tags of an XML file; shapes and images without a tag name no view.

    Args:
        path: The file, `annotations.xml` of a CVAT export.
        clips: Index of the clips.
        words: What the labels mean.

    Raises:
        LabelError: the file is too large, or is no XML of CVAT.
    """
    images, tags = parse_tags(path)
    tags = [tag for tag in tags if tag.is_view]
    parsed = ParsedLabels("tag", rows=max(images, len(tags)))
    parsed.without_view = images - len({tag.image for tag in tags})
    find = clips.finder("clip", path)
    for tag_number, tag in enumerate(tags, start=1):
        clip = find({"clip": image_clip(tag)})
        frame_text = tag.attributes.get("frame", "")
        frame = "" if clip is None or not frame_text else clips.frame(clip, frame_text)
        if clip is None or frame is None:
            parsed.add_unknown_clip(tag_number, NOT_INGESTED if clip is None else NO_SUCH_FRAME)
            continue
        parsed.add_event(tag_number, tag.label, _event(clip, frame, tag, words))
    return parsed


def _event(clip: str, frame: str, tag: Tag, words: ViewWords) -> LabelEvent | str | None:
    """Return the event; the label itself when it is unknown; None when the label names no view."""
    attributes = tag.attributes
    taxonomy, answer = attributes.get("taxonomy") or TAXONOMY_VERSION, parse_answer(tag.label)
    view: str | None = "" if answer != LabelAnswer.VIEW else tag.label
    if view and taxonomy == TAXONOMY_VERSION:
        try:
            view = words.translate(tag.label)
        except UnknownNameError:
            return tag.label
    if view is None:
        return None
    at = attributes.get("at", "")
    try:
        seconds: float | None = float(attributes.get("seconds", ""))
    except ValueError:
        seconds = None
    return LabelEvent(
        clip, frame, view, attributes.get("rater") or "cvat", at if is_time(at) else "", f"cvat:{words.name}", taxonomy,
        answer=answer, seconds=seconds if seconds is not None and 0 <= seconds <= MAX_SECONDS else None,
        kind=EventKind.ADJUDICATION if attributes.get("decision") == "true" else EventKind.LABEL,
    )  # fmt: skip


def write_images(events: Sequence[LabelEvent], out: Path) -> int:
    """Write the active events as tags of images, and return the number of tags.

    An image is named `CLIP.png`: a still of the clip, or its first frame. Give the images of a task these names.

    Args:
        events: Label events in the order in which they were recorded.
        out: XML file to write.
    """
    tags = []
    for event in active_events(events):
        values = (event.rater, event.at, "" if event.seconds is None else repr(event.seconds),
                  "true" if event.kind == EventKind.ADJUDICATION else "false", event.frame, event.taxonomy)  # fmt: skip
        tags.append(Tag(event.clip, event.value, dict(zip(ATTRIBUTES, values, strict=True))))
    write_tags(tags, out)
    return len(tags)


def write_tags(tags: Sequence[Tag], out: Path) -> None:
    """Write tags of images, with the labels and attributes that a task needs to keep them.

    Args:
        tags: The tags; the name of an image is that of the clip.
        out: XML file to write.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels")
    for value, names in sorted({tag.label: tuple(tag.attributes) for tag in tags}.items()):
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = value
        ElementTree.SubElement(label, "type").text = "tag"
        attributes = ElementTree.SubElement(label, "attributes")
        for name in names:
            attribute = ElementTree.SubElement(attributes, "attribute")
            for key, text in (("name", name), ("mutable", "False"), ("input_type", "text"), ("default_value", ""),
                              ("values", "")):  # fmt: skip
                ElementTree.SubElement(attribute, key).text = text
    images: dict[str, ElementTree.Element] = {}
    for tag in tags:
        image = images.get(tag.image)
        if image is None:
            number = str(len(images))
            image = ElementTree.SubElement(root, "image", id=number, name=f"{tag.image}.png", width="0", height="0")
            images[tag.image] = image
        element = ElementTree.SubElement(image, "tag", label=tag.label, source="manual")
        for name, value in tag.attributes.items():
            text = "".join(each if each.isprintable() or each == "\n" else " " for each in value)
            ElementTree.SubElement(element, "attribute", name=name).text = text
    ElementTree.indent(root)
    with atomic_path(out) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)
