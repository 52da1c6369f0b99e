"""Required actions of a de-identification, and the share of them that a tool does correctly, as in MIDI-B.

The ten actions and the rule "correct actions / all actions" are those of the challenge's public scoring script
(CBIIT/MIDI_validation_script, modules/curation_validator.py and reports_helper.py; Pei et al. 2025, arXiv:2507.23608).
Two checks are stricter here: a UID or patient identifier that is missing is not consistent, and two patients must not
get one identifier.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

FileMapping = dict[tuple[str, str], set[str]]


class Action(StrEnum):
    """What must happen to an element or to the pixels."""

    TAG_RETAINED = "tag_retained"
    TEXT_NOTNULL = "text_notnull"
    TEXT_RETAINED = "text_retained"
    TEXT_REMOVED = "text_removed"
    DATE_SHIFTED = "date_shifted"
    UID_CHANGED = "uid_changed"
    UID_CONSISTENT = "uid_consistent"
    PATID_CONSISTENT = "patid_consistent"
    PIXELS_HIDDEN = "pixels_hidden"
    PIXELS_RETAINED = "pixels_retained"


REMOVING = frozenset({Action.TEXT_REMOVED, Action.DATE_SHIFTED, Action.UID_CHANGED, Action.PIXELS_HIDDEN})
KEEPING = frozenset({Action.TAG_RETAINED, Action.TEXT_NOTNULL, Action.TEXT_RETAINED, Action.PIXELS_RETAINED})
_CONSISTENT = frozenset({Action.UID_CONSISTENT, Action.PATID_CONSISTENT})


@dataclass(frozen=True)
class Requirement:
    """One required action.

    Attributes:
        action: What must happen.
        category: Subcategory, such as `HIPAA-A`; the part before the first hyphen is the category.
        element: Keywords, item numbers and private tags: `RequestAttributesSequence[0].StudyID`, `00291001`.
        text: What must go or stay; alternatives of a text that must stay are separated by `|`.
    """

    action: Action
    category: str
    element: str
    text: str = ""


@dataclass(frozen=True)
class Judged:
    """One required action of one file, and whether a tool did it."""

    file: int
    requirement: Requirement
    correct: bool


def element_text(header: Dataset | None, element: str) -> str | None:
    """Return the value of an element as text, several values separated by a backslash; None if it is missing.

    Args:
        header: The dataset, with its file meta; None if the tool wrote no file.
        element: As in `Requirement`.
    """
    *outer, last = element.split(".")
    for step in outer:
        if header is None:
            return None
        if step == "file_meta":
            header = getattr(header, "file_meta", None)
            continue
        name, _, item = step.partition("[")
        items = header.get(name) or ()
        number = int(item.rstrip("]"))
        header = items[number] if number < len(items) else None
    tag = Tag(int(last, 16)) if re.fullmatch(r"[0-9a-fA-F]{8}", last) else last
    if header is None or tag not in header:
        return None
    value = header[tag].value
    if isinstance(value, MultiValue | list | tuple):
        return "\\".join(map(str, value))
    return value.decode("latin-1") if isinstance(value, bytes) else "" if value is None else str(value)


def uid_mapping(files: Iterable[tuple[Dataset, Dataset | None, Sequence[Requirement]]]) -> FileMapping:
    """Return the values that a tool wrote for each original UID and patient identifier, over all files.

    Args:
        files: Original, result and requirements of each file.

    Returns:
        New values by kind (`uid` or `patient`) and original value.
    """
    mapping: FileMapping = defaultdict(set)
    for before, after, requirements in files:
        for requirement in requirements:
            if requirement.action in _CONSISTENT:
                old, new = (element_text(header, requirement.element) for header in (before, after))
                mapping[_kind(requirement), old or ""].add(new or "")
    return mapping


def is_correct(requirement: Requirement, before: Dataset, after: Dataset | None, mapping: FileMapping) -> bool:
    """Return whether a tool did the action.

    Args:
        requirement: The action; not one on pixels.
        before: The original.
        after: The tool's result, None if it wrote no file.
        mapping: The `uid_mapping` of all files of the tool.
    """
    value = element_text(after, requirement.element)
    match requirement.action:
        case Action.TAG_RETAINED:
            return value is not None
        case Action.TEXT_NOTNULL:
            return bool(value)
        case Action.TEXT_RETAINED:
            return value is not None and any(_holds(value, text, all) for text in requirement.text.split("|"))
        case Action.TEXT_REMOVED:
            return not value or not _holds(value, requirement.text, any)
        case Action.DATE_SHIFTED | Action.UID_CHANGED:
            return not value or requirement.text not in value
        case Action.UID_CONSISTENT | Action.PATID_CONSISTENT:
            kind = _kind(requirement)
            news = mapping.get((kind, element_text(before, requirement.element) or ""), set())
            shared = sum(bool(news & others) for (other, _), others in mapping.items() if other == kind)
            return len(news) == 1 and bool(value) and shared == 1
    raise ValueError(f"{requirement.action} is judged by the pixels")


def _kind(requirement: Requirement) -> str:
    return "uid" if requirement.action is Action.UID_CONSISTENT else "patient"


def _holds(value: str, text: str, rule: Callable[[Iterable[bool]], bool]) -> bool:
    """Return whether all, or any, words of `text` are in `value`; numbers are compared as numbers."""
    new, old = _numbers(value), _numbers(text)
    if new is not None and old is not None:
        return len(new) == len(old) and all(
            math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(new, old, strict=True)
        )
    tidy = value.casefold()
    plain = re.sub(r"[\W_]+", "", tidy)
    return rule(word in tidy or word in plain for word in re.findall(r"[\w@.-]{2,}|\d", text.casefold()))


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split("\\")]
    except ValueError:
        return None


def share_interval(judged: Sequence[Judged]) -> tuple[int, int, float, float]:
    """Return the correct actions, all actions, and the 95 % interval of their share.

    Wilson's interval with the effective number of actions: actions of one file count as one cluster (the design effect
    of Korn and Graubard 1998). Where every action is correct, or none, each file counts once.
    """
    right, total = sum(each.correct for each in judged), len(judged)
    clusters: dict[int, list[bool]] = defaultdict(list)
    for each in judged:
        clusters[each.file].append(each.correct)
    share, files = right / total, len(clusters)
    effective = float(files)
    if 0 < right < total and files > 1:
        spread = sum((sum(values) - share * len(values)) ** 2 for values in clusters.values())
        variance = files / (files - 1) * spread / total**2
        effective = min(float(total), share * (1 - share) / variance) if variance > 0 else float(total)
    z = 1.959964
    centre = (share + z * z / (2 * effective)) / (1 + z * z / effective)
    half = z / (1 + z * z / effective) * math.sqrt(share * (1 - share) / effective + z * z / (4 * effective**2))
    return right, total, max(0.0, centre - half), min(1.0, centre + half)
