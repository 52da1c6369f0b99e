"""How far the raters of a label book agree: in all, by view and by hospital, with intervals over patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt

from heart2heart.errors import UnknownNameError
from heart2heart.labels.agreement_coefficients import (
    Floats,
    cohen_kappa,
    coincidences,
    fleiss_kappa,
    fleiss_sums,
    krippendorff_alpha,
    one_against_rest,
)
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.store.frame_store import Frames
from heart2heart.utils import random_stream

ALL_VIEWS = "all"
NON_VIEW_HANDLING = ("missing", "word")
FEW_PATIENTS = 30
"""With fewer, an interval over patients is too narrow."""
_TAIL_PROBABILITY = 0.025
_MIN_ESTIMABLE = 0.9  # share of resamples that must be estimable for an interval

Locations = Mapping[str, tuple[str, str]]
"""Hospital and patient of each clip and frame."""


@dataclass(frozen=True)
class Agreement:
    """One measure.

    Attributes:
        measure: `cohen`, `fleiss` or `krippendorff`.
        site: Hospital, or `all`.
        view: The word that is held against the rest, or `all`.
        raters: The two of a Cohen's kappa; empty otherwise.
        units: Clips and frames that it rests on, each read at least twice.
        patients: Their patients; 0 when they are not known.
        value: At most 1, 0 at chance; None when it is not estimable.
        low: Of the 95 % interval; None without one.
        high: As `low`.
        note: Why value or interval are missing, or what they are limited to.
    """

    measure: str
    site: str
    view: str
    raters: tuple[str, ...]
    units: int
    patients: int
    value: float | None
    low: float | None
    high: float | None
    note: str


@dataclass(frozen=True)
class ReadingMatrix:
    """What stands of each rater, as a table with gaps.

    Attributes:
        units: Clips and frames, sorted.
        raters: Sorted.
        values: Views, `unusable`, `unsure`, as far as they occur; sorted.
        value_index: Number of the word that a rater said of a unit, `(units, raters)`; -1 for none.
    """

    units: tuple[str, ...]
    raters: tuple[str, ...]
    values: tuple[str, ...]
    value_index: npt.NDArray[np.int64]

    @classmethod
    def from_events(
        cls, events: Iterable[LabelEvent], *, unsure: str = "missing", unusable: str = "word"
    ) -> ReadingMatrix:
        """Take the last word of each rater about each clip or frame; rulings of adjudicators are not readings.

        Args:
            events: In the order in which they were recorded.
            unsure: `missing`: as if the rater had not read it; `word`: a word like a view.
            unusable: The same choice.
        """
        for how in (unsure, unusable):
            if how not in NON_VIEW_HANDLING:
                raise UnknownNameError.among("way to count a reading without a view", how, list(NON_VIEW_HANDLING))
        left_out = {
            word for word, how in ((LabelAnswer.UNSURE, unsure), (LabelAnswer.UNUSABLE, unusable)) if how == "missing"
        }
        last = {
            (event.target, event.rater): event.value for event in active_events(events) if event.kind == EventKind.LABEL
        }
        last = {key: word for key, word in last.items() if word not in left_out}
        units, raters = (tuple(sorted({key[place] for key in last})) for place in (0, 1))
        words = tuple(sorted(set(last.values())))
        row, column, number = ({name: at for at, name in enumerate(names)} for names in (units, raters, words))
        said = np.full((len(units), len(raters)), -1)
        for (unit, rater), word in last.items():
            said[row[unit], column[rater]] = number[word]
        return cls(units, raters, words, said)

    def select_units(self, kept: Sequence[int]) -> ReadingMatrix:
        """Return the readings of some units, by number."""
        return ReadingMatrix(
            tuple(self.units[at] for at in kept), self.raters, self.values, self.value_index[list(kept)]
        )

    @property
    def counts(self) -> Floats:
        """Readings by word, `(units, words)`."""
        found: Floats = (self.value_index[:, :, None] == np.arange(len(self.values))).sum(1).astype(np.float64)
        return found


def unit_locations(stores: Frames) -> Locations:
    """Return hospital and patient of every clip and frame of the stores."""
    found = {}
    for name, table in (("clip", stores.clips), ("frame", stores.frames)):
        columns = (table[column].to_pylist() for column in (name, "site", "patient"))
        found.update({unit: (site, f"{site}\x1f{patient}") for unit, site, patient in zip(*columns, strict=True)})
    return found


def measure_agreement(
    readings: ReadingMatrix, place: Locations | None = None, *, replicates: int = 2000, seed: int = 0
) -> list[Agreement]:
    """Measure agreement in all and by view; with places also by hospital, and with intervals.

    Whole patients are resampled, since the clips of one patient are hard, or easy, together; the interval is that of
    the percentiles.

    Args:
        readings: What was said.
        place: See `places`; units that are not in it are left out. Without it there are no intervals.
        replicates: Resamples.
        seed: Of the resamples.
    """
    if place is None:
        return list(_site_agreement(readings, ALL_VIEWS, None, 0, seed))
    known = readings.select_units([at for at, unit in enumerate(readings.units) if unit in place])
    sites = sorted({place[unit][0] for unit in known.units})
    found = list(_site_agreement(known, ALL_VIEWS, place, replicates, seed))
    for site in sites if len(sites) > 1 else ():
        mine = known.select_units([at for at, unit in enumerate(known.units) if place[unit][0] == site])
        found += _site_agreement(mine, site, place, replicates, seed)
    return found


def _site_agreement(
    said: ReadingMatrix, site: str, place: Locations | None, replicates: int, seed: int
) -> Iterator[Agreement]:
    counts = said.counts
    often: Floats = counts.sum(1)
    twice: npt.NDArray[np.bool_] = np.greater_equal(often, 2)
    owner = None if place is None else np.array([place[unit][1] for unit in said.units], dtype=str)

    def measured(
        name: str,
        raters: tuple[str, ...],
        kept: npt.NDArray[np.bool_],
        statistics: Floats,
        measure: _Measure,
        note: str,
    ) -> Iterator[Agreement]:
        groups = _PatientBootstrap(
            statistics, None if owner is None else owner[kept], replicates, (seed, name, site, *raters)
        )
        for number, view in [(None, ALL_VIEWS), *enumerate(said.values)]:
            yield groups.estimate(Agreement(name, site, view, raters, len(statistics), 0, None, None, None, note),
                                  partial(measure, word=number))  # fmt: skip

    yield from measured("krippendorff", (), twice, coincidences(counts[twice]), _alpha, "")
    usual = _most_common_count(often)
    same: npt.NDArray[np.bool_] = np.equal(often, usual)
    note = "" if same[twice].all() else f"of clips read {usual} times"
    yield from measured("fleiss", (), same, fleiss_sums(counts[same]), partial(_fleiss, readings=usual), note)
    for one, other in combinations(range(len(said.raters)), 2):
        both = np.logical_and(said.value_index[:, one] >= 0, said.value_index[:, other] >= 0)
        if both.any():
            tables = np.zeros((int(both.sum()), len(said.values), len(said.values)))
            tables[np.arange(len(tables)), said.value_index[both, one], said.value_index[both, other]] = 1
            yield from measured("cohen", (said.raters[one], said.raters[other]), both, tables, _cohen, "")


_Measure = Callable[..., Floats]


def _alpha(table: Floats, *, word: int | None) -> Floats:
    return krippendorff_alpha(table if word is None else one_against_rest(table, word))


def _cohen(table: Floats, *, word: int | None) -> Floats:
    return cohen_kappa(table if word is None else one_against_rest(table, word))


def _fleiss(sums: Floats, *, word: int | None, readings: int) -> Floats:
    return fleiss_kappa(sums, readings, word)


def _most_common_count(often: Floats) -> int:
    """Return how often most units were read, of those that were read twice or more; the larger of two as common."""
    found = Counter(int(times) for times in often if times >= 2)
    return max(found, key=lambda times: (found[times], times), default=2)


class _PatientBootstrap:
    """Sums of a statistic by patient, and over resamples of the patients.

    Args:
        statistics: Of each unit, `(units, ...)`.
        owners: Patient of each unit; None when not known.
        replicates: Resamples.
        names: What is resampled: its seed, and names.
    """

    def __init__(
        self, statistics: Floats, owners: npt.NDArray[np.str_] | None, replicates: int, names: tuple[int | str, ...]
    ) -> None:
        self.total = statistics.sum(0)
        self.patients, self.resampled = 0, None
        if owners is not None and len(owners):
            patients, member = np.unique(owners, return_inverse=True)
            self.patients = len(patients)
            sums = np.zeros((self.patients, *statistics.shape[1:]))
            np.add.at(sums, member, statistics)
            generator = random_stream(int(names[0]), "agreement", *names[1:])
            weights = generator.multinomial(self.patients, np.full(self.patients, 1 / self.patients), size=replicates)
            self.resampled = np.tensordot(weights.astype(np.float64), sums, axes=1)

    def estimate(self, about: Agreement, measure: Callable[[Floats], Floats]) -> Agreement:
        """Return `about` with value, interval and the reason for what is missing."""
        value = float(measure(self.total))
        low = high = None
        note = about.note
        if not about.units:
            note = "not estimable: nothing was read twice"
        elif np.isnan(value):
            note = (
                "not estimable: all readings say the same"
                if about.view == ALL_VIEWS
                else "not estimable: always said, or never"
            )
        elif self.resampled is not None:
            drawn = measure(self.resampled)
            usable = drawn[~np.isnan(drawn)]
            if self.patients < 2:
                note = "no interval: one patient"
            elif len(usable) < _MIN_ESTIMABLE * len(drawn):
                note = "no interval: too rare, many resamples are without it"
            else:
                low, high = (float(end) for end in np.quantile(usable, (_TAIL_PROBABILITY, 1 - _TAIL_PROBABILITY)))
        known = None if np.isnan(value) else value
        return Agreement(
            about.measure, about.site, about.view, about.raters, about.units, self.patients, known, low, high, note
        )
