"""Inter-rater agreement of a label store: overall, by view and by hospital, with intervals over patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt

from heart2heart.labels.agreement_coefficients import (
    Floats,
    ReadingMatrix,
    cohen_kappa,
    coincidences,
    fleiss_kappa,
    fleiss_sums,
    krippendorff_alpha,
    one_against_rest,
)
from heart2heart.store.frame_store import Frames
from heart2heart.utils import random_stream

ALL_VIEWS = "all"
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
        view: The value that is compared with all others, or `all`.
        raters: The two raters of a Cohen's kappa; empty otherwise.
        units: Number of clips and frames that were read at least twice.
        patients: Number of their patients; 0 when the patients are not known.
        value: At most 1, 0 at chance; None when it is not estimable.
        low: Lower end of the 95 % interval; None without an interval.
        high: Upper end of the interval; None without one.
        note: Why value or interval are missing, or to which units they are limited.
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


def unit_locations(stores: Frames) -> Locations:
    """Return the hospital and the patient of every clip and frame of the stores."""
    locations = {}
    for name, table in (("clip", stores.clips), ("frame", stores.frames)):
        columns = (table[column].to_pylist() for column in (name, "site", "patient"))
        locations.update({unit: (site, f"{site}\x1f{patient}") for unit, site, patient in zip(*columns, strict=True)})
    return locations


def measure_agreement(
    readings: ReadingMatrix, locations: Locations | None = None, *, replicates: int = 2000, seed: int = 0
) -> list[Agreement]:
    """Measure agreement overall and by view; with locations also by hospital, and with intervals.

    The percentile bootstrap resamples whole patients, because the clips of one patient are similarly hard to read.

    Args:
        readings: The readings of all raters.
        locations: As `unit_locations` returns them; units without a location are left out. None: no intervals.
        replicates: Number of resamples.
        seed: Seed of the resamples.

    Returns:
        Krippendorff's alpha, Fleiss' kappa and Cohen's kappa of each two raters, each overall and by view.
    """
    if locations is None:
        return list(_site_agreement(readings, ALL_VIEWS, None, 0, seed))
    located = readings.select_units([index for index, unit in enumerate(readings.units) if unit in locations])
    sites = sorted({locations[unit][0] for unit in located.units})
    agreements = list(_site_agreement(located, ALL_VIEWS, locations, replicates, seed))
    for site in sites if len(sites) > 1 else ():
        site_readings = located.select_units(
            [index for index, unit in enumerate(located.units) if locations[unit][0] == site]
        )
        agreements += _site_agreement(site_readings, site, locations, replicates, seed)
    return agreements


def _site_agreement(
    readings: ReadingMatrix, site: str, locations: Locations | None, replicates: int, seed: int
) -> Iterator[Agreement]:
    counts = readings.counts
    readings_per_unit: Floats = counts.sum(1)
    read_twice: npt.NDArray[np.bool_] = np.greater_equal(readings_per_unit, 2)
    patients = None if locations is None else np.array([locations[unit][1] for unit in readings.units], dtype=str)

    def estimate_views(
        name: str,
        raters: tuple[str, ...],
        mask: npt.NDArray[np.bool_],
        statistics: Floats,
        measure: _Measure,
        note: str,
    ) -> Iterator[Agreement]:
        bootstrap = _PatientBootstrap(
            statistics, None if patients is None else patients[mask], replicates, (seed, name, site, *raters)
        )
        for value_number, view in [(None, ALL_VIEWS), *enumerate(readings.values)]:
            yield bootstrap.estimate(Agreement(name, site, view, raters, len(statistics), 0, None, None, None, note),
                                  partial(measure, value=value_number))  # fmt: skip

    yield from estimate_views("krippendorff", (), read_twice, coincidences(counts[read_twice]), _alpha, "")
    usual_count = _most_common_count(readings_per_unit)
    has_usual_count: npt.NDArray[np.bool_] = np.equal(readings_per_unit, usual_count)
    note = "" if has_usual_count[read_twice].all() else f"of clips read {usual_count} times"
    yield from estimate_views(
        "fleiss",
        (),
        has_usual_count,
        fleiss_sums(counts[has_usual_count]),
        partial(_fleiss, readings=usual_count),
        note,
    )
    for first, second in combinations(range(len(readings.raters)), 2):
        read_by_both = np.logical_and(readings.value_index[:, first] >= 0, readings.value_index[:, second] >= 0)
        if read_by_both.any():
            tables = np.zeros((int(read_by_both.sum()), len(readings.values), len(readings.values)))
            tables[
                np.arange(len(tables)),
                readings.value_index[read_by_both, first],
                readings.value_index[read_by_both, second],
            ] = 1
            yield from estimate_views(
                "cohen", (readings.raters[first], readings.raters[second]), read_by_both, tables, _cohen, ""
            )


_Measure = Callable[..., Floats]


def _alpha(table: Floats, *, value: int | None) -> Floats:
    return krippendorff_alpha(table if value is None else one_against_rest(table, value))


def _cohen(table: Floats, *, value: int | None) -> Floats:
    return cohen_kappa(table if value is None else one_against_rest(table, value))


def _fleiss(sums: Floats, *, value: int | None, readings: int) -> Floats:
    return fleiss_kappa(sums, readings, value)


def _most_common_count(readings_per_unit: Floats) -> int:
    """Return the most common number of readings of a unit, at least 2; of two equally common numbers, the larger."""
    counts = Counter(int(count) for count in readings_per_unit if count >= 2)
    return max(counts, key=lambda count: (counts[count], count), default=2)


class _PatientBootstrap:
    """Sums of a statistic by patient, and over resamples of the patients.

    Args:
        statistics: Statistic of each unit, `(units, ...)`.
        patients: Patient of each unit; None when not known.
        replicates: Number of resamples.
        stream: Seed and names of the random stream.
    """

    def __init__(
        self,
        statistics: Floats,
        patient_of_unit: npt.NDArray[np.str_] | None,
        replicates: int,
        seed_and_names: tuple[int | str, ...],
    ) -> None:
        self.total = statistics.sum(0)
        self.patients, self.resampled = 0, None
        if patient_of_unit is not None and len(patient_of_unit):
            patients, patient_index = np.unique(patient_of_unit, return_inverse=True)
            self.patients = len(patients)
            sums = np.zeros((self.patients, *statistics.shape[1:]))
            np.add.at(sums, patient_index, statistics)
            generator = random_stream(int(seed_and_names[0]), "agreement", *seed_and_names[1:])
            weights = generator.multinomial(self.patients, np.full(self.patients, 1 / self.patients), size=replicates)
            self.resampled = np.tensordot(weights.astype(np.float64), sums, axes=1)

    def estimate(self, template: Agreement, measure: Callable[[Floats], Floats]) -> Agreement:
        """Return `template` with value and interval, or a note on why they are missing."""
        value = float(measure(self.total))
        low = high = None
        note = template.note
        if not template.units:
            note = "not estimable: no clip was read twice"
        elif np.isnan(value):
            note = (
                "not estimable: all readings have the same value"
                if template.view == ALL_VIEWS
                else "not estimable: all readings or none have this value"
            )
        elif self.resampled is not None:
            resampled_values = measure(self.resampled)
            usable = resampled_values[~np.isnan(resampled_values)]
            if self.patients < 2:
                note = "no interval: one patient"
            elif len(usable) < _MIN_ESTIMABLE * len(resampled_values):
                note = "no interval: the value is too rare, many resamples do not contain it"
            else:
                low, high = (float(end) for end in np.quantile(usable, (_TAIL_PROBABILITY, 1 - _TAIL_PROBABILITY)))
        estimate = None if np.isnan(value) else value
        return Agreement(
            template.measure,
            template.site,
            template.view,
            template.raters,
            template.units,
            self.patients,
            estimate,
            low,
            high,
            note,
        )
