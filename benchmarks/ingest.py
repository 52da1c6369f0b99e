"""Speed of ingest beside pydicom, a common conversion script, and the decoder alone, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.ingest
    OMP_NUM_THREADS=1 python -m benchmarks.ingest --flat 100 1000 10000 --repeats 3

Needs the `dev` group (pydicom-data holds the real clip). Simulated clips are synthetic. The variants take turns in each
repeat and the median is shown, so that other load slows all of them alike; read the ratios, not the rates. Processor
time counts less of the other load than the clock does, but not the waiting for the disk.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import data_store
import numpy as np
import simplejpeg
from pydicom import dcmread
from pydicom.encaps import generate_frames

from benchmarks.ingest_clips import SYNTAXES, many_small, renamed, simulated_clip, structured_report
from heart2heart.deidentify.clip import load_clip
from heart2heart.errors import DicomError
from heart2heart.ingest.pipeline import ingest
from heart2heart.store.geometry import Geometry

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"
SIZE = 112
_FRAMES = 120  # of a simulated clip
_COPIES = 4  # of a clip in one store
_TWO_CORE_CLIPS = 288  # half a minute for two processes, beside which their start hardly counts
Decode = Callable[[Path], int]


def heart2heart_decode(path: Path) -> int:
    """From file to published store; return the frames."""
    return to_store([path], 0)


def heart2heart_several(path: Path) -> int:
    """The same for copies of the file, which share one store, as the files of an archive do."""
    if path not in COPIES:
        COPIES[path] = renamed(path, path.parent / f"{path.name} copies", _COPIES)
    return to_store(COPIES[path], 0)


COPIES: dict[Path, list[Path]] = {}


def to_store(paths: Sequence[Path], workers: int) -> int:
    """Ingest `paths` into a store that is thrown away; return its frames."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        return ingest(paths, site="bench", store=root / "store", key=root / "key", workers=workers).frames


