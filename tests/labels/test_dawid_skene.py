"""Dawid and Skene: a reference written out from the paper's equations, its own example, and raters that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.labels.consensus import consensus_labels, fit_readings, readings_by_target
from heart2heart.labels.dawid_skene import Floats, fit_dawid_skene
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import EventKind, LabelAnswer

TABLE_1 = (
    "111 1 1 1 1/333 4 3 3 4/112 2 1 2 2/222 3 1 2 1/222 3 2 2 2/222 3 3 2 2/122 2 1 1 1/333 3 4 3 3/222 2 2 2 3/"
    "232 2 2 2 3/444 4 4 4 4/222 3 3 4 3/111 1 1 1 1/222 3 2 1 2/121 1 1 1 1/111 2 1 1 1/111 1 1 1 1/111 1 1 1 1/"
    "222 2 2 2 1/222 1 3 2 2/222 2 2 2 2/222 2 2 2 1/222 3 2 2 2/221 2 2 2 2/111 1 1 1 1/111 1 1 1 1/232 2 2 2 2/"
    "111 1 1 1 1/111 1 1 1 1/112 1 1 2 1/111 1 1 1 1/333 3 2 3 3/111 1 1 1 1/222 2 2 2 2/222 3 2 3 2/433 4 3 4 3/"
    "221 2 2 3 2/232 3 2 3 3/333 3 4 3 2/111 1 1 1 1/111 1 1 1 1/121 2 1 1 1/232 2 2 2 2/121 1 1 1 1/222 2 2 2 2"
)
"""Table 1 of the paper: 45 patients judged fit for anaesthesia (1 to 4) by five people, by the first three times."""


def _table_1() -> Floats:
    counts = np.zeros((45, 5, 4))
    for item, line in enumerate(TABLE_1.split("/")):
        for rater, words in enumerate(line.split()):
            for word in words:
                counts[item, rater, int(word) - 1] += 1
    return counts


def _reference(counts: Floats, steps: int) -> tuple[Floats, Floats, Floats]:
    """Equations 2.3 to 2.5 as products and loops, without a prior."""
    items, raters, classes = counts.shape
    truth = np.array([counts[i].sum(0) / counts[i].sum() for i in range(items)])
    prevalence, errors = np.zeros(classes), np.zeros((raters, classes, classes))
    for _ in range(steps):
        prevalence = np.array([sum(truth[i, j] for i in range(items)) / items for j in range(classes)])
        for k in range(raters):
            for j in range(classes):
                row = [sum(truth[i, j] * counts[i, k, word] for i in range(items)) for word in range(classes)]
                errors[k, j] = np.array(row) / sum(row)
        joint = np.tile(prevalence, (items, 1))
        for i in range(items):
            for j in range(classes):
                for k in range(raters):
                    for word in range(classes):
                        joint[i, j] *= errors[k, j, word] ** counts[i, k, word]
        truth = joint / joint.sum(1, keepdims=True)
    return truth, prevalence, errors


def test_fit_dawid_skene_of_the_papers_example() -> None:
    fit = fit_dawid_skene(_table_1(), prior=0)
    assert fit.converged
    assert fit.prevalence.round(2).tolist() == [0.40, 0.42, 0.11, 0.07]
    assert fit.errors[0, :2, :2].round(2).tolist() == [[0.89, 0.11], [0.07, 0.88]]
    truth, prevalence, errors = _reference(_table_1(), fit.iterations)
    np.testing.assert_allclose(fit.posterior, truth, atol=1e-9)
    np.testing.assert_allclose(fit.prevalence, prevalence, atol=1e-9)
    np.testing.assert_allclose(fit.errors, errors, atol=1e-9)


@given(st.data())
@settings(max_examples=40)
def test_fit_dawid_skene_never_lowers_the_likelihood(data: st.DataObject) -> None:
    items, raters, classes = (data.draw(st.integers(1, most)) for most in (8, 4, 3))
    counts = np.zeros((items, raters, classes))
    for item in range(items):
        readers = data.draw(st.sets(st.integers(0, raters - 1), min_size=1))
        for rater in readers:
            counts[item, rater, data.draw(st.integers(0, classes - 1))] = 1
    fit = fit_dawid_skene(counts, prior=data.draw(st.sampled_from([0.0, 0.1, 2.0])), iterations=200)
    assert np.diff(fit.log_likelihood).min(initial=0) > -1e-6
    np.testing.assert_allclose(fit.posterior.sum(1), 1)
    np.testing.assert_allclose(fit.prevalence.sum(), 1)
    np.testing.assert_allclose(fit.errors.sum(2), 1)


def test_fit_dawid_skene_without_a_prior_keeps_a_distribution() -> None:
    """Rows of ones in place of a distribution once raised the first likelihood, so that the second one was lower."""
    counts = np.zeros((5, 2, 3))
    for item, (rater, value) in enumerate([(0, 0), (0, 0), (0, 0), (0, 1), (1, 2)]):
        counts[item, rater, value] = 1
    fit = fit_dawid_skene(counts, prior=0)
    np.testing.assert_allclose(fit.errors.sum(2), 1)
    assert np.diff(fit.log_likelihood).min(initial=0) > -1e-9
    assert fit.converged


def test_fit_dawid_skene_estimates_known_raters_with_missing_readings() -> None:
    rng = np.random.default_rng(1)
    truth = rng.choice(3, 600, p=[0.5, 0.3, 0.2])
    shares = (0.95, 0.9, 0.6, 0.55)
    counts = np.zeros((600, 4, 3))
    for rater, share in enumerate(shares):
        for item in np.flatnonzero(rng.random(600) < 0.7):
            wrong = (truth[item] + rng.integers(1, 3)) % 3
            counts[item, rater, truth[item] if rng.random() < share else wrong] = 1
    read = counts.sum((1, 2)) > 0
    fit = fit_dawid_skene(counts[read])
    right = np.array([fit.prevalence @ np.diag(errors) for errors in fit.errors])
    np.testing.assert_allclose(right, shares, atol=0.06)
    votes = counts[read].sum(1)
    by_vote = (votes == votes.max(1, keepdims=True)) / (votes == votes.max(1, keepdims=True)).sum(1, keepdims=True)
    share_by_vote = by_vote[np.arange(len(votes)), truth[read]].mean()
    assert (fit.posterior.argmax(1) == truth[read]).mean() > share_by_vote + 0.03


def _label_event(clip: str, view: str, rater: str, kind: str = "label") -> LabelEvent:
    answer = LabelAnswer(view) if view in ("unsure", "unusable") else LabelAnswer.VIEW
    view = view if answer == LabelAnswer.VIEW else ""
    return LabelEvent(clip, "", view, rater, "", "test", kind=EventKind(kind), answer=answer)


def test_consensus_labels_dawid_skene_weighs_the_better_rater_more() -> None:
    events = [_label_event(f"c{n:02d}", ("A4C", "A2C")[n % 2], rater) for n in range(20) for rater in ("good", "fine")]
    events += [_label_event(f"c{n:02d}", "A4C", "always") for n in range(20)]  # says A4C of everything
    events += [_label_event("last", "A2C", "good"), _label_event("last", "A4C", "always")]
    assert consensus_labels(events, "majority").get("last") is None
    assert consensus_labels(events, "dawid_skene")["last"] == "A2C"
    assert consensus_labels(events, "dawid_skene")["c01"] == "A2C"


def test_consensus_labels_dawid_skene_handles_unsure_unusable_and_adjudications() -> None:
    events = [_label_event("c1", "unusable", "a"), _label_event("c1", "unusable", "b"), _label_event("c2", "A4C", "a")]
    events += [_label_event("c2", "unsure", "b"), _label_event("c3", "A2C", "c", kind="adjudication")]
    assert consensus_labels(events, "dawid_skene") == {"c1": "unusable", "c2": "A4C"}
    assert fit_readings(readings_by_target(events)).values == ("A4C", "unusable")
    assert consensus_labels([], "dawid_skene") == {}


def test_consensus_labels_dawid_skene_gives_no_label_on_a_tie() -> None:
    assert consensus_labels([_label_event("c1", "A4C", "a"), _label_event("c1", "A2C", "b")], "dawid_skene") == {}


@pytest.mark.parametrize("rater", ["a", "z"])
def test_consensus_labels_dawid_skene_takes_a_single_rater(rater: str) -> None:
    assert consensus_labels([_label_event("c1", "A4C", rater), _label_event("c2", "A2C", rater)], "dawid_skene") == {
        "c1": "A4C",
        "c2": "A2C",
    }
