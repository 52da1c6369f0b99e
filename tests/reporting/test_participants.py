"""Inclusion flows add up; codes and missing values are written as words."""

from __future__ import annotations

import pytest

from heart2heart.reporting.participants import dates, inclusion_flow, join_or_not_reported, readable
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions


def test_inclusion_flow_adds_up(predictions: Predictions, metrics: Metrics) -> None:
    for info, site in zip(predictions.provenance.sites, metrics.sites, strict=True):
        steps = {step.title: step for step in inclusion_flow(info, site)}
        offered, accepted = steps["Files received"], steps["Files accepted"]
        assert offered.number - sum(offered.excluded.values()) == accepted.number
        store, test = steps["Frames in the store"], steps["Test frames"]
        assert store.number - sum(store.excluded.values()) == test.number
        assert test.number - sum(test.excluded.values()) == steps["Test frames scored"].number == site.frames


def test_inclusion_flow_without_files_has_no_file_steps(predictions: Predictions, metrics: Metrics) -> None:
    info = predictions.provenance.sites[0].model_copy(update={"files": {}})
    assert inclusion_flow(info, metrics.sites[0])[0].title == "Frames in the store"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("excluded:not_ultrasound", "excluded: not ultrasound"),
        ("accepted", "accepted"),
        ("b_mode", "B-mode"),
        ("unlabeled", "in the unlabeled training pool"),
    ],
)
def test_readable_writes_codes_as_words(code: str, text: str) -> None:
    assert readable(code) == text


def test_dates_that_are_unknown_are_not_reported(predictions: Predictions) -> None:
    info = predictions.provenance.sites[0].model_copy(update={"date_from": None, "date_to": None})
    assert dates(info) == join_or_not_reported(()) == "not reported"
    assert dates(info.model_copy(update={"date_from": "2031-02-01"})) == "2031-02-01"
