"""Progress: lines for logs, and parts of a larger job."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest

from heart2heart.progress import NoProgress, SubProgress, progress_bar


class _Kept:
    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def update(self, done: int, note: str = "") -> None:
        self.seen.append((done, note))


def test_sub_progress_reports_in_the_units_of_the_whole() -> None:
    whole = _Kept()
    part = SubProgress(whole, start=50, span=40, total=8)
    part.update(0)
    part.update(4, "half")
    part.update(8)
    assert whole.seen == [(50, ""), (70, "half"), (90, "")]
    SubProgress(whole, start=0, span=1, total=0).update(0)
    assert whole.seen[-1] == (0, "")


def test_progress_bar_writes_few_lines_to_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("heart2heart.progress.time.monotonic", lambda: clock[0])
    with progress_bar("count", 20) as progress:
        for done in range(1, 21):
            clock[0] += 1.0
            progress.update(done, f"note {done}")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == ["  count:  50% in 10 s  note 10", "  count: 100% in 20 s  note 20"]


def test_no_progress_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    NoProgress().update(1, "x")
    assert capsys.readouterr() == ("", "")


def test_progress_bar_writes_few_lines_in_hours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("heart2heart.progress.time.monotonic", lambda: clock[0])
    with progress_bar("night", 36_000) as progress:
        for done in range(36_000):
            clock[0] += 1.0
            progress.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert 60 < len(lines) < 150
    assert lines[1] == "  night:   0% in 20 s"


@pytest.mark.parametrize("timed", [True, False])
def test_progress_bar_shows_bar_and_note_whole_in_80_columns(timed: bool) -> None:
    code = (
        "from heart2heart.progress import progress_bar\n"
        f"with progress_bar('ingest somewhere', 9000, timed={timed}) as progress:\n"
        "    progress.update(4500, '10.5 files/s, 1120 frames/s; accepted 4189, excluded 310, failed 1; 0:42 left')\n"
    )
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # what Linux says when the other end is closed
            while piece := os.read(master, 4096):
                shown += piece
    os.close(master)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "4500/9000" in text
    assert "10.5 files/s, 1120 frames/s; accepted 4189, excluded 310, failed 1; 0:42 left" in text
    assert ("-:--:--" in text) == timed
