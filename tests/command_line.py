"""The executable as a function: the same arguments, outputs and exit code, without the start of a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from heart2heart import cli


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    returncode: int
    stdout: str
    stderr: str


Execute = Callable[..., Ended]


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Execute]:
    """Yield a function that runs the executable with arguments."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # `main` sets its own, which is taken back
    before = os.umask(0o077)  # so is that of `main`
    os.umask(before)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["heart2heart", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return Ended(int(ended.value.code or 0), output.out, output.err)

    yield run
    os.umask(before)
