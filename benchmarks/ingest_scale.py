"""Ingest at scale: the plan of a million files, a run of a hundred thousand clips, and queries of ledger and store.

    OMP_NUM_THREADS=1 python -m benchmarks.ingest_scale --files 1000000 --run 100000 --clips 1000000 --folder SCRATCH

The plan lists hard links of a few files and compares them with a ledger that is empty, and with one that is full. The
run ingests synthetic clips of two frames in one process and reports each tenth of it. The queries read a ledger of
`--files` entries and a store of `--clips` synthetic clips of one frame. Seconds are by the clock, costs are processor
time. SCRATCH needs about 20 KB a file of the run and 4 KB a clip; it is emptied at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.ingest_clips import many_small
from heart2heart.deidentify.pseudonyms import Key
from heart2heart.ingest.ledger import Ledger, open_ledger_writer
from heart2heart.ingest.pipeline import ingest, pending_files, unfinished
from heart2heart.ingest.source_files import find_files
from heart2heart.progress import Progress
from heart2heart.schema.status import StatusCode
from heart2heart.schema.store import LedgerEntry
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.store.joined_tables import join_tables

_FOLDER = 500  # files
_LINKS = 30_000  # hard links of one file; a file system allows some 65,000
_BATCH = 1000  # entries that an ingest writes at once
_VIEWS = ("PLAX", "PSAX AoV", "PSAX PM", "A2C", "A4C", None, None, None)


def resident_mib() -> float:
    """Return the memory of this process now, MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print a table row with the seconds and the resident memory of a block."""
    start, busy = time.perf_counter(), time.process_time()
    yield
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"| {what} | {seconds:.2f} | {busy:.2f} | {resident_mib():.0f} |", flush=True)


def header(title: str) -> None:
    """Print the head of a table."""
    print(f"\n| {title} | seconds | processor seconds | resident MiB after |\n|---|---|---|---|", flush=True)


def link_files(root: Path, count: int) -> Path:
    """Write `count` names for a few small files into folders of 500."""
    root.mkdir(parents=True)
    for index in range(count):
        source = root / f"source{index // _LINKS:03d}"
        if index % _LINKS == 0:
            source.write_bytes(b"\0" * 128 + b"DICM" + b"%09d" % index)
        path = root / f"{index // _FOLDER:05d}" / f"{index % _FOLDER:03d}.dcm"
        path.parent.mkdir(exist_ok=True)
        os.link(source, path)
    for source in root.glob("source*"):
        source.unlink()
    return root


def fill_ledger(folder: Path, count: int) -> None:
    """Plan `count` files, enter them all into a ledger as an ingest would, plan again, and query the ledger."""
    root, store, key = link_files(folder / "links", count), folder / "ledger", Key(b"0" * 32)
    FrameStore.create(store, Geometry(size=8))
    header(f"plan of {count:,} files")
    with timed("list the files"):
        files = find_files([root])
    with open_ledger_writer(store) as ledger:
        ledger.register_site("bench", "check", "{}")
        with timed("compare with an empty ledger"):
            todo = unfinished(ledger, pending_files(key, "bench", files))
        assert len(todo) == count
        tenth = -(-count // 10)
        for start in range(0, count, tenth):
            with timed(f"enter files {start:,} to {min(start + tenth, count):,}"):
                for first in range(start, min(start + tenth, count), _BATCH):
                    part = todo[first : min(first + _BATCH, start + tenth)]
                    ledger.add([_entry(first + index, each.file, each.stamp) for index, each in enumerate(part)])
        with timed("compare with the full ledger"):
            assert not unfinished(ledger, pending_files(key, "bench", files))
    reader = Ledger(store)
    header(f"query of a ledger of {count:,} files")
    queries: dict[str, Callable[[], object]] = {
        "counts by site and status": reader.counts,
        "counts of one site": lambda: reader.counts("bench"),
        "status and manufacturer of what was not accepted": reader.not_accepted,
        "sites": reader.sites,
        "files of one rare status": lambda: reader.files_with([StatusCode.FAILED_DECODE]),
    }
    for name, query in queries.items():
        with timed(name):
            query()
    shutil.rmtree(root)


def _entry(index: int, file: str, stamp: str) -> LedgerEntry:
    content = hashlib.sha256(str(index).encode()).hexdigest()
    if index % 10 == 0:
        return LedgerEntry(file, "bench", StatusCode.EXCLUDED_STRUCTURED_REPORT, stamp, None, None, "Maker")
    if index % 1000 == 1:
        return LedgerEntry(file, "bench", StatusCode.FAILED_DECODE, stamp, None, None, "Maker")
    return LedgerEntry(file, "bench", StatusCode.ACCEPTED, stamp, content, content[:24], None)


class _Tenths(Progress):
    """Prints processor time and memory after each tenth of a run."""

    def __init__(self, total: int) -> None:
        self._total, self._tenth, self._busy = total, 0, time.process_time()

    def update(self, done: int, note: str = "") -> None:
        """See `Progress.update`."""
        if done * 10 // self._total > self._tenth:
            self._tenth = done * 10 // self._total
            busy = time.process_time()
            cost = 1e3 * (busy - self._busy) / (self._total / 10)
            print(f"| {done:,} | {cost:.2f} | {resident_mib():.0f} |", flush=True)
            self._busy = busy


def run(folder: Path, count: int) -> None:
    """Ingest `count` small clips in this process."""
    root, store = many_small(folder / "small", count), folder / "run"
    print("\n| clips | processor ms a clip, this tenth | resident MiB |\n|---|---|---|", flush=True)
    ingest([root], site="bench", store=store, key=folder / "key", workers=0, progress=_Tenths(count))
    header(f"second ingest of the same {count:,} files")
    with timed("everything is finished"):
        ingest([root], site="bench", store=store, key=folder / "key", workers=0)
    shutil.rmtree(root)


def fill_store(root: Path, count: int) -> None:
    """Write a store of `count` synthetic clips of one frame of 8 x 8, a thousand a shard, as an ingest does."""
    store = FrameStore.create(root, Geometry(size=8))
    writer, pixels = store.writer(max_frames=_BATCH), np.zeros((1, 8, 8), np.uint8)
    for index in range(count):
        content = hashlib.sha256(str(index).encode()).hexdigest()
        patient = f"p{hashlib.sha256(b'patient %d' % (index // 40)).hexdigest()[:20]}"
        clip = {
            "clip": content[:24], "site": f"site{index % 4}", "patient": patient, "study": f"2.25.{index // 40}",
            "content": content, "source": "dicom", "synthetic": True, "mode": "b_mode", "rows": 480, "columns": 640,
            "n_source": 1, "quality": 0.5, "flags": [], "view_code": _VIEWS[index % len(_VIEWS)],
        }  # fmt: skip
        writer.add(clip, pixels, [{"index": 0, "time_ms": 0.0, "quality": 0.5, "dhash": index}])
    writer.publish()
    header("at the end of an ingest")
    with timed("join the tables of all shards"):
        join_tables(root)


def query_store(root: Path) -> None:
    """Open a store, then ask it for what users ask it for."""
    store = FrameStore.open(root)
    with timed("open, read the tables of clips and frames"):
        count = len(store.clips)
        assert len(store.frames) == count
    header(f"query of a store of {count:,} clips")
    patient = store.clips["patient"][count // 2].as_py()
    queries = {
        "clips of one patient": f"SELECT clip FROM clips WHERE patient = '{patient}'",
        "frames of one patient": f"SELECT frame, row FROM frames WHERE patient = '{patient}'",
        "clips by view that the file names": "SELECT view_code, count(*) FROM clips GROUP BY 1",
        "clips and patients by site and mode": "SELECT site, mode, count(*), count(DISTINCT patient) FROM clips "
        "GROUP BY ALL",
        "frames by site, joined with clips": "SELECT c.site, count(*) FROM clips c JOIN frames USING (clip) GROUP BY 1",
    }
    for name, query in queries.items():
        with timed(name):
            assert len(store.sql(query))
    with timed("sites"):
        assert len(store.sites) == 4
    with timed("1,000 random frames"):
        store.read(np.random.default_rng(0).integers(0, count, 1000))


def main() -> None:
    """Measure on one core and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000, help="files of the plan and the ledger; 0 leaves it out")
    parser.add_argument("--run", type=int, default=10_000, help="clips to ingest; 0 leaves it out")
    parser.add_argument(
        "--clips", type=int, default=100_000, help="clips of the store that is queried; 0 leaves it out"
    )
    parser.add_argument("--folder", type=Path, required=True, help="a folder that does not exist yet, or is empty")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.files:
            fill_ledger(arguments.folder, arguments.files)
        if arguments.clips:
            fill_store(arguments.folder / "store", arguments.clips)
            header("store")
            query_store(arguments.folder / "store")
        if arguments.run:
            run(arguments.folder, arguments.run)
    finally:
        for left in arguments.folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()


if __name__ == "__main__":
    main()
