"""The checklists number their items as published; items without a record are "not reported"."""

from __future__ import annotations

from pathlib import Path

from heart2heart.reporting.checklist import SECTIONS, item_text
from heart2heart.reporting.claim import claim
from heart2heart.reporting.numbers import NOT_REPORTED
from heart2heart.reporting.tripod_cluster import tripod_cluster
from heart2heart.schema.metrics import Metrics
from heart2heart.schema.predictions import Predictions

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
    for name in ("checklist_tripod_cluster.md", "checklist_claim.md"):
        text = rich_report.with_name(name).read_text(encoding="utf-8")
        assert "**SYNTHETIC DATA.**" in text
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        assert all(line.count(" |") + line.count("| |") >= 4 for line in rows)
        assert text.count(NOT_REPORTED) >= 8
