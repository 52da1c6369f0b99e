"""A real Dask scheduler and two worker processes on loopback, one of them killed half-way: the same store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError, NoSpaceError, RemoteError
from heart2heart.ingest.dask_executor import run_on_dask
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import Limits
from heart2heart.ingest.worker import FileOutcome
from heart2heart.schema.status import StatusCode
from heart2heart.store.frame_store import FrameStore
from tests.ingest.archive_kit import SMALL, Deadly, make_archive, run

SLOW = """
import time
from heart2heart.ingest.worker import IngestTask
def slow(self, path, plain=IngestTask.__call__):
    time.sleep(0.1)
    return plain(self, path)
if IngestTask.__call__.__name__ != "slow":  # Dask loads a preload more than once
    IngestTask.__call__ = slow
"""
ROOT = Path(__file__).parents[2]


@contextmanager
def cluster(home: Path, workers: int = 2, failures: int = 3) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Run a scheduler and workers, each file 0.1 s slower; yield the scheduler's file and the workers' nannies."""
    (home / "slow.py").write_text(SLOW)
    file = home / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = str(failures)
    here = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file))
    scheduler = ("dask_scheduler", *here, "--port", "0")
    slow = ("--local-directory", str(home), "--preload", str(home / "slow.py"))
    worker = ("dask_worker", *here, "--nthreads", "1", *slow)
    with ExitStack() as running:
        processes: list[subprocess.Popen[bytes]] = []
        for line in (scheduler, *[worker] * workers):
            command = (sys.executable, "-m", f"distributed.cli.{line[0]}", *line[1:])
            log = running.enter_context((home / f"log{len(processes)}").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
            running.callback(_end, process)
            processes.append(process)
            _wait_for(file)
        yield str(file), processes[1:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and those it started, which share its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if file.exists() and file.read_text().rstrip().endswith("}"):
            return
        time.sleep(0.05)
    pytest.fail("the scheduler did not start")


def test_ingest_survives_one_of_two_workers_killed_half_way(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in", clips=14), tmp_path / "dask"
    undisturbed = run(root, tmp_path / "one")
    (tmp_path / "dask.key").write_text((tmp_path / "one.key").read_text())
    (tmp_path / "dask.key").chmod(0o600)
    with cluster(tmp_path) as (address, workers):

        class Killer:
            def update(self, done: int, note: str = "") -> None:
                """Kill one worker, its nanny with it, when some files are done."""
                if done == 5:
                    _end(workers[0])

        summary = ingest(
            [root], site="a", store=store, key=tmp_path / "dask.key", settings=SMALL, dask=address, progress=Killer()
        )
        assert workers[0].returncode == -signal.SIGKILL
        logs = b"".join((tmp_path / f"log{index}").read_bytes() for index in range(2))
    assert summary.total == undisturbed.total
    assert Ledger(store).counts() == Ledger(tmp_path / "one").counts()
    assert FrameStore.open(store).digest() == FrameStore.open(tmp_path / "one").digest()
    assert str(root).encode() not in logs


class Trying:
    """A worker that finds the disk full, or takes for ever, or too much memory, as the name says."""

    def __call__(self, path: Path) -> FileOutcome:
        """Fail or hang or work."""
        if path.name == "full":
            raise NoSpaceError("no space left on the disk", where="somewhere")
        if path.name == "endless":
            time.sleep(60)
        if path.name == "huge":
            assert bytearray(2**30)
        return FileOutcome(StatusCode.EXCLUDED_NOT_DICOM)


def test_run_on_dask_survives_files_that_kill_or_hang_or_fill_the_disk(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1, failures=0) as (address, _):
        codes = [outcome.code for outcome in run_on_dask(Deadly(), [Path("a"), Path("deadly"), Path("b")], address)]
        assert codes == ["excluded:a", "failed:crashed", "excluded:b"]
        paths = [Path(name) for name in ("a", "endless", "huge", "b")]
        limits = Limits(seconds=1.0, memory_mib=256)
        ended = [outcome.code for outcome in run_on_dask(Trying(), paths, address, limits)]
        assert ended == ["excluded:not_dicom", "failed:timeout", "failed:memory", "excluded:not_dicom"]
        with pytest.raises(NoSpaceError, match="somewhere"):
            list(run_on_dask(Trying(), [Path("full")], address))
        assert list(run_on_dask(Trying(), [], address)) == []


def test_run_on_dask_without_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heart2heart.ingest.dask_executor._CONNECT_S", 0.5)
    with pytest.raises(RemoteError, match="no Dask scheduler answers"):
        list(run_on_dask(Trying(), [Path("a")], "tcp://127.0.0.1:1"))
    (tmp_path / "broken.json").write_text(json.dumps({}))
    with pytest.raises(ConfigError, match="this is not a Dask scheduler file"):
        list(run_on_dask(Trying(), [Path("a")], str(tmp_path / "broken.json")))
    with cluster(tmp_path, workers=0) as (address, _), pytest.raises(RemoteError, match="no workers"):
        list(run_on_dask(Trying(), [Path("a")], address))
