"""From events to labels: named rules that say what a clip's or a frame's view is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from heart2heart.errors import LabelError, UnknownNameError
from heart2heart.labels.dawid_skene import DawidSkeneFit, fit_dawid_skene
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.schema.views import VIEWS
from heart2heart.store.frame_store import Frames


@dataclass(frozen=True)
class TargetReadings:
    """What stands about one clip or frame, after what was taken back.

    Attributes:
        readings: The last word of each rater in order of time: a view or `unusable`. Unsure is no opinion.
        first_rater: The rater who read first.
        adjudicated: The last word of an adjudicator: a view or `unusable`; None when nobody adjudicated.
        last_value: The last opinion, whoever gave it and in whatever role.
    """

    readings: Mapping[str, str]
    first_rater: str | None
    adjudicated: str | None
    last_value: str


def readings_by_target(events: Iterable[LabelEvent]) -> dict[str, TargetReadings]:
    """Return what stands, by frame or clip; a target of which nobody has an opinion is absent.

    Args:
        events: In the order in which they were recorded.
    """
    held: dict[str, dict[tuple[str, str], str]] = {}
    order: dict[str, list[str]] = {}
    for event in active_events(events):
        of_target = held.setdefault(event.target, {})
        of_target.pop((event.kind, event.rater), None)  # the rater's last word takes the last place
        if event.answer != LabelAnswer.UNSURE:
            of_target[event.kind, event.rater] = event.value
        if event.kind == EventKind.LABEL:
            order.setdefault(event.target, []).append(event.rater)
    found = {}
    for target, words in held.items():
        readings = {rater: word for (kind, rater), word in words.items() if kind == EventKind.LABEL}
        rulings = [word for (kind, _), word in words.items() if kind == EventKind.ADJUDICATION]
        first = next((rater for rater in order.get(target, ()) if rater in readings), None)
        if words:
            last = list(words.values())[-1]
            found[target] = TargetReadings(readings, first, rulings[-1] if rulings else None, last)
    return found


ConsensusRule = Callable[[Mapping[str, TargetReadings]], Mapping[str, str]]
"""Takes what stands of every target, and returns what is agreed, a view or `unusable`, where something is."""


def _per_target(rule: Callable[[TargetReadings], str | None]) -> ConsensusRule:
    """Make a rule of what is said of one target alone."""

    def over_all(said: Mapping[str, TargetReadings]) -> dict[str, str]:
        found = {target: rule(opinion) for target, opinion in said.items()}
        return {target: view for target, view in found.items() if view is not None}

    return over_all


def _latest(said: TargetReadings) -> str | None:
    return said.last_value


def _single(said: TargetReadings) -> str | None:
    return None if said.first_rater is None else said.readings[said.first_rater]


def _unanimous(said: TargetReadings) -> str | None:
    return next(iter(said.readings.values())) if len(set(said.readings.values())) == 1 else None


def _majority(said: TargetReadings) -> str | None:
    if not said.readings:
        return None
    view, count = Counter(said.readings.values()).most_common(1)[0]
    return view if 2 * count > len(said.readings) else None


def _adjudicated(said: TargetReadings) -> str | None:
    return _unanimous(said) if said.adjudicated is None else said.adjudicated


@dataclass(frozen=True)
class DawidSkeneConsensus:
    """What Dawid and Skene's model makes of all readings.

    Attributes:
        targets: Clips and frames that were read, in the order of `model.posterior`.
        raters: In the order of `model.errors`.
        values: Views, and `unusable`, in the order of the model's classes.
        model: The fit.
    """

    targets: tuple[str, ...]
    raters: tuple[str, ...]
    values: tuple[str, ...]
    model: DawidSkeneFit


def fit_readings(said: Mapping[str, TargetReadings]) -> DawidSkeneConsensus:
    """Fit Dawid and Skene's model to the readings; rulings are not readings, and unsure is a missing one.

    Raises:
        LabelError: the fit does not come to an end.
    """
    read = {target: said[target].readings for target in sorted(said) if said[target].readings}
    raters = sorted({rater for words in read.values() for rater in words})
    words = sorted({word for readings in read.values() for word in readings.values()})
    counts = np.zeros((len(read), len(raters), len(words)))
    for item, readings in enumerate(read.values()):
        for rater, word in readings.items():
            counts[item, raters.index(rater), words.index(word)] = 1
    model = fit_dawid_skene(counts)
    if not model.converged:
        remedy = "Name another rule, such as majority; the raters contradict each other too much for this one"
        raise LabelError(f"Dawid and Skene's model has not settled after {model.iterations} steps", remedy=remedy)
    return DawidSkeneConsensus(tuple(read), tuple(raters), tuple(words), model)


def _dawid_skene(said: Mapping[str, TargetReadings]) -> dict[str, str]:
    if not any(opinion.readings for opinion in said.values()):
        return {}
    weighed = fit_readings(said)
    best = weighed.model.posterior.argmax(1)
    sure = weighed.model.posterior.max(1) > 0.5
    return {
        target: weighed.values[place] for target, place, kept in zip(weighed.targets, best, sure, strict=True) if kept
    }


CONSENSUS_RULES: Mapping[str, ConsensusRule] = {
    "latest": _per_target(_latest),
    "single": _per_target(_single),
    "unanimous": _per_target(_unanimous),
    "majority": _per_target(_majority),
    "adjudicated": _per_target(_adjudicated),
    "dawid_skene": _dawid_skene,
}
"""`latest`: the last word, whoever said it. `single`: the last word of whoever read first. `unanimous`: what all say
who read it. `majority`: what more than half of them say. `adjudicated`: the adjudicator's word, else the unanimous.
`dawid_skene`: what is more likely than not once each rater's errors are estimated from all readings."""


