"""Translates the labels of listed pictures to views, and finds labels that contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heart2heart.datasets.picture_lists import ListedPicture, shorten
from heart2heart.errors import UnknownNameError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.views import VOCABULARIES, translate_label

OWN = "own"
"""In place of a vocabulary: the labels are classes of their own and no views."""


@dataclass(frozen=True)
class ClipLabels:
    """The labels of clips in the store.

    Attributes:
        views: View by clip; empty for classes that are no views.
        official: Clip, role and label of each clip that the official split names.
        notes: What was left out, one sentence each.
    """

    views: Mapping[str, str]
    official: tuple[tuple[str, SplitRole, str | None], ...]
    notes: tuple[str, ...]


def clip_labels(
    pictures: Sequence[ListedPicture], clips: Sequence[str | None], vocabulary: str = "heart2heart"
) -> ClipLabels:
    """Return the labels of the clips that pictures became.

    Two files of the same bytes are one clip. If they have two labels, the clip gets none; if they have two roles, the
    clip is excluded from the official split; a note says so. Labels of the vocabulary `own` are kept in the official
    split, with the role `excluded` for a picture without a role.

    Args:
        pictures: The pictures.
        clips: The clip of each picture in the store, or None.
        vocabulary: A name of `views.VOCABULARIES`, or `own`.

    Raises:
        UnknownNameError: no such vocabulary.
    """
    if vocabulary != OWN and vocabulary not in VOCABULARIES:
        raise UnknownNameError.among("label vocabulary", vocabulary, [*VOCABULARIES, OWN])
    by_clip: dict[str, list[ListedPicture]] = {}
    for picture, clip in zip(pictures, clips, strict=True):
        if clip is not None:
            by_clip.setdefault(clip, []).append(picture)
    unknown: dict[str, list[str]] = {}
    clashes: dict[str, list[str]] = {"label": [], "patient": [], "split": []}
    labels: dict[str, str] = {}
    official: list[tuple[str, SplitRole, str | None]] = []
    for clip, same in by_clip.items():
        translated = [_translated(picture, vocabulary, unknown) for picture in same]
        names = {name for name in translated if name is not None}
        roles = {picture.role for picture in same if picture.role is not None}
        patients = {(picture.site, picture.patient) for picture in same}
        for what, count in (("label", len(names)), ("patient", len(patients)), ("split", len(roles))):
            if count > 1:
                clashes[what].append(" and ".join(picture.where for picture in same[:2]))
        label = names.pop() if len(names) == 1 else None
        if label is not None:
            labels[clip] = label
        if roles or (vocabulary == OWN and label is not None):
            official.append((clip, roles.pop() if len(roles) == 1 else SplitRole.EXCLUDED, label))
    return ClipLabels(
        views={} if vocabulary == OWN else labels,
        official=tuple(official),
        notes=tuple(_notes(labels, unknown, clashes, vocabulary)),
    )


def _translated(picture: ListedPicture, vocabulary: str, unknown: dict[str, list[str]]) -> str | None:
    if picture.label is None or vocabulary == OWN:
        return picture.label
    try:
        return translate_label(picture.label, vocabulary)
    except UnknownNameError:
        unknown.setdefault(picture.label, []).append(picture.where)
        return None


def _notes(
    labels: Mapping[str, str],
    unknown: Mapping[str, list[str]],
    clashes: Mapping[str, list[str]],
    vocabulary: str,
) -> list[str]:
    notes = []
    if unknown:
        rows = [where for names in unknown.values() for where in names]
        notes.append(
            f"{len(rows)} labels are outside the vocabulary {vocabulary} and left out; their pictures stay unlabeled: "
            f"{shorten(rows)}; give --vocabulary, or --vocabulary own for labels that are no views"
        )
    for what, pairs in clashes.items():
        if pairs:
            end = {"label": "; they get no label", "split": "; they are excluded from the split"}.get(what, "")
            notes.append(f"{len(pairs)} pictures are there twice with another {what}{end}: {shorten(pairs)}")
    if vocabulary == OWN and labels:
        notes.append(f"the labels of {len(labels)} clips are no views; they are kept in the official split alone")
    return notes
