"""The journal of a monitor: appended, chained by hashes, and whole after a crash."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, EvaluationError, ExistsError, MissingInputError
from heart2heart.schema.monitor import (
    MAX_BYTES,
    MonitorSettings,
    MonitorStart,
    MonitorWeek,
    append_record,
    parse_week,
    read_journal,
    start_journal,
)


def _week(week: str, **more: Any) -> MonitorWeek:
    content = {
        "kind": "week", "week": week, "added": "", "predictions_sha256": week, "patients": 2,
        "statistics": {"confidence": (0.5, 0.75)}, **more,
    }  # fmt: skip
    return MonitorWeek.parse(content, where="test")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    chosen = MonitorSettings(site="E", method="model", classes=("A4C", "PLAX"), least_accuracy=0.8)
    start = MonitorStart(
        code_version="1", created="", settings=chosen, predictions_sha256="first", patients=20,
        statistics={"confidence": (0.25, 0.5)},
    )  # fmt: skip
    start_journal(tmp_path / "monitor.jsonl", start)
    return tmp_path / "monitor.jsonl"


def test_append_record_keeps_every_line_as_it_was(journal: Path) -> None:
    before = journal.read_bytes()
    append_record(journal, _week("2026-W01"))
    one = journal.read_bytes()
    read = append_record(journal, _week("2026-W03", accuracy=(0.5, 1.0)))
    assert journal.read_bytes().startswith(one)
    assert one.startswith(before)
    assert read.weeks() == ["2026-W01", "2026-W03"]
    assert read.records[1].accuracy == (0.5, 1.0)
    assert read == read_journal(journal)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_append_record_goes_on_after_a_line_that_was_cut_off(journal: Path, cut: int) -> None:
    append_record(journal, _week("2026-W01"))
    whole = journal.read_bytes()
    last = append_record(journal, _week("2026-W02"))
    full = journal.read_bytes()
    journal.write_bytes(full[: len(whole) + min(cut, len(full) - len(whole) - 1)])
    assert read_journal(journal).weeks() == ["2026-W01"]
    assert append_record(journal, _week("2026-W02")) == last
    assert journal.read_bytes() == full


def test_append_record_refuses_weeks_out_of_order(journal: Path) -> None:
    append_record(journal, _week("2026-W05"))
    kept = journal.read_bytes()
    with pytest.raises(ExistsError, match="2026-W05 was added before"):
        append_record(journal, _week("2026-W05", predictions_sha256="other"))
    with pytest.raises(ExistsError, match="the same predictions"):
        append_record(journal, _week("2026-W06", predictions_sha256="2026-W05"))
    with pytest.raises(ExistsError, match="the same predictions"):
        append_record(journal, _week("2026-W06", predictions_sha256="first"))
    with pytest.raises(ConfigError, match="earlier than 2026-W05"):
        append_record(journal, _week("2026-W04"))
    with pytest.raises(ConfigError, match="other statistics"):
        append_record(journal, _week("2026-W06", statistics={"quality": (1.0,)}))
    assert journal.read_bytes() == kept


def test_append_record_takes_one_audit_of_a_week_that_was_added(journal: Path) -> None:
    append_record(journal, _week("2026-W05"))
    audit = _week("2026-W05", kind="audit", statistics={}, accuracy=(1.0,))
    assert append_record(journal, audit).weeks("audit") == ["2026-W05"]
    with pytest.raises(ExistsError, match="was audited before"):
        append_record(journal, audit)
    with pytest.raises(ConfigError, match="2026-W06 was not added"):
        append_record(journal, _week("2026-W06", kind="audit", statistics={}, accuracy=(1.0,)))


def test_append_record_refuses_a_second_writer(journal: Path) -> None:
    with journal.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ExistsError, match="another program"):
            append_record(journal, _week("2026-W01"))
    with pytest.raises(MissingInputError, match="monitor start"):
        append_record(journal.with_name("none.jsonl"), _week("2026-W01"))


def test_read_journal_notices_changes(journal: Path) -> None:
    append_record(journal, _week("2026-W01"))
    append_record(journal, _week("2026-W02"))
    lines = journal.read_text().splitlines()
    changed = [lines[0], lines[1].replace("0.75", "0.95"), lines[2]]
    for wrong, message in ((changed, "changed.*line 2"), ([lines[0], lines[2]], "changed"), (lines[1:], "no journal")):
        journal.write_text("\n".join(wrong) + "\n")
        with pytest.raises(EvaluationError, match=message):
            read_journal(journal)
    newer = {**json.loads(lines[0]), "schema_version": 2}
    journal.write_text(json.dumps(newer) + "\n")
    with pytest.raises(EvaluationError, match="another schema version"):
        read_journal(journal)


def test_read_journal_bounds_its_size(journal: Path) -> None:
    with journal.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(EvaluationError, match="bytes"):
        read_journal(journal)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_read_journal_ends_with_an_error_of_its_own(journal: Path, noise: bytes, position: int) -> None:
    whole = journal.read_bytes()
    path = journal.with_name("noisy.jsonl")
    path.write_bytes(whole[:position] + noise + whole[position:])
    try:
        read = read_journal(path)
    except EvaluationError:
        return
    assert read.records == ()
    assert read.start == read_journal(journal).start


def test_start_journal_keeps_an_existing_one(journal: Path) -> None:
    with pytest.raises(ExistsError, match="already"):
        start_journal(journal, read_journal(journal).start)


def test_parse_week_accepts_weeks_of_the_calendar_alone() -> None:
    assert parse_week("2026-W53") == "2026-W53"  # 2026 has 53 weeks, 2025 has not
    for wrong in ("2025-W53", "2026-W00", "2026-48", "48", "2026-W48 "):
        with pytest.raises(ValueError, match=r"week|Invalid"):
            parse_week(wrong)
    with pytest.raises(ConfigError, match="week"):
        _week("2026-W60")
