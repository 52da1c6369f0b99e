"""Adding a data set: twice is once, stopped is resumed, changed is refused, processes change nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from heart2heart.datasets import tmed2, unity
from heart2heart.datasets.add_files import add_manifest
from heart2heart.datasets.manifest import DatasetFile
from heart2heart.datasets.prepare import FilePreparer, PreparedFile
from heart2heart.errors import ConfigError, RunError, StoreError
from heart2heart.ingest.ledger import Ledger
from heart2heart.parallel import map_ordered
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.utils import read_json
from tests.datasets import miniature


def _pool(root: Path, frames: int) -> Path:
    """Write TMED-2 with a larger pool."""
    miniature.tmed2(root)
    folder = root / "approved_users_only" / miniature.POOL
    for index in range(frames):
        miniature.png(folder / f"{500 + index}s1_0.png", miniature.noise(500 + index, 112, 112))
    return root


def test_add_manifest_repeated_adds_nothing_and_gives_the_same_summary(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    first = add_manifest(tmed2.scan(root), tmp_path / "store")
    digest = FrameStore.open(tmp_path / "store").digest()
    again = add_manifest(tmed2.scan(root), tmp_path / "store")
    assert (again.clips, again.frames) == (0, 0)
    assert again.to_json() == first.to_json() == read_json(tmp_path / "store" / "sources" / "tmed2.json", what="report")
    assert FrameStore.open(tmp_path / "store").digest() == digest
    assert FrameStore.open(tmp_path / "store").verify() == []


def test_add_manifest_takes_a_missing_file_that_arrives_later(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    add_manifest(tmed2.scan(root), tmp_path / "store")
    name = "4s1_0.png"
    miniature.png(root / "approved_users_only" / miniature.BOTH / "labeled" / name, miniature.noise(40, 112, 112))
    report = add_manifest(tmed2.scan(root), tmp_path / "store")
    assert (report.clips, report.files_not_in_store) == (1, ())
    assert "failed:missing" not in report.codes


def test_add_manifest_takes_a_mended_file_and_refuses_a_changed_one(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    path = root / "approved_users_only" / miniature.BOTH / "labeled" / "1s1_0.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    broken = add_manifest(tmed2.scan(root), tmp_path / "store")
    assert broken.codes["failed:decode"] == 1
    assert len(broken.labels) == 16
    path.write_bytes(whole)
    mended = add_manifest(tmed2.scan(root), tmp_path / "store")
    assert (mended.clips, len(mended.labels)) == (1, 17)
    miniature.png(path, miniature.noise(999, 112, 112))
    changed = add_manifest(tmed2.scan(root), tmp_path / "store")
    assert dict(changed.files_not_in_store)[f"{miniature.BOTH}/labeled/1s1_0.png"] == "failed:changed"
    assert changed.clips == 0
    path.write_bytes(whole)
    assert add_manifest(tmed2.scan(root), tmp_path / "store").codes["accepted"] == 22


def test_add_manifest_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    root = miniature.tmed2(tmp_path / "in")
    path = root / "approved_users_only" / miniature.POOL / miniature.POOL / "100s1_0.png"
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    report = add_manifest(tmed2.scan(root), tmp_path / "store")
    assert dict(report.files_not_in_store)[f"{miniature.POOL}/100s1_0.png"] == "failed:unreadable"


def test_add_manifest_shares_a_store_between_data_sets_of_one_geometry(tmp_path: Path) -> None:
    add_manifest(tmed2.scan(miniature.tmed2(tmp_path / "a")), tmp_path / "store")
    add_manifest(unity.scan(miniature.unity(tmp_path / "b")), tmp_path / "store")
    store = FrameStore.open(tmp_path / "store")
    assert set(store.clips["site"].to_pylist()) == {"tmed2", "unity"}
    assert set(Ledger(store.root).counts()) == {"tmed2", "unity"}
    with pytest.raises(StoreError, match="this store holds frames of"):
        add_manifest(unity.scan(tmp_path / "b"), tmp_path / "store", size=64)


def test_add_manifest_refuses_another_frame_rule(tmp_path: Path) -> None:
    plan = unity.scan(miniature.unity(tmp_path / "in"))
    add_manifest(plan, tmp_path / "store")
    with pytest.raises(ConfigError, match="other settings"):
        add_manifest(plan, tmp_path / "store", rule="even:1")


def test_add_manifest_does_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    root = _pool(tmp_path / "in", 120)
    alone = add_manifest(tmed2.scan(root), tmp_path / "one")
    together = add_manifest(tmed2.scan(root), tmp_path / "two", workers=2)
    assert together == alone
    assert FrameStore.open(tmp_path / "one").digest() == FrameStore.open(tmp_path / "two").digest()


class Deadly(FilePreparer):
    """Dies with its process."""

    def __call__(self, work: tuple[DatasetFile, str | None]) -> PreparedFile:
        os._exit(3)


def test_map_ordered_names_a_process_that_dies(tmp_path: Path) -> None:
    plan = tmed2.scan(_pool(tmp_path / "in", 60))
    deadly = Deadly("tmed2", Geometry("tmed2", 112), "all")
    with pytest.raises(RunError, match="a worker process died"):
        list(map_ordered(deadly, [(item, None) for item in plan.files], 2, chunk=64))


SLOW = """
import sys, time
from pathlib import Path
from heart2heart.ingest import ledger
from heart2heart.datasets import add_files, tmed2
from heart2heart.datasets.prepare import FilePreparer
plain = FilePreparer.__call__
def slow(self, work):
    time.sleep(0.02)
    return plain(self, work)
FilePreparer.__call__ = slow
ledger._MAX_WAITING_ENTRIES = 5
add_files.add_manifest(tmed2.scan(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def test_add_manifest_killed_and_resumed(tmp_path: Path) -> None:
    root, store = _pool(tmp_path / "in", 30), tmp_path / "store"
    uninterrupted = add_manifest(tmed2.scan(root), tmp_path / "whole")
    with subprocess.Popen([sys.executable, "-c", SLOW, str(root), str(store)]) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = Ledger(store).counts() if (store / "ledger.sqlite").exists() else {}
            if sum(done.get("tmed2", {}).values()) >= 10:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    before = len(FrameStore.open(store).clips)
    assert 10 <= before < 52
    report = add_manifest(tmed2.scan(root), store)
    assert report.clips == 52 - before
    assert report.to_json() == uninterrupted.to_json()
    assert FrameStore.open(store).digest() == FrameStore.open(tmp_path / "whole").digest()


def test_add_manifest_takes_quality_and_hash_of_the_picture_without_padding(tmp_path: Path) -> None:
    root = miniature.unity(tmp_path / "in")
    flat = np.zeros((60, 80), np.uint8)
    first, _ = miniature.HASHES
    miniature.png(root / "png-cache" / "01" / "ab" / "12" / f"01-{first}-0003.png", flat)
    add_manifest(unity.scan(root), tmp_path / "store")
    frames = {
        row["index"]: row for row in FrameStore.open(tmp_path / "store").frames.to_pylist() if "ab12" in row["patient"]
    }
    assert frames[3]["quality"] == 0.0
    assert frames[7]["quality"] > 0.3
    assert frames[7]["dhash"] & 0xFFFF  # the last two rows of the hash are of the picture
