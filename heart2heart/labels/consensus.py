"""Consensus rules: they derive the view of a clip or frame from its label events."""

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
from heart2heart.store.frame_store import Frames

_NO_VIEW = ("", LabelAnswer.UNUSABLE, LabelAnswer.UNSURE)


@dataclass(frozen=True)
class TargetReadings:
    """The active readings and decisions of one clip or frame; retracted ones are left out.

    Attributes:
        readings: The last reading of each rater, in order of time: a view or `unusable`. `unsure` is no reading.
        first_rater: The rater who read first.
        adjudicated: The last decision of an adjudicator: a view or `unusable`; None without one.
        last_value: The last reading or decision of all.
    """

    readings: Mapping[str, str]
    first_rater: str | None
    adjudicated: str | None
    last_value: str


def readings_by_target(events: Iterable[LabelEvent]) -> dict[str, TargetReadings]:
    """Return the active readings by frame or clip; a target without reading or decision is absent.

    Args:
        events: Label events in the order in which they were recorded.
    """
    answers: dict[str, dict[tuple[str, str], str]] = {}
    reader_order: dict[str, list[str]] = {}
    for event in active_events(events):
        target_answers = answers.setdefault(event.target, {})
        target_answers.pop((event.kind, event.rater), None)  # the rater's last reading comes last
        if event.answer != LabelAnswer.UNSURE:
            target_answers[event.kind, event.rater] = event.value
        if event.kind == EventKind.LABEL:
            reader_order.setdefault(event.target, []).append(event.rater)
    readings_of = {}
    for target, answers_of_target in answers.items():
        readings = {rater: value for (kind, rater), value in answers_of_target.items() if kind == EventKind.LABEL}
        rulings = [value for (kind, _), value in answers_of_target.items() if kind == EventKind.ADJUDICATION]
        first = next((rater for rater in reader_order.get(target, ()) if rater in readings), None)
        if answers_of_target:
            last = list(answers_of_target.values())[-1]
            readings_of[target] = TargetReadings(readings, first, rulings[-1] if rulings else None, last)
    return readings_of


ConsensusRule = Callable[[Mapping[str, TargetReadings]], Mapping[str, str]]
"""Takes the readings of every target and returns the agreed view, or `unusable`, of each target that has one."""


def _per_target(rule: Callable[[TargetReadings], str | None]) -> ConsensusRule:
    """Return the consensus rule that applies `rule` to each target alone."""

    def over_all(readings_of: Mapping[str, TargetReadings]) -> dict[str, str]:
        agreed = {target: rule(opinion) for target, opinion in readings_of.items()}
        return {target: view for target, view in agreed.items() if view is not None}

    return over_all


def _latest(readings: TargetReadings) -> str | None:
    return readings.last_value


def _single(readings: TargetReadings) -> str | None:
    return None if readings.first_rater is None else readings.readings[readings.first_rater]


def _unanimous(readings: TargetReadings) -> str | None:
    return next(iter(readings.readings.values())) if len(set(readings.readings.values())) == 1 else None


def _majority(readings: TargetReadings) -> str | None:
    if not readings.readings:
        return None
    view, count = Counter(readings.readings.values()).most_common(1)[0]
    return view if 2 * count > len(readings.readings) else None


def _adjudicated(readings: TargetReadings) -> str | None:
    return _unanimous(readings) if readings.adjudicated is None else readings.adjudicated


@dataclass(frozen=True)
class DawidSkeneConsensus:
    """Dawid and Skene's model of all readings.

    Attributes:
        targets: Clips and frames that were read, in the order of `model.posterior`.
        raters: Raters, in the order of `model.errors`.
        values: Views, and `unusable`, in the order of the model's classes.
        model: The fitted model.
    """

    targets: tuple[str, ...]
    raters: tuple[str, ...]
    values: tuple[str, ...]
    model: DawidSkeneFit


