"""The audit log: every change shows, several processes share it, and a crash blocks nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.audit.log import AuditLogChangedError, append_record, read_records, verify_log
from heart2heart.errors import ConfigError, MissingInputError, UnwritableError
from heart2heart.schema.audit import MAX_LINE_BYTES
from tests.audit.chain import MAC, append, build


def test_append_record_makes_a_private_chain(tmp_path: Path) -> None:
    log = tmp_path / "new" / "audit.jsonl"
    append(log, 3)
    assert log.stat().st_mode & 0o777 == 0o600
    verdict = verify_log(log)
    verdict.require_intact(log)
    assert (verdict.records, verdict.faults, verdict.torn, verdict.keyed) == (4, [], [], False)
    lines = log.read_text().splitlines()
    assert json.loads(lines[0])["previous"] == ""
    assert [json.loads(line)["previous"] for line in lines[1:]] == [json.loads(line)["sha256"] for line in lines[:-1]]
    assert verdict.head == json.loads(lines[-1])["sha256"]


@settings(max_examples=40)
@given(at=st.integers(0, 10_000), value=st.integers(0, 255))
def test_verify_log_finds_any_changed_byte_before_the_last_record(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "audit.jsonl"
    append(log, 3)
    data = bytearray(log.read_bytes())
    last = data.rindex(b"\n", 0, len(data) - 1) + 1
    at %= last
    is_changed = data[at] != value
    data[at] = value
    log.write_bytes(data)
    assert bool(verify_log(log).faults) == is_changed


@pytest.mark.parametrize(
    "order", [(0, 2, 3), (1, 2, 3), (0, 2, 1, 3), (0, 1, 1, 2, 3)], ids=["removed", "first", "moved", "repeated"]
)
def test_verify_log_finds_lines_that_were_removed_moved_or_repeated(tmp_path: Path, order: tuple[int, ...]) -> None:
    log = tmp_path / "audit.jsonl"
    append(log, 3)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[number] for number in order))
    verdict = verify_log(log)
    assert "removed, inserted or moved" in verdict.faults[0][1]
    with pytest.raises(AuditLogChangedError, match="line"):
        verdict.require_intact(log)
    assert AuditLogChangedError.exit_code == 3


def test_verify_log_finds_a_removed_end_only_by_a_head_that_was_noted(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    append(log, 3)
    noted = verify_log(log).head
    append(log, 1)
    assert verify_log(log, head=noted).anchored is True
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    verify_log(log).require_intact(log)  # what a chain alone cannot show
    with pytest.raises(AuditLogChangedError, match="noted head"):
        verify_log(log, head=noted).require_intact(log)


def test_verify_log_finds_a_rewrite_of_the_whole_chain_by_the_key(tmp_path: Path) -> None:
    log, forged = tmp_path / "audit.jsonl", tmp_path / "forged.jsonl"
    append(log, 2, mac=MAC)
    assert verify_log(log, mac=MAC).keyed
    with pytest.raises(ConfigError, match="has a key"):
        verify_log(log)
    append(forged, 2)
    verify_log(forged).require_intact(forged)
    assert "HMAC" in verify_log(forged, mac=MAC).faults[0][1]


def test_append_record_refuses_another_kind_of_key(tmp_path: Path) -> None:
    append(tmp_path / "keyed", mac=MAC)
    append(tmp_path / "plain")
    with pytest.raises(ConfigError, match="this audit log has a key"):
        append(tmp_path / "keyed")
    with pytest.raises(ConfigError, match="this audit log has no key"):
        append(tmp_path / "plain", mac=MAC)


@settings(max_examples=40)
@given(cut=st.integers(1, 400))
def test_append_record_goes_on_after_a_line_that_was_cut_off(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "audit.jsonl"
    append(log, 2)
    whole = log.read_bytes()
    log.write_bytes(whole[:-cut])
    torn = [] if cut == 1 else [3]  # of the line end alone, or of the record
    assert verify_log(log).torn == torn
    append(log, 2)
    verdict = verify_log(log)
    assert (verdict.faults, verdict.torn, verdict.records) == ([], torn, 4 if torn else 5)
    raw = log.read_bytes()
    assert raw.startswith(whole[:-cut])  # nothing was removed
    if torn:
        start = raw.index(b"\n", raw.index(b"\n") + 1) + 1
        log.write_bytes(raw[:start] + b"X" + raw[start + 1 :])
        assert "incomplete line" in verify_log(log).faults[0][1]


def test_append_record_begins_anew_after_a_first_line_that_was_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b'{"action": "sta')
    log.chmod(0o600)
    append(log, 2)
    verdict = verify_log(log)
    assert (verdict.records, verdict.torn, verdict.faults) == (3, [1], [])


def test_append_record_keeps_the_chain_whole_with_several_processes(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    code = f"from pathlib import Path; from tests.audit.chain import append; append(Path({str(log)!r}), 25)"
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    verdict = verify_log(log)
    assert (verdict.records, verdict.faults, verdict.torn) == (76, [], [])


def test_append_record_refuses_an_open_file_a_link_and_a_long_record(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    append(log)
    log.chmod(0o640)
    with pytest.raises(ConfigError, match="read or changed by others"):
        append(log)
    log.chmod(0o600)
    (tmp_path / "link").symlink_to(log)
    with pytest.raises(UnwritableError, match="cannot be written"):
        append(tmp_path / "link")
    counts = {f"{count}" * 190: count for count in range(64)} | {"x" * 200: 1}
    long = build()
    with pytest.raises(ConfigError):
        append_record(
            log,
            lambda end: long(end).model_copy(update={"counts": counts, "user": "u" * MAX_LINE_BYTES}),
            start=build(),
            mac=None,
        )
    assert verify_log(log).records == 2


def test_append_record_refuses_a_log_whose_end_is_foreign(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    append(log)
    log.write_bytes(log.read_bytes() + b"x" * (9 * MAX_LINE_BYTES))
    with pytest.raises(AuditLogChangedError, match="end of this audit log is damaged"):
        append(log)


def test_read_records_gives_the_records_and_names_a_missing_log(tmp_path: Path) -> None:
    append(tmp_path / "audit.jsonl", 2)
    assert [record.operation for record in read_records(tmp_path / "audit.jsonl")] == ["op", "op0", "op1"]
    with pytest.raises(MissingInputError, match="no audit log"):
        list(read_records(tmp_path / "none"))
