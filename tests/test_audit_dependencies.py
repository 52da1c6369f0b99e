"""`make audit`: a weakness, no database and no tool have codes of their own; not checked is never clean."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from heart2heart.errors import MissingInputError
from tools.audit_dependencies import NotCheckedError, WeaknessFoundError, audit, service_fault


def _unreachable(*_: object, **__: object) -> io.BytesIO:
    raise URLError("no network")


def test_service_fault_tells_an_answer_a_mirror_and_no_network() -> None:
    assert service_fault(open_address=lambda *_, **__: io.BytesIO(b'{"vulnerabilities": [{"id": "x"}]}')) is None
    for content in (b"<html>", b'{"vulnerabilities": []}', b"[]"):
        assert "mirror" in str(service_fault(open_address=lambda *_, raw=content, **__: io.BytesIO(raw)))
    assert "cannot be reached" in str(service_fault(open_address=_unreachable))


@pytest.mark.parametrize(("code", "is_weak"), [(0, False), (1, True)])
def test_audit_tells_a_weakness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_weak: bool) -> None:
    lock, commands = tmp_path / "requirements.lock", []
    lock.write_text("alpha==1.0 --hash=sha256:0\n")

    def answer(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(subprocess, "run", answer)
    if is_weak:
        with pytest.raises(WeaknessFoundError):
            audit(lock, fault=None, has_pip_audit=True)
    else:
        audit(lock, fault=None, has_pip_audit=True)
    assert "--require-hashes" in commands[0]


def test_audit_is_not_clean_where_nothing_was_checked(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    with pytest.raises(MissingInputError, match="no lock file"):
        audit(lock, fault=None, has_pip_audit=True)
    lock.touch()
    for has_pip_audit, fault in ((False, None), (True, "the database cannot be reached")):
        with pytest.raises(NotCheckedError) as caught:
            audit(lock, fault=fault, has_pip_audit=has_pip_audit)
        assert caught.value.exit_code == 4
