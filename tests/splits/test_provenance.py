"""Every opening of the test frames is written down, and earlier ones are told."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import create_autospec

import pytest

from heart2heart.errors import SplitError
from heart2heart.schema.split import Check
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.provenance import (
    ACCESS_LOG_FILE,
    AccessEntry,
    access_entries,
    read_test_accesses,
    record_test_access,
    record_test_accesses,
    with_check,
)
from tests.evaluation.factory import HOSPITALS, make_predictions


def opening(run: str, config: str) -> AccessEntry:
    return AccessEntry(when="2031-01-01T00:00:00+00:00", run=run, config_sha256=config, code_version="0")


def test_record_test_accesses_warns_of_other_configurations(tmp_path: Path) -> None:
    assert read_test_accesses(tmp_path) == []
    first = record_test_accesses(tmp_path, [opening("a-0", "a"), opening("b-0", "b")])
    assert first.status == "pass"
    assert record_test_accesses(tmp_path, [opening("a-0", "a"), opening("b-0", "b")]).status == "pass"
    later = record_test_accesses(tmp_path, [opening("c-0", "c")])
    assert later.status == "warn"
    assert "runs of 2 other configurations" in later.detail
    assert [entry.run for entry in read_test_accesses(tmp_path)] == ["a-0", "b-0", "a-0", "b-0", "c-0"]


def test_record_test_accesses_warns_if_it_cannot_write(tmp_path: Path) -> None:
    missing = tmp_path / "no such folder"
    assert "not logged" in record_test_accesses(missing, [opening("a", "a")]).detail


def test_read_test_accesses_refuses_a_damaged_log(tmp_path: Path) -> None:
    (tmp_path / ACCESS_LOG_FILE).write_text("{no json\n")
    with pytest.raises(SplitError, match="damaged"):
        read_test_accesses(tmp_path)
    (tmp_path / ACCESS_LOG_FILE).write_text('{"run": "a"}\n')
    with pytest.raises(SplitError, match="damaged"):
        read_test_accesses(tmp_path)


def test_with_check_and_access_entries_write_nothing(tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:1])
    before = predictions.provenance
    checked = with_check(predictions, Check(name="x", status="pass", detail="fine"))
    assert [check.name for check in checked.provenance.split.checks][-1] == "x"
    assert predictions.provenance == before
    assert [entry.run for entry in access_entries(before)] == [run.run for run in before.runs]
    assert not list(tmp_path.iterdir())


def test_record_test_access_writes_the_log_and_adds_its_check(tmp_path: Path) -> None:
    predictions = make_predictions(hospitals=HOSPITALS[:1])
    split = create_autospec(SplitManifest, instance=True, path=tmp_path)
    recorded = record_test_access(predictions, split)
    assert read_test_accesses(tmp_path) == access_entries(predictions.provenance)
    added = recorded.provenance.split.checks[len(predictions.provenance.split.checks) :]
    assert [(check.name, check.status) for check in added] == [("test_opened", "pass")]
