"""What predictions carry of their split: pure functions write nothing, and the one that writes says so by its name."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import create_autospec

from heart2heart.schema.predictions import Check
from heart2heart.splits.access_log import read_test_accesses
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.provenance import access_entries, record_test_access, with_check
from tests.evaluation.factory import HOSPITALS, make_predictions


def test_with_check_and_access_entries_write_nothing(tmp_path: Path) -> None:
    made = make_predictions(hospitals=HOSPITALS[:1])
    before = made.provenance
    checked = with_check(made, Check(name="x", status="pass", detail="fine"))
    assert [check.name for check in checked.provenance.split.checks][-1] == "x"
    assert made.provenance == before
    assert [entry.run for entry in access_entries(before)] == [run.run for run in before.runs]
    assert not list(tmp_path.iterdir())


def test_record_test_access_writes_the_log_and_adds_its_check(tmp_path: Path) -> None:
    made = make_predictions(hospitals=HOSPITALS[:1])
    split = create_autospec(SplitManifest, instance=True, path=tmp_path)
    recorded = record_test_access(made, split)
    assert read_test_accesses(tmp_path) == access_entries(made.provenance)
    added = recorded.provenance.split.checks[len(made.provenance.split.checks) :]
    assert [(check.name, check.status) for check in added] == [("test_opened", "pass")]
