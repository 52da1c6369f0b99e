"""The verbs of the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.audit.log import AuditLogChangedError
from heart2heart.cli import app
from tests.audit.chain import append


def test_audit_verify_show_and_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, runner = tmp_path / "audit.jsonl", CliRunner()
    append(log, 3)
    shown = runner.invoke(app, ["audit", "verify", str(log)])
    assert shown.exit_code == 0
    assert "4 records without HMAC" in shown.output
    head = shown.output.rpartition("head: ")[2].strip()
    assert runner.invoke(app, ["audit", "verify", str(log), "--head", head]).exit_code == 0
    table = runner.invoke(app, ["audit", "show", str(log), "--last", "2"]).output.splitlines()
    assert [line.split()[0] for line in table[2:]] == ["2", "3"]
    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", str(tmp_path / "other.jsonl"))
    done = runner.invoke(app, ["audit", "export", str(log), str(tmp_path / "out")])
    assert done.output == f"4 messages in {tmp_path / 'out'}\n"
    log.write_bytes(log.read_bytes().replace(b"tester", b"nobody", 1))
    changed = runner.invoke(app, ["audit", "verify", str(log)])
    assert isinstance(changed.exception, AuditLogChangedError)
    assert "line 1: a record was changed" in changed.output


def test_audit_log_option_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEART2HEART_AUDIT_LOG", "none")
    append(tmp_path / "seen.jsonl", 1)
    words = ["--audit-log", str(tmp_path / "mine.jsonl"), "audit", "export", str(tmp_path / "seen.jsonl")]
    assert CliRunner().invoke(app, [*words, str(tmp_path / "out")]).exit_code == 0
    assert (tmp_path / "mine.jsonl").exists()
