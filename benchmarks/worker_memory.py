"""Peak memory of one ingest worker, file by file, each in a fresh process: `python -m benchmarks.worker_memory`.

The peak is that of resident memory (VmHWM, Linux), with the mapped file in it. Every file but the first is SYNTHETIC.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from benchmarks.ingest_clips import simulated_clip
from heart2heart.deidentify.pseudonyms import Key
from heart2heart.ingest.settings import IngestSettings
from heart2heart.ingest.worker import IngestTask


def real_clip(folder: Path) -> Path:
    """Return pydicom's colour clip: 120 frames of 480 x 640, JPEG baseline."""
    return Path(str(get_testdata_file("color3d_jpeg_baseline.dcm")))


def long_clip(folder: Path) -> Path:
    """Write 1,000 frames of 480 x 640 in JPEG baseline, 40 pictures over and over."""
    return _repeated(simulated_clip(folder / "long", "JPEG baseline"), 40, 25)


def large_frames(folder: Path) -> Path:
    """Write 40 frames of 3,072 x 4,096 in JPEG baseline: near the largest frame that is let in."""
    return _repeated(simulated_clip(folder / "large", "JPEG baseline", n=4, rows=3072, columns=4096), 4, 10)


def _repeated(path: Path, pictures: int, times: int) -> Path:
    """Make a clip of `pictures` frames hold them several times over."""
    dataset = dcmread(path)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=pictures)) * times
    dataset.PixelData, dataset.NumberOfFrames = encapsulate(frames), len(frames)
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


def declared(rows: int, frames: int) -> Callable[[Path], Path]:
    """Return what writes a small file whose header declares that many rows of pixels, or frames."""

    def write(folder: Path) -> Path:
        path = simulated_clip(folder / "declared", "native", n=2, rows=96, columns=128)
        dataset = dcmread(path)
        dataset.Rows, dataset.NumberOfFrames = rows, frames
        dataset.save_as(path)
        return path

    return write


CASES: dict[str, Callable[[Path], Path]] = {
    "real clip, 120 x 480 x 640": real_clip,
    "1,000 x 480 x 640": long_clip,
    "40 x 3,072 x 4,096": large_frames,
    "20,000 rows declared": declared(20_000, 2),
    "10,000,000 frames declared": declared(96, 10_000_000),
}


def measure(path: Path, key: Path) -> dict[str, object]:
    """Work on one file in this process, after a small one that loads the libraries; return MiB and code."""
    worker = IngestTask(Key.load(key), "a", IngestSettings(), frozenset())
    with TemporaryDirectory() as folder:
        worker(simulated_clip(Path(folder) / "small", "JPEG baseline", n=2, rows=96, columns=128))
    before = _peak()
    return {"code": worker(path).code, "before": before, "after": _peak()}


def _peak() -> float:
    # Not `ru_maxrss`, which a process inherits from the one that started it.
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, type=Path, metavar=("FILE", "KEY"), help="work on one file, print JSON")
    one: list[Path] | None = parser.parse_args().one
    if one is not None:
        print(json.dumps(measure(*one)))
        return
    print("| file | ends as | libraries loaded, MiB | peak, MiB |\n|---|---|---|---|")
    with TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        Key.open(key, outside=Path(folder) / "store")
        for name, make in CASES.items():
            command = (sys.executable, "-m", "benchmarks.worker_memory", "--one", str(make(Path(folder))), str(key))
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"| {name} | `{result['code']}` | {result['before']:.0f} | {result['after']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