def consensus_labels(events: Iterable[LabelEvent], rule: str = "latest") -> dict[str, str]:
    """Return the agreed view, or `unusable`, by frame or clip that was labeled.

    Raises:
        UnknownNameError: `rule` is no name of `RULES`.
    """
    if rule not in CONSENSUS_RULES:
        raise UnknownNameError.among("consensus rule", rule, list(CONSENSUS_RULES))
    return dict(CONSENSUS_RULES[rule](readings_by_target(events)))


def frame_labels(events: Sequence[LabelEvent], frames: pa.Table, rule: str = "latest") -> dict[str, str]:
    """Return the view of every labeled frame.

    A label of a clip holds for all its frames; a label of a frame overrides its clip's, one that calls it unusable too.

    Args:
        events: In the order in which they were recorded.
        frames: The store's frames table (`frame`, `clip`).
        rule: A name of `RULES`.

    Returns:
        View name by frame identifier; frames without an agreed view are absent.
    """
    agreed = consensus_labels(events, rule)
    found: dict[str, str] = {}
    for frame, clip in zip(frames["frame"].to_pylist(), frames["clip"].to_pylist(), strict=True):
        view = agreed[frame] if frame in agreed else agreed.get(clip, "")
        if view in VIEWS:
            found[frame] = view
    return found


def count_labels(
    events: Sequence[LabelEvent], stores: Frames, rule: str = "latest"
) -> list[tuple[str, str, int, int, int]]:
    """Return hospital, view and the number of labeled patients, clips and frames, sorted."""
    agreed = frame_labels(events, stores.frames, rule)
    seen: dict[tuple[str, str], tuple[set[str], set[str], set[str]]] = {}
    for row in stores.frames.select(["frame", "clip", "patient", "site"]).to_pylist():
        view = agreed.get(row["frame"])
        if view is not None:
            sets = seen.setdefault((row["site"], view), (set(), set(), set()))
            for found, name in zip(sets, ("patient", "clip", "frame"), strict=True):
                found.add(row[name])
    return [
        (site, view, len(patients), len(clips), len(frames))
        for (site, view), (patients, clips, frames) in sorted(seen.items())
    ]
