"""Compares what comes in with the validation of the model, and silent models with the active one.

The shift of a measure is the population stability index over the ten ranges between the deciles of the reference:
`sum((p - q) * log(p / q))`, with half a clip added to each range. By custom, above 0.1 is worth a look, above 0.25 a
change (Siddiqi, Credit Risk Scorecards, 2006, chapter 6). It is a description; the test is in `service.drift`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.service import ClipMeasures, ServiceReference
from heart2heart.service.drift import clip_of_each_patient, measure_statistics
from heart2heart.service.queue import ServiceQueue
from heart2heart.utils import read_json

FEWEST_CLIPS = 50
"""Clips below which nothing is compared."""
WORTH_A_LOOK, CHANGED = 0.1, 0.25
"""Shifts that the page marks."""


def make_reference(
    measures: Sequence[ClipMeasures],
    *,
    weights_sha256: str,
    classes: Sequence[str] = (),
    patients: Sequence[str] = (),
    clips: Sequence[str] = (),
) -> ServiceReference:
    """Return the reference of a validation.

    Args:
        measures: One item a clip.
        weights_sha256: Hash of the model's weights.
        classes: Views of the model.
        patients: Name of the patient of each clip, which is not kept; empty: there is no drift test.
        clips: Name of each clip, such as the hash of its file.

    Raises:
        EvaluationError: fewer than 20 clips.
    """
    if len(measures) < 20:
        raise EvaluationError(f"a reference needs 20 clips, here are {len(measures)}", remedy="Name more clips")
    columns, chosen = _columns(measures), clip_of_each_patient(patients, clips)
    deciles = {name: np.quantile(values, np.arange(1, 10) / 10) for name, values in columns.items()}
    return ServiceReference(
        kind="heart2heart service reference",
        weights_sha256=weights_sha256,
        clips=len(measures),
        deciles={name: tuple(cuts.round(9).tolist()) for name, cuts in deciles.items()},
        shares={name: tuple(_shares(values, deciles[name]).tolist()) for name, values in columns.items()},
        manufacturers=dict(sorted(Counter(each.manufacturer for each in measures).items())),
        classes=tuple(classes),
        patients=len(chosen),
        statistics=measure_statistics([measures[index] for index in chosen], classes) if chosen else {},
    )


def read_reference(path: Path, *, weights_sha256: str) -> ServiceReference:
    """Read a reference.

    Raises:
        ConfigError: no reference, or that of another model.
        MissingInputError: no such file.
    """
    content = read_json(path, what="reference of a service")
    reference = ServiceReference.parse(content if isinstance(content, dict) else {}, where=path)
    if reference.weights_sha256 != weights_sha256:
        remedy = "Write one for the active model: heart2heart service-reference"
        raise ConfigError("this reference is of another model", where=path, remedy=remedy)
    return reference


def _columns(measures: Sequence[ClipMeasures]) -> dict[str, npt.NDArray[np.float64]]:
    names = ("gray mean", "gray black", "sector", "frames", "confidence")
    rows = [each.values() for each in measures]
    columns = {name: np.array([row[name] for row in rows if name in row]) for name in names}
    return {name: values for name, values in columns.items() if len(values)}


def _shares(values: npt.NDArray[np.float64], cuts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(np.asarray(cuts), values), minlength=10)
    shares: npt.NDArray[np.float64] = counts / counts.sum()
    return shares


@dataclass(frozen=True)
class InputShift:
    """One measure of the last clips beside the reference.

    Attributes:
        name: Name of the measure.
        reference: Median of the reference.
        live: Median of the last clips.
        shift: Population stability index.
    """

    name: str
    reference: float
    live: float
    shift: float


def input_shifts(reference: ServiceReference, measures: Sequence[ClipMeasures]) -> list[InputShift]:
    """Compare the last clips with the reference; empty with fewer than 50 clips.

    Args:
        reference: The reference.
        measures: The last clips.
    """
    if len(measures) < FEWEST_CLIPS:
        return []
    shifts = []
    for name, values in _columns(measures).items():
        if name in reference.deciles:
            cuts = reference.deciles[name]
            expected, live = np.asarray(reference.shares[name]), _shares(values, cuts)
            index = stability_index(expected, live, clips=len(values))
            shifts.append(InputShift(name, cuts[4], float(np.median(values)), index))
    makers = Counter(each.manufacturer for each in measures)
    known = sorted(reference.manufacturers.keys() | makers.keys())
    one = np.array([reference.manufacturers.get(name, 0) for name in known]) / reference.clips
    other = np.array([makers[name] for name in known]) / len(measures)
    shifts.append(InputShift("manufacturer", np.nan, np.nan, stability_index(one, other, clips=len(measures))))
    return shifts


def stability_index(expected: npt.NDArray[np.float64], live: npt.NDArray[np.float64], *, clips: int) -> float:
    """Return the population stability index of two lists of shares; half a clip is added to each range.

    Args:
        expected: Shares of the reference.
        live: Shares of the last clips.
        clips: Number of the last clips.

    Examples:
        >>> stability_index(np.array([0.5, 0.5]), np.array([0.5, 0.5]), clips=100)
        0.0
    """
    added = 0.5 / clips
    p, q = ((shares + added) / (1 + added * len(shares)) for shares in (live, expected))
    return float(((p - q) * np.log(p / q)).sum())


def last_measures(queue: ServiceQueue, clips: int) -> list[ClipMeasures]:
    """Return the measures of the last clips that the active model answered while it was active."""
    sql = (
        "SELECT measures FROM clips WHERE measures IS NOT NULL AND name IN (SELECT clip FROM answers WHERE model = ?"
        " AND active) ORDER BY answered DESC LIMIT ?"
    )
    return [ClipMeasures.model_validate_json(line) for (line,) in queue.rows(sql, queue.active, clips)]


@dataclass(frozen=True)
class Agreement:
    """How often a silent model gave the view of the active one in one week.

    Attributes:
        model: The silent model.
        week: ISO week.
        clips: Clips to which both gave one view.
        same: Those with the same view.
    """

    model: str
    week: str
    clips: int
    same: int


def weekly_agreement(queue: ServiceQueue) -> list[Agreement]:
    """Return the agreement of each silent model with the active one by week, of clips to which both gave one view."""
    sql = (
        "SELECT s.model, CAST(a.answered / 86400 AS INTEGER), count(*), sum(s.view = a.view) FROM answers s"
        " JOIN answers a ON a.clip = s.clip AND a.model = ? WHERE s.model != ? AND s.view IS NOT NULL"
        " AND a.view IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
    weeks: dict[tuple[str, str], tuple[int, int]] = {}
    for model, day, clips, same in queue.rows(sql, queue.active, queue.active):
        year, week, _ = datetime.fromtimestamp(day * 86_400, UTC).isocalendar()
        key = model, f"{year}-W{week:02d}"
        before = weeks.get(key, (0, 0))
        weeks[key] = before[0] + clips, before[1] + same
    return [Agreement(model, week, clips, same) for (model, week), (clips, same) in weeks.items()]
