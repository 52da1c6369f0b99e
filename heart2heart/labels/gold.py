"""Gold clips: clips with a known label, frozen by an adjudicator, by which the readings of raters are measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heart2heart.errors import ConfigError
from heart2heart.labels.clip_events import ClipEvent, gold_labels
from heart2heart.labels.consensus import readings_by_target
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import ClipEventKind, LabelAnswer
from heart2heart.utils import random_stream

ALL_VIEWS = "all"
_QUANTILE = 1.959963984540054  # of the normal distribution, for 95 %


@dataclass(frozen=True)
class GoldScore:
    """How often one rater gave gold clips their known label.

    Attributes:
        rater: Name of the rater.
        view: Known label of the clips, or `all`.
        read: Number of readings, without those with the answer `unsure`.
        right: Number of them with the known label.
        unsure: Number of readings with the answer `unsure`.
        low: Lower end of Wilson's 95 % interval of the share; None without a reading.
        high: Upper end of the interval; None without a reading.
    """

    rater: str
    view: str
    read: int
    right: int
    unsure: int
    low: float | None
    high: float | None


def wilson_interval(right: int, read: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927) 209-212.

    Args:
        right: Number of successes.
        read: Number of trials, at least 1.

    Examples:
        >>> [round(limit, 3) for limit in wilson_interval(18, 20)]
        [0.699, 0.972]
    """
    share, square = right / read, _QUANTILE**2
    center = (share + square / (2 * read)) / (1 + square / read)
    half = _QUANTILE * math.sqrt(share * (1 - share) / read + square / (4 * read * read)) / (1 + square / read)
    return max(0.0, center - half), min(1.0, center + half)


def gold_scores(gold: Mapping[str, str], readings: Iterable[LabelEvent]) -> list[GoldScore]:
    """Return the score of each rater, of all gold clips and by view.

    Args:
        gold: Known label by clip.
        readings: The last reading of each rater of each gold clip.
    """
    values: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
    for event in readings:
        if event.clip in gold:
            is_right, is_unsure = event.value == gold[event.clip], event.answer == LabelAnswer.UNSURE
            for view in (ALL_VIEWS, gold[event.clip]):
                values.setdefault((event.rater, view), []).append((is_right, is_unsure))
    scores = []
    for (rater, view), of_view in sorted(
        values.items(), key=lambda item: (item[0][0], item[0][1] != ALL_VIEWS, item[0][1])
    ):
        unsure = sum(is_unsure for _, is_unsure in of_view)
        right, read = sum(is_right for is_right, _ in of_view), len(of_view) - unsure
        low, high = wilson_interval(right, read) if read else (None, None)
        scores.append(GoldScore(rater, view, read, right, unsure, low, high))
    return scores


def adjudicated_labels(events: Iterable[LabelEvent]) -> dict[str, str]:
    """Return the adjudicator's decision on each whole clip that has one: a view or `unusable`."""
    clip_events = [event for event in events if not event.frame]
    readings_of = readings_by_target(clip_events)
    return {clip: readings.adjudicated for clip, readings in readings_of.items() if readings.adjudicated is not None}


def choose_gold(known: Mapping[str, str], most: int | None, seed: int) -> dict[str, str]:
    """Return at most `most` of the known labels, drawn at random; `unsure` is no known label.

    Examples:
        >>> choose_gold({"a": "A4C", "b": "unsure"}, None, 0)
        {'a': 'A4C'}
    """
    usable = {clip: value for clip, value in sorted(known.items()) if value and value != LabelAnswer.UNSURE}
    if most is None or len(usable) <= most:
        return usable
    clips = random_stream(seed, "gold clips").permutation(list(usable))[:most]
    return {str(clip): usable[str(clip)] for clip in sorted(clips)}


def freeze_gold(label_store: LabelStore, known: Mapping[str, str], rater: str, at: str) -> int:
    """Freeze known labels as gold, and return the number of clips whose gold label is new or changed.

    Args:
        label_store: The label store.
        known: Label by clip: a view or `unusable`; an empty one ends that the clip is gold.
        rater: Who freezes them.
        at: Time, ISO 8601.

    Raises:
        ConfigError: there is nothing to freeze.
        UnknownNameError: a label is no view.
    """
    if not known:
        remedy = "Decide disagreements on the page first, or give a file of labels"
        raise ConfigError("there is no known label to freeze as gold", where=label_store.path, remedy=remedy)
    present = gold_labels(event for _, event in label_store.clip_events()) if label_store.path.exists() else {}
    changed = {clip: value for clip, value in known.items() if present.get(clip, "") != value}
    return label_store.append_clip_events(
        [ClipEvent(clip, ClipEventKind.GOLD, rater, at, value) for clip, value in sorted(changed.items())]
    )
