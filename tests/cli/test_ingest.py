"""`heart2heart ingest` as a user meets it: its limits, its progress, its table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dicom.build import speckle_frames, write

CLI = (sys.executable, "-c", "from heart2heart.cli import main; main()", "ingest")


def _ingest(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    line = (*CLI, str(home / "in"), "--site", "a", "--store", str(home / "store"), "--workers", "1", *options)
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


def test_the_limits_of_one_file_are_options(tmp_path: Path) -> None:
    write(tmp_path / "in" / "clip", speckle_frames(4))
    short = _ingest(tmp_path, "--file-seconds", "0.001")
    assert short.returncode == 2
    assert "failed:timeout" in short.stdout
    done = _ingest(tmp_path, "--file-memory", "512MiB")
    assert done.returncode == 0, done.stderr
    assert "accepted" in done.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [(("--file-memory", "2"), "2048MiB"), (("--file-memory", "1MiB"), "64"), (("--file-seconds", "0"), "seconds")],
)
def test_limits_that_cannot_be_are_one_line(tmp_path: Path, option: tuple[str, str], message: str) -> None:
    write(tmp_path / "in" / "clip", speckle_frames(2))
    done = _ingest(tmp_path, *option)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()
