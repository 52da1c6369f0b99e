"""A night in a hospital: a full disk, kill -9 at any moment, files that grow or vanish, folders without bottom."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from heart2heart.deidentify.clip import load_clip
from heart2heart.errors import NoSpaceError
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.store.frame_store import FrameStore
from tests.dicom.build import speckle_frames, write
from tests.ingest.archive_kit import EXPECTED, SMALL, make_archive, run

ROOT = Path(__file__).parents[2]
LARGE = IngestSettings(size=112, frames="all")


def lines(store: Path) -> list[tuple[str, ...]]:
    """Return every line of a ledger."""
    with closing(sqlite3.connect(store / "ledger.sqlite")) as book:
        return sorted(book.execute("SELECT file, site, status, stamp, content, clip FROM files"))


def share_key(one: Path, other: Path) -> None:
    """Give a second store the key of the first."""
    shutil.copy(one.with_suffix(".key"), other.with_suffix(".key"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ingest_killed_at_random_moments(tmp_path: Path, seed: int) -> None:
    root, whole, store = make_archive(tmp_path / "in", clips=24), tmp_path / "whole", tmp_path / "store"
    run(root, whole)
    share_key(whole, store)
    draw = random.Random(seed)
    for _ in range(2):
        command = (sys.executable, "-m", "tests.ingest.archive_kit", str(root), str(store), "2")
        with subprocess.Popen(command, cwd=ROOT) as process:
            time.sleep(draw.uniform(0.7, 3.0))
            process.send_signal(signal.SIGKILL)
    run(root, store)
    assert lines(store) == lines(whole)
    assert FrameStore.open(store).digest() == FrameStore.open(whole).digest()
    assert FrameStore.open(store).verify() == []


@contextmanager
def disk(mount_point: Path, kib: int) -> Iterator[None]:
    """Mount a disk of some KiB; only root may."""
    mount_point.mkdir()
    options = f"size={kib}k,mode=0755"
    done = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount_point)), check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("only root can mount a small disk: a disk that is really full has not been tried")
    try:
        yield
    finally:
        # Lazily: a process that was killed may hold the disk a moment longer.
        subprocess.run(("umount", "--lazy", str(mount_point)), check=True)


def test_ingest_resumes_after_a_disk_that_is_really_full(tmp_path: Path) -> None:
    root, whole = make_archive(tmp_path / "in"), tmp_path / "whole"
    ingest([root], site="a", store=whole, key=tmp_path / "key", settings=LARGE)
    full = 0
    for kib in (4, 40, 100, 180, 400, 560, 640):
        mount_point = tmp_path / f"disk{kib}"
        store = mount_point / "store"
        with disk(mount_point, kib):
            with suppress(NoSpaceError):
                full += 1
                ingest([root], site="a", store=store, key=tmp_path / "key", settings=LARGE)
                full -= 1
            subprocess.run(("mount", "-o", "remount,size=64m", str(mount_point)), check=True)
            again = ingest([root], site="a", store=store, key=tmp_path / "key", settings=LARGE)
            assert again.total == EXPECTED
            assert lines(store) == lines(whole), kib
            assert FrameStore.open(store).digest() == FrameStore.open(whole).digest()
            assert FrameStore.open(store).verify() == []
            assert not list(store.rglob("*.tmp"))
    assert full >= 4


def test_ingest_reports_a_full_disk_in_one_line_with_exit_code_2(tmp_path: Path) -> None:
    root, mount_point = make_archive(tmp_path / "in"), tmp_path / "disk"
    line = ("ingest", str(root), "--site", "a", "--store", str(mount_point / "store"), "--key", str(tmp_path / "key"))
    with disk(mount_point, 300):
        command = (sys.executable, "-c", "from heart2heart.cli import main; main()", *line)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    # A slow machine tells how far it is before.
    errors = [line for line in done.stderr.splitlines() if not line.startswith("  ingest")]
    assert len(errors) == 1
    assert errors[0].startswith("error: no space left on the disk")


def test_ingest_ends_in_a_folder_without_bottom(tmp_path: Path) -> None:
    home = tmp_path / "in"
    home.mkdir()
    write(home / "clip", speckle_frames(4))
    with chdir(home):
        for index in range(1500):  # 3,000 letters more: some of them are beyond what the system takes as a path
            Path("dd").mkdir()
            os.chdir("dd")
            if index in (300, 1499):
                write(Path("clip"), speckle_frames(4, seed=index), SOPInstanceUID=f"1.2.3.{index}")
    depth = sum(len(entry) + 1 for entry in ("dd",) * 1500) + len(str(home))
    summary = run(home, tmp_path / "store")
    assert summary.total["accepted"] == 2 + (depth < 4090)
    assert sum(summary.total.values()) == 3
    subprocess.run(("rm", "-rf", str(home)), check=True)  # pytest's own clearing cannot


class Meanwhile:
    """Progress during which something happens to the archive."""

    def __init__(self, happen: dict[int, Path], *, grow: bool) -> None:
        self.happen, self.grow = happen, grow

    def update(self, done: int, note: str = "") -> None:
        """Let a file grow or vanish."""
        path = self.happen.get(done)
        if path is not None and self.grow:
            write(path, speckle_frames(6, seed=77), SOPInstanceUID="1.2.3.77")
        elif path is not None:
            path.unlink()


@pytest.mark.parametrize("grow", [True, False])
def test_ingest_of_a_file_that_grows_or_vanishes_after_it_was_listed(tmp_path: Path, grow: bool) -> None:
    root, store, key = make_archive(tmp_path / "in"), tmp_path / "store", tmp_path / "store.key"
    last = root / "study 2" / "clip5"
    happens = Meanwhile({3: last}, grow=grow)
    first = ingest([root], site="a", store=store, key=key, settings=SMALL, progress=happens)
    assert sum(first.total.values()) == sum(EXPECTED.values())
    assert first.total.get("failed:unreadable", 0) == (0 if grow else 1)
    write(last, speckle_frames(7, seed=78), SOPInstanceUID="1.2.3.77")
    second = run(root, store)
    assert second.run == {"accepted": 1}
    assert second.unchanged == sum(EXPECTED.values()) - 1


def test_ingest_leaves_a_file_that_changes_while_it_is_read_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = write(tmp_path / "in" / "clip", speckle_frames(4)), load_clip

    def slow(*args: Any, **options: Any) -> Any:
        clip = plain(*args, **options)
        path.write_bytes(path.read_bytes() + b"more")
        return clip

    with monkeypatch.context() as patch:
        patch.setattr("heart2heart.ingest.worker.load_clip", slow)
        assert run(tmp_path / "in", tmp_path / "store").total == {"failed:unreadable": 1}
    assert len(FrameStore.open(tmp_path / "store").clips) == 0
    assert run(tmp_path / "in", tmp_path / "store").total == {"accepted": 1}


def test_ingest_admits_one_of_two_into_one_store(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    errors: list[str] = []

    class Second:
        def update(self, done: int, note: str = "") -> None:
            """Try another ingest into the store while the first is at work."""
            if done == 2:
                line = (sys.executable, "-m", "tests.ingest.archive_kit", str(root), str(store), "0")
                other = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
                errors.append(other.stderr.strip().splitlines()[-1])

    ingest([root], site="a", store=store, key=tmp_path / "store.key", settings=SMALL, progress=Second())
    assert len(errors) == 1
    assert "another ingest is writing to this store" in errors[0]
    assert Ledger(store).counts() == {"a": EXPECTED}