def fit_readings(readings_of: Mapping[str, TargetReadings]) -> DawidSkeneConsensus:
    """Fit Dawid and Skene's model to the readings. Decisions are not readings; `unsure` is a missing reading.

    Raises:
        LabelError: the fit does not converge.
    """
    readings_by_rater = {
        target: readings_of[target].readings for target in sorted(readings_of) if readings_of[target].readings
    }
    raters = sorted({rater for values in readings_by_rater.values() for rater in values})
    values = sorted({value for readings in readings_by_rater.values() for value in readings.values()})
    counts = np.zeros((len(readings_by_rater), len(raters), len(values)))
    for item, readings in enumerate(readings_by_rater.values()):
        for rater, value in readings.items():
            counts[item, raters.index(rater), values.index(value)] = 1
    model = fit_dawid_skene(counts)
    if not model.converged:
        remedy = "Name another rule, such as majority: the raters contradict each other too much for this rule"
        raise LabelError(f"Dawid and Skene's model did not converge in {model.iterations} steps", remedy=remedy)
    return DawidSkeneConsensus(tuple(readings_by_rater), tuple(raters), tuple(values), model)


def _dawid_skene(readings_of: Mapping[str, TargetReadings]) -> dict[str, str]:
    if not any(opinion.readings for opinion in readings_of.values()):
        return {}
    consensus = fit_readings(readings_of)
    most_likely = consensus.model.posterior.argmax(1)
    likely = consensus.model.posterior.max(1) > 0.5
    return {
        target: consensus.values[value_index]
        for target, value_index, is_likely in zip(consensus.targets, most_likely, likely, strict=True)
        if is_likely
    }


CONSENSUS_RULES: Mapping[str, ConsensusRule] = {
    "latest": _per_target(_latest),
    "single": _per_target(_single),
    "unanimous": _per_target(_unanimous),
    "majority": _per_target(_majority),
    "adjudicated": _per_target(_adjudicated),
    "dawid_skene": _dawid_skene,
}
"""`latest`: the last reading or decision. `single`: the last reading of the rater who read first. `unanimous`: the
value that all readers gave. `majority`: the value that more than half of the readers gave. `adjudicated`: the
adjudicator's decision, else the unanimous value. `dawid_skene`: the value with a probability above one half, once the
errors of each rater are estimated from all readings."""


def consensus_labels(events: Iterable[LabelEvent], rule: str = "latest") -> dict[str, str]:
    """Return the agreed view, or `unusable`, by frame or clip.

    Args:
        events: Label events in the order in which they were recorded.
        rule: A name of `CONSENSUS_RULES`.

    Raises:
        UnknownNameError: `rule` is not a name of `CONSENSUS_RULES`.

    Examples:
        >>> from heart2heart.labels import LabelEvent, consensus_labels
        >>> events = [LabelEvent("clip1", "", "A4C", rater, "", "csv") for rater in ("a", "b")]
        >>> consensus_labels(events, "unanimous")
        {'clip1': 'A4C'}
    """
    if rule not in CONSENSUS_RULES:
        raise UnknownNameError.among("consensus rule", rule, list(CONSENSUS_RULES))
    return dict(CONSENSUS_RULES[rule](readings_by_target(events)))


def frame_labels(events: Sequence[LabelEvent], frames: pa.Table, rule: str = "latest") -> dict[str, str]:
    """Return the view of every labeled frame.

    A label of a clip holds for all its frames. A label of a frame, also `unusable`, overrides the label of its clip.

    Args:
        events: Label events in the order in which they were recorded.
        frames: The store's table of frames (`frame`, `clip`).
        rule: A name of `CONSENSUS_RULES`.

    Returns:
        View name by frame identifier; frames without an agreed view are absent.
    """
    agreed = consensus_labels(events, rule)
    views: dict[str, str] = {}
    for frame, clip in zip(frames["frame"].to_pylist(), frames["clip"].to_pylist(), strict=True):
        view = agreed[frame] if frame in agreed else agreed.get(clip, "")
        if view not in _NO_VIEW:
            views[frame] = view
    return views


def count_labels(
    events: Sequence[LabelEvent], stores: Frames, rule: str = "latest"
) -> list[tuple[str, str, int, int, int]]:
    """Return hospital, view, and the numbers of labeled patients, clips and frames, sorted."""
    agreed = frame_labels(events, stores.frames, rule)
    members: dict[tuple[str, str], tuple[set[str], set[str], set[str]]] = {}
    for row in stores.frames.select(["frame", "clip", "patient", "site"]).to_pylist():
        view = agreed.get(row["frame"])
        if view is not None:
            sets = members.setdefault((row["site"], view), (set(), set(), set()))
            for names, column in zip(sets, ("patient", "clip", "frame"), strict=True):
                names.add(row[column])
    return [
        (site, view, len(patients), len(clips), len(frames))
        for (site, view), (patients, clips, frames) in sorted(members.items())
    ]