def pydicom_default(path: Path) -> int:
    """Decode with `pixel_array`, as it comes, and resize each frame to gray."""
    pictures = _pictures(path)
    for picture in pictures:
        gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        cv2.resize(gray, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return len(pictures)


def echonet_conversion(path: Path) -> int:
    """Convert as published pipelines do: `pixel_array`, crop to a square, mask, resize each frame with OpenCV."""
    pictures = _pictures(path)
    first = pictures[0] if pictures[0].ndim == 2 else pictures[0][..., 0]
    side = min(first.shape)
    top, left = (first.shape[0] - side) // 2, (first.shape[1] - side) // 2
    y, x = np.indices((side, side))
    outside = (y < x - side / 2) | (y < side / 2 - x)
    for picture in pictures:
        gray = (picture if picture.ndim == 2 else picture[..., 0])[top : top + side, left : left + side].copy()
        gray[outside] = 0
        cv2.resize(gray, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return len(pictures)


def bare_decoder(path: Path) -> int:
    """Decode every fragment to whole gray pictures with libjpeg-turbo and keep nothing: the limit."""
    frames = FRAGMENTS.setdefault(path, list(generate_frames(dcmread(path).PixelData, number_of_frames=120)))
    for frame in frames:
        simplejpeg.decode_jpeg(frame, colorspace="GRAY")
    return len(frames)


FRAGMENTS: dict[Path, list[bytes]] = {}


def _pictures(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    dataset = dcmread(path)
    several = int(dataset.get("NumberOfFrames") or 1) > 1
    return dataset.pixel_array if several else dataset.pixel_array[None]


@dataclass(frozen=True)
class Cost:
    """Medians of one way over the repeats.

    Attributes:
        rate: Frames a second by the clock.
        busy: Milliseconds of processor time a frame.
    """

    rate: float
    busy: float


def costs(ways: dict[str, Decode], path: Path, repeats: int) -> dict[str, Cost]:
    """Return the cost of each way; they take turns."""
    measured: dict[str, list[Cost]] = {name: [] for name in ways}
    for index in range(repeats + 1):
        for name, way in ways.items():
            start, busy = time.perf_counter(), time.process_time()
            frames = way(path)
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            if index:  # the first round warms up
                measured[name].append(Cost(frames / seconds, 1e3 * busy / frames))
    return {
        name: Cost(statistics.median(cost.rate for cost in each), statistics.median(cost.busy for cost in each))
        for name, each in measured.items()
    }


def real_clip(folder: Path, repeats: int) -> list[str]:
    """Return the table of the real clip."""
    path = folder / REAL.name
    folder.mkdir()
    path.write_bytes(REAL.read_bytes())
    ways: dict[str, Decode] = {
        "file to published store": heart2heart_decode, f"the same, {_COPIES} copies in one store": heart2heart_several,
        "pydicom `pixel_array` + resize": pydicom_default, "echonet/dynamic manner": echonet_conversion,
        "bare libjpeg-turbo gray": bare_decoder,
    }  # fmt: skip
    measured = costs(ways, path, repeats)
    own, shared = list(measured.values())[:2]
    head = "frames/s | processor ms a frame | speed of ours, by the processor | of a clip among several"
    lines = [f"| way (real clip, 120 x 480 x 640, JPEG baseline) | {head} |", "|---|---|---|---|---|"]
    for name, cost in measured.items():
        ratios = f"{cost.busy / own.busy:.2f} x | {cost.busy / shared.busy:.2f} x"
        lines.append(f"| {name} | {cost.rate:.0f} | {cost.busy:.2f} | {ratios} |")
    return lines


def every_syntax(folder: Path, repeats: int) -> list[str]:
    """Return the table of one simulated clip in every transfer syntax."""
    head = "ours, frames/s | pydicom + resize | ratio | by the processor | of a clip among several"
    lines = [f"| simulated clip, {_FRAMES} x 480 x 640 | {head} |", "|---|---|---|---|---|---|"]
    ways: dict[str, Decode] = {"ours": heart2heart_decode, "several": heart2heart_several, "pydicom": pydicom_default}
    for name in SYNTAXES:
        path = simulated_clip(folder / name, name, n=_FRAMES)
        measured = costs(ways, path, repeats)
        own, several, other = measured["ours"], measured["several"], measured["pydicom"]
        ratios = f"{own.rate / other.rate:.2f} x | {other.busy / own.busy:.2f} x | {other.busy / several.busy:.2f} x"
        lines.append(f"| {name} | {own.rate:.0f} | {other.rate:.0f} | {ratios} |")
        path.unlink()
        shutil.rmtree(COPIES.pop(path)[0].parent)
    return lines


def two_cores(folder: Path, repeats: int) -> str:
    """Return a line on one worker confined to one core against two workers on two."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    files = renamed(REAL, folder, _TWO_CORE_CLIPS)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repeats):
        for workers in seconds:
            os.sched_setaffinity(0, cores[:workers])
            start = time.perf_counter()
            to_store(files, workers)
            seconds[workers].append(time.perf_counter() - start)
    os.sched_setaffinity(0, cores[:1])
    one, two = (statistics.median(values) for values in seconds.values())
    what = f"{_TWO_CORE_CLIPS} real clips: {one:.1f} s with one worker on one core, {two:.1f} s with two on two"
    return f"{what}: {one / two:.2f} x"


def triage(folder: Path) -> str:
    """Return a line on how long it takes to leave a file out by its header."""
    path = structured_report(folder / "report.dcm")
    seconds = []
    for _ in range(200):
        start = time.perf_counter()
        with suppress(DicomError):
            load_clip(path, geometry=Geometry())
        seconds.append(time.perf_counter() - start)
    return f"An excluded file costs {1e3 * statistics.median(seconds):.2f} ms (a structured report of 40 elements)"


def flat(folder: Path, counts: Sequence[int]) -> list[str]:
    """Return the table of cost against the number of small simulated clips, in processor time, all in one process."""
    lines = ["| small simulated clips (2 x 96 x 128) | seconds | processor seconds | ms a clip |", "|---|---|---|---|"]
    for count in counts:
        root = many_small(folder / f"{count}", count)
        start, busy = time.perf_counter(), time.process_time()
        assert to_store([root], 0) == 2 * count
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        lines.append(f"| {count:,} | {seconds:.1f} | {busy:.1f} | {1e3 * busy / count:.2f} |")
    return lines


def main() -> None:
    """Measure everything on one core and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--flat", type=int, nargs="*", default=[100, 1000, 10_000])
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("note: set OMP_NUM_THREADS=1 to measure one core")
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:1])
    cv2.setNumThreads(1)
    print(f"Python {platform.python_version()}, {len(every)} cores, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        print("\n".join(real_clip(folder / "real", arguments.repeats)), "\n", flush=True)
        print("\n".join(every_syntax(folder / "syntaxes", arguments.repeats)), "\n", flush=True)
        print(triage(folder), "\n", flush=True)
        print("\n".join(flat(folder / "flat", arguments.flat)), "\n", flush=True)
        os.sched_setaffinity(0, every)
        if len(every) > 1:
            print(two_cores(folder / "cores", max(1, arguments.repeats // 2)))


if __name__ == "__main__":
    main()
