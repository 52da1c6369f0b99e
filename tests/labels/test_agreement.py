"""Agreement of a label store: what counts as a reading, what is not estimable, and what patients do to the interval."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from heart2heart.errors import UnknownNameError
from heart2heart.labels.agreement import ALL_VIEWS, Agreement, Locations, measure_agreement, unit_locations
from heart2heart.labels.agreement_coefficients import ReadingMatrix
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import EventKind, LabelAnswer
from heart2heart.testing.stores import random_store


def _label_event(clip: str, rater: str, word: str, kind: str = "label") -> LabelEvent:
    view, answer = ("", LabelAnswer(word)) if word in ("unsure", "unusable") else (word, LabelAnswer.VIEW)
    return LabelEvent(clip, "", view, rater, "", "test", kind=EventKind(kind), answer=answer)


def _pairs(words: Sequence[str]) -> list[LabelEvent]:
    """Two readings a clip: `A4C A2C` is clip c<n>, read by a and by b."""
    return [
        _label_event(f"c{index:03d}", rater, word)
        for index, pair in enumerate(words)
        for rater, word in zip("ab", pair.split(), strict=True)
    ]


def _of(agreements: Sequence[Agreement], measure: str, view: str = ALL_VIEWS, site: str = ALL_VIEWS) -> Agreement:
    return next(one for one in agreements if (one.measure, one.view, one.site) == (measure, view, site))


def test_reading_matrix_holds_last_readings_and_no_adjudications() -> None:
    events = [
        _label_event("c1", "a", "A4C"),
        _label_event("c1", "a", "A2C"),
        _label_event("c1", "b", "unsure"),
        _label_event("c2", "b", "unusable"),
    ]
    events += [_label_event("c1", "z", "PLAX", "adjudication"), _label_event("c3", "a", "PLAX")]
    events += [events[-1].retraction("")]
    assert ReadingMatrix.from_events(events).values == ("A2C", "unusable")
    assert ReadingMatrix.from_events(events).counts.tolist() == [[1, 0], [0, 1]]
    assert ReadingMatrix.from_events(events, unsure="word", unusable="missing").values == ("A2C", "unsure")
    with pytest.raises(UnknownNameError, match="Known: missing, word"):
        ReadingMatrix.from_events(events, unsure="ignore")


def test_measure_agreement_of_two_raters_by_hand() -> None:
    # 10 clips: both A4C 4 times, both A2C 3 times, A4C/A2C twice, A2C/A4C once. Chance: .6 * .5 + .4 * .5 = .5.
    agreements = measure_agreement(
        ReadingMatrix.from_events(_pairs(["A4C A4C"] * 4 + ["A2C A2C"] * 3 + ["A4C A2C"] * 2 + ["A2C A4C"]))
    )
    cohen = _of(agreements, "cohen")
    assert cohen.value == pytest.approx((0.7 - 0.5) / 0.5)
    assert (cohen.raters, cohen.units) == (("a", "b"), 10)
    assert (cohen.low, cohen.high, cohen.patients) == (None, None, 0)
    chance = 0.55**2 + 0.45**2
    assert _of(agreements, "fleiss").value == pytest.approx((0.7 - chance) / (1 - chance))
    assert _of(agreements, "krippendorff").value == pytest.approx(1 - 19 * 6 / (400 - 11**2 - 9**2))
    assert (
        _of(agreements, "krippendorff", "A4C").value == _of(agreements, "krippendorff").value
    )  # two views: one against the other


def test_measure_agreement_limits_fleiss_to_equally_often_read_clips() -> None:
    events = [
        *_pairs(["A4C A4C", "A2C A2C", "A4C A2C"]),
        _label_event("c000", "c", "A4C"),
        _label_event("c009", "c", "A4C"),
    ]
    agreements = measure_agreement(ReadingMatrix.from_events(events))
    assert (_of(agreements, "fleiss").units, _of(agreements, "fleiss").note) == (2, "of clips read 2 times")
    assert _of(agreements, "krippendorff").units == 3


@pytest.mark.parametrize(
    ("events", "note"),
    [
        ([], "no clip was read twice"),
        ([_label_event("c1", "a", "A4C"), _label_event("c2", "b", "A4C")], "no clip was read twice"),
        (_pairs(["A4C A4C"] * 3), "all readings have the same value"),
    ],
)
def test_measure_agreement_notes_what_is_not_estimable(events: list[LabelEvent], note: str) -> None:
    agreement = _of(measure_agreement(ReadingMatrix.from_events(events)), "krippendorff")
    assert (agreement.value, agreement.low, agreement.note) == (None, None, f"not estimable: {note}")


def test_measure_agreement_by_hospital_without_unknown_clips(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", patients=6)
    rng = np.random.default_rng(0)
    events = []
    for clip, site in zip(store.clips["clip"].to_pylist(), store.clips["site"].to_pylist(), strict=True):
        word = ("A4C", "A2C", "PLAX")[int(rng.integers(3))]
        other = word if site == "A" or rng.random() < 0.3 else ("A4C", "A2C", "PLAX")[int(rng.integers(3))]
        events += [_label_event(clip, "a", word), _label_event(clip, "b", other)]
    events += _pairs(["A4C PLAX"])  # of a clip that is in no store
    agreements = measure_agreement(ReadingMatrix.from_events(events), unit_locations(store), replicates=400)
    whole, perfect, poor = (_of(agreements, "krippendorff", site=site) for site in (ALL_VIEWS, "A", "B"))
    assert (whole.units, whole.patients, perfect.units, perfect.patients) == (60, 12, 30, 6)
    assert (perfect.value, perfect.low, perfect.high) == (1, 1, 1)
    assert poor.value is not None
    assert poor.low is not None
    assert poor.high is not None
    assert poor.low < poor.value < poor.high < 1
    assert agreements == measure_agreement(ReadingMatrix.from_events(events), unit_locations(store), replicates=400)


def test_measure_agreement_has_no_interval_for_one_patient_or_a_rare_view() -> None:
    events = _pairs(["A4C A4C", "A2C A2C", "A4C A2C", "PLAX PLAX"])
    one: Locations = {f"c{index:03d}": ("A", "p") for index in range(4)}
    assert (
        _of(measure_agreement(ReadingMatrix.from_events(events), one), "krippendorff").note
        == "no interval: one patient"
    )
    each: Locations = {f"c{index:03d}": ("A", f"p{index}") for index in range(4)}
    assert _of(measure_agreement(ReadingMatrix.from_events(events), each), "krippendorff", "PLAX").note.startswith(
        "no interval: the value is too"
    )


def _simulated(rng: np.random.Generator, patients: int) -> tuple[ReadingMatrix, Locations]:
    """Six clips a patient; a patient is hard or easy, so that clips of one resemble each other."""
    values, locations, units = [], {}, []
    for patient in range(patients):
        wrong = rng.choice([0.02, 0.5])
        for clip in range(6):
            truth = rng.integers(2)
            values.append([int(truth ^ (rng.random() < wrong)) for _ in range(2)])
            units.append(f"{patient:03d}-{clip}")
            locations[units[-1]] = ("A", f"p{patient}")
    return ReadingMatrix(tuple(units), ("a", "b"), ("A2C", "A4C"), np.array(values)), locations


@pytest.mark.slow
def test_measure_agreement_interval_has_its_nominal_coverage() -> None:
    rng = np.random.default_rng(4)
    large = measure_agreement(_simulated(rng, 20_000)[0])
    truth = _of(large, "krippendorff").value
    assert truth is not None
    held: list[bool] = []
    held_by_clips: list[bool] = []
    for _ in range(250):
        readings, locations = _simulated(rng, 50)
        for kept, owners in ((held, locations), (held_by_clips, {unit: ("A", unit) for unit in readings.units})):
            agreement = _of(measure_agreement(readings, owners, replicates=400), "krippendorff")
            assert agreement.low is not None
            assert agreement.high is not None
            kept.append(agreement.low <= truth <= agreement.high)
    assert 0.91 <= np.mean(held) <= 0.98
    assert np.mean(held_by_clips) < 0.88  # clips resampled as if they were patients of their own
