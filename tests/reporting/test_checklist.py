"""The checklists number their items as published; items without a record are "not reported"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from heart2heart.reporting.checklist import SECTIONS, ChecklistItem, item_text
from heart2heart.reporting.checklists import make_checklists
from heart2heart.reporting.claim import claim
from heart2heart.reporting.decide_ai import decide_ai
from heart2heart.reporting.numbers import NOT_REPORTED
from heart2heart.reporting.tripod_ai import tripod_ai
from heart2heart.reporting.tripod_cluster import tripod_cluster
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions
from heart2heart.schema.study import Study, study_keys

TRIPOD = [
    "1", "2", "3a", "3b", "4a", "4b", "5", "6a", "6b", "7a", "7b", "7c", "7d",
    "8a", "8b", "8c", "8d", "8e", "8f", "8g", "9", "10a", "10b", "10c",
    "11", "12a", "12b", "13a", "13b", "14", "15", "16a", "16b", "16c", "17", "18", "19",
]  # fmt: skip


def test_claim_and_tripod_cluster_number_their_items_as_published(rich: Predictions, rich_metrics: Metrics) -> None:
    tripod, imaging = (make(rich.provenance, rich_metrics) for make in (tripod_cluster, claim))
    assert [item.number for item in tripod.items] == TRIPOD
    assert [item.number for item in imaging.items] == [str(index) for index in range(1, 45)]
    for item in (*tripod.items, *imaging.items):
        assert item.topic
        assert item.section in SECTIONS or not item.known


def test_claim_and_tripod_cluster_report_no_unrecorded_item(rich: Predictions, rich_metrics: Metrics) -> None:
    tripod = {item.number: item.answer for item in tripod_cluster(rich.provenance, rich_metrics).items}
    imaging = {item.number: item.answer for item in claim(rich.provenance, rich_metrics).items}
    assert {tripod[number] for number in ("3a", "4b", "5", "7b", "11", "12a", "12b", "17", "19")} == {NOT_REPORTED}
    assert {imaging[number] for number in ("5", "15", "17", "18", "21", "24", "31", "34", "41", "44")} == {NOT_REPORTED}


def test_claim_without_records_reports_fewer_items(rich: Predictions, rich_metrics: Metrics) -> None:
    bare: dict[str, object] = {"files": {}, "raters": (), "makers": (), "date_from": None, "date_to": None}
    sites = tuple(site.model_copy(update=bare) for site in rich.provenance.sites)
    provenance = rich.provenance.model_copy(update={"sites": sites})
    full, empty = (claim(one, rich_metrics) for one in (rich.provenance, provenance))
    lost = [b.number for b, e in zip(full.items, empty.items, strict=True) if b.known and not e.known]
    assert lost == ["8", "11", "13", "14", "16"]
    assert empty.reported == full.reported - 5
    assert item_text("Manufacturers: {}", "One") == "Manufacturers: One"
    assert item_text("Manufacturers: {}", NOT_REPORTED) == NOT_REPORTED


def test_write_report_marks_synthetic_checklists(rich_report: Path) -> None:
    for name in ("tripod_cluster", "claim", "tripod_ai", "decide_ai"):
        name = f"checklist_{name}.md"
        text = rich_report.with_name(name).read_text(encoding="utf-8")
        assert "**SYNTHETIC DATA.**" in text
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        assert all(line.count(" |") + line.count("| |") >= 4 for line in rows)
        assert text.count(NOT_REPORTED) >= 8


TRIPOD_AI = [
    "1", "2", "3a", "3b", "3c", "4", "5a", "5b", "6a", "6b", "6c", "7", "8a", "8b", "8c", "9a", "9b", "9c", "10", "11",
    "12a", "12b", "12c", "12d", "12e", "12f", "12g", "13", "14", "15", "16", "17", "18a", "18b", "18c", "18d", "18e",
    "18f", "19", "20a", "20b", "20c", "21", "22", "23a", "23b", "24", "25", "26", "27a", "27b", "27c",
]  # fmt: skip
DECIDE_AI = [
    "1", "2a", "2b", "3a", "3b", "3c", "4a", "4b", "4c", "5a", "5b", "6a", "6b", "7", "8", "9a", "9b", "10a", "10b",
    "11", "12", "13a", "13b", "14a", "14b", "15", "16", "17",
]  # fmt: skip


def test_tripod_ai_and_decide_ai_number_their_items_as_published(rich: Predictions, rich_metrics: Metrics) -> None:
    assert len(TRIPOD_AI) == 52
    assert [item.number for item in tripod_ai(rich.provenance, rich_metrics).items] == TRIPOD_AI
    numbers = {item.number for item in decide_ai(rich.provenance, rich_metrics).items}
    assert len(DECIDE_AI) == 28
    assert numbers == {*DECIDE_AI, "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"}


def bare(predictions: Predictions) -> Predictions:
    """Return predictions whose provenance holds as little as that of a table."""
    nothing: dict[str, object] = {"files": {}, "raters": (), "makers": (), "date_from": None, "date_to": None}
    sites = tuple(site.model_copy(update=nothing) for site in predictions.provenance.sites)
    runs = tuple(run.model_copy(update={"steps": 0, "versions": {}}) for run in predictions.provenance.runs)
    split = predictions.provenance.split.model_copy(update={"source_sites": ()})
    update = {"sites": sites, "runs": runs, "split": split, "geometry": NOT_REPORTED}
    return Predictions(predictions.table, predictions.provenance.model_copy(update=update))


@pytest.mark.parametrize("full", [True, False])
def test_make_checklists_names_a_key_for_every_gap(rich: Predictions, rich_metrics: Metrics, full: bool) -> None:
    predictions = rich if full else bare(rich)
    used: set[str] = set()
    for checklist in make_checklists(predictions.provenance, rich_metrics):
        for item in checklist.items:
            used |= {*item.keys}
            assert item.answer.count(NOT_REPORTED) == len(re.findall(rf"{NOT_REPORTED}(: add| \(add) `", item.answer))
            assert item.section in SECTIONS or not item.known
    assert used <= set(study_keys())


def test_make_checklists_use_every_key_of_a_study(rich: Predictions, rich_metrics: Metrics) -> None:
    study = Study.model_validate({key: f"Text of {key}" for key in study_keys()})
    checklists = make_checklists(bare(rich).provenance, rich_metrics, study)
    answers = " ".join(item.answer for checklist in checklists for item in checklist.items)
    assert NOT_REPORTED not in answers
    assert [key for key in study_keys() if f"Text of {key}" not in answers] == []
    assert all(checklist.reported == len(checklist.items) for checklist in checklists)


def test_completed_marks_what_comes_from_the_authors() -> None:
    study = Study(funding="A grant.")
    recorded = ChecklistItem("1", "Funding", "By the records", "tested", ("funding",))
    assert recorded.completed(study).answer == "By the records. A grant. (study.yaml)"
    assert recorded.completed(Study()) == recorded
    two = ChecklistItem("2", "Both", keys=("funding", "ethics")).completed(study)
    assert two.answer == "A grant. (study.yaml); not reported: add `ethics` to study.yaml"
    assert (two.known, two.section) == (True, "checklists")
    gaps = ChecklistItem(
        "3", "Gaps", "Code: here; data: not reported; plan: not reported", "hashes", ("ethics", "funding")
    )
    assert gaps.completed(study).answer == (
        "Code: here; data: not reported (add `ethics` to study.yaml); plan: A grant. (study.yaml)"
    )
    assert ChecklistItem("4", "No key", "not reported").completed(study).answer == NOT_REPORTED
