"""A small archive of synthetic clips and strays, and a run of ingest that can be killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import cast

from pydicom.uid import JPEGBaseline8Bit, RLELossless

from heart2heart.errors import NoSpaceError
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings, IngestSummary
from heart2heart.ingest.worker import FileOutcome, IngestTask
from heart2heart.schema.status import StatusCode
from tests.dicom.build import speckle_frames, write

SMALL = IngestSettings(size=32, frames="even:3")
EXPECTED = {
    "accepted": 6,
    "excluded:duplicate": 1,
    "excluded:not_dicom": 2,
    "excluded:secondary_capture": 1,
    "failed:empty": 1,
    "failed:truncated": 1,
}


def make_archive(root: Path, clips: int = 6) -> Path:
    """Write `clips` clips of two patients, one of them twice, and one file of each of some other codes."""
    for index in range(clips):
        syntax = (JPEGBaseline8Bit, RLELossless)[index % 2]
        tags = {"PatientID": f"TEST-{index % 2}", "SOPInstanceUID": f"1.2.3.{index}"}
        write(root / f"study {index % 3}" / f"clip{index}", speckle_frames(4, seed=index), syntax, **tags)
    (root / "copy of clip0").write_bytes((root / "study 0" / "clip0").read_bytes())
    (root / "notes.txt").write_text("nothing")
    (root / ".hidden").write_text("nothing")
    (root / "empty.dcm").touch()
    raw = write(root / "capture", speckle_frames(1), SOPClassUID="1.2.840.10008.5.1.4.1.1.7").read_bytes()
    assert raw
    whole = write(root / "cut", speckle_frames(2)).read_bytes()
    (root / "cut").write_bytes(whole[:-60_000])
    return root


def run(root: Path, store: Path, *, workers: int = 0, site: str = "a") -> IngestSummary:
    """Ingest an archive with the settings of these tests; the key lies beside the store."""
    return ingest([root], site=site, store=store, key=store.with_suffix(".key"), settings=SMALL, workers=workers)


class Deadly:
    """A worker that dies with the process on files whose name says so."""

    def __init__(self, worker: IngestTask | None = None) -> None:
        self.worker = worker

    def __call__(self, path: Path) -> FileOutcome:
        """Die or work."""
        if path.name.startswith("deadly"):
            os._exit(9)
        return FileOutcome(cast(StatusCode, f"excluded:{path.name}")) if self.worker is None else self.worker(path)


class Greedy(Deadly):
    """A worker whose file names also ask for too much time, memory or disk."""

    def __call__(self, path: Path) -> FileOutcome:
        """Do what the name says."""
        if path.name.startswith("endless"):
            time.sleep(3600)
        if path.name == "pause":
            time.sleep(1)
        if path.name == "noisy":
            os.write(2, b"Corrupt JPEG data: std::bad_alloc is not why\n" * 9)
        if path.name == "bad_alloc":  # C++ `operator new`, with nobody to catch what it throws
            ctypes.CDLL("libstdc++.so.6")["_Znwm"](ctypes.c_size_t(2**30))
        if path.name == "abort":
            os.abort()
        if path.name == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.name == "full":
            raise NoSpaceError("no space left on the disk")
        if path.name == "huge":
            try:
                assert bytearray(2**30)
            except MemoryError:
                return FileOutcome(StatusCode.FAILED_MEMORY)
        if path.name == "pid":
            return FileOutcome(cast(StatusCode, "excluded:pid"), content=str(os.getpid()))
        return super().__call__(path)


class Stillborn(Deadly):
    """A worker that cannot even be brought into a process."""

    def __setstate__(self, state: object) -> None:
        """End the process that unpickles it."""
        os._exit(1)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), workers=int(sys.argv[3]))
