"""kill -9 in the middle of an ingest, then the same command: the same store and the same counts."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from heart2heart.ingest.ledger import Ledger, LedgerWriter
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.store_files import ShardWriter
from tests.ingest.archive_kit import make_archive, run

SLOW = """
import sys, time
from pathlib import Path
from heart2heart.ingest import ledger
from heart2heart.ingest.worker import IngestTask
from tests.ingest.archive_kit import run
plain = IngestTask.__call__
def slow(self, path):
    time.sleep(0.15)
    return plain(self, path)
IngestTask.__call__ = slow
ledger._MAX_WAITING_ENTRIES = 3
run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("after", [2, 5])
def test_ingest_killed_and_resumed(tmp_path: Path, after: int) -> None:
    root = make_archive(tmp_path / "in", clips=8)
    undisturbed, store = tmp_path / "whole", tmp_path / "store"
    expected = run(root, undisturbed)
    (tmp_path / "store.key").write_text((tmp_path / "whole.key").read_text())
    (tmp_path / "store.key").chmod(0o600)
    with subprocess.Popen([sys.executable, "-c", SLOW, str(root), str(store)]) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = Ledger(store).counts() if (store / "ledger.sqlite").exists() else {}
            if sum(done.get("a", {}).values()) >= after:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert FrameStore.open(store).digest() != FrameStore.open(undisturbed).digest()
    resumed = run(root, store)
    assert resumed.unchanged >= after
    assert resumed.total == expected.total
    assert FrameStore.open(store).digest() == FrameStore.open(undisturbed).digest()
    assert FrameStore.open(store).verify() == []


class Killed(BaseException):
    """Stands for the end of the process at one exact place."""


@pytest.mark.parametrize("moment", ["before the frames", "between frames and ledger"])
def test_ingest_resumes_after_an_end_at_the_worst_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    root = make_archive(tmp_path / "in")
    whole = run(root, tmp_path / "store")
    digest = FrameStore.open(tmp_path / "store").digest()
    (tmp_path / "again.key").write_text((tmp_path / "store.key").read_text())
    (tmp_path / "again.key").chmod(0o600)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        owner = ShardWriter if moment == "before the frames" else LedgerWriter
        patch.setattr(owner, "publish" if owner is ShardWriter else "add", die)
        with pytest.raises(Killed):
            run(root, tmp_path / "again")
    published = len(FrameStore.open(tmp_path / "again").clips)
    assert published == (0 if moment == "before the frames" else 6)
    assert Ledger(tmp_path / "again").counts() == {}
    assert run(root, tmp_path / "again").total == whole.total
    assert FrameStore.open(tmp_path / "again").digest() == digest
