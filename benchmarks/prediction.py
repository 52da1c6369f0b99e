"""Cost of answers for many files beside that of reading the same files, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.prediction --repeats 3

Needs the `dev` group (pydicom-data holds the real clip). The network is a small one, trained for two steps: its answers
are meaningless, its cost is not. The ways take turns in each repeat, and the median of the processor time of this
process and its workers is shown, so that other load counts less; read the ratios.
"""

from __future__ import annotations

import argparse
import platform
import resource
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import data_store
import simplejpeg
import torch
from pydicom import dcmread
from pydicom.encaps import generate_frames

from benchmarks.ingest_clips import simulated_clip
from heart2heart.api.many_files import predict_many
from heart2heart.api.prediction import predict_paths
from heart2heart.export.export import export_run
from heart2heart.ingest.source_files import find_files
from heart2heart.prediction.loaded_clip import PredictionTask
from heart2heart.testing.tiny import tiny_store
from heart2heart.training.run import Run
from heart2heart.training.train import train

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"
FRAMES = 120
Way = Callable[[Path], int]


def busy_seconds() -> float:
    """Return the processor time of this process and of its workers that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def bare_decoder(folder: Path) -> int:
    """Decode every fragment to whole gray pictures with libjpeg-turbo and keep nothing."""
    frames = 0
    for path in find_files([folder]):
        for fragment in generate_frames(dcmread(path).PixelData, number_of_frames=FRAMES):
            simplejpeg.decode_jpeg(fragment, colorspace="GRAY")
            frames += 1
    return frames


def ways(run: Run, onnx: Path, rule: str) -> dict[str, Way]:
    """Return what is compared, by name; each takes a folder and returns its frames."""
    task = PredictionTask(run.geometry, rule)

    def read(folder: Path) -> int:
        clips = [task(path).clip for path in find_files([folder])]
        return sum(len(clip.pixels) for clip in clips if clip is not None)

    def many(folder: Path, model: Run | Path = run) -> int:
        with tempfile.TemporaryDirectory() as out:
            done = predict_many(model, folder, Path(out) / "answers.jsonl", frames=rule)
        return sum(done.statuses.values())

    def one_by_one(folder: Path) -> int:
        return len(predict_paths(run, folder, rule=rule).clips)

    return {
        "bare libjpeg-turbo gray": bare_decoder,
        "reading to frames, hash included": read,
        "one file of answers (`predict --out`)": many,
        "the same, by the ONNX export": lambda folder: many(folder, onnx),
        "clip by clip (`predict`)": one_by_one,
    }


def measure(compared: dict[str, Way], folder: Path, repeats: int) -> dict[str, float]:
    """Return the median processor seconds of each way; they take turns, and the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in compared}
    for index in range(repeats + 1):
        for name, way in compared.items():
            start = busy_seconds()
            way(folder)
            if index:
                seconds[name].append(busy_seconds() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def small_run(folder: Path, size: int) -> Run:
    """Return a run of the small network of the demo, WideResNet 10-1, on frames of a size."""
    tiny = tiny_store(folder, parts={"train": 1, "validation": 1})
    run = train(tiny.config(steps=2), folder / "run")
    return run if size == run.geometry.size else resized(run, size)


def resized(run: Run, size: int) -> Run:
    """Return the run as one of frames of another size: the network ends in a mean over pixels."""
    from dataclasses import replace

    geometry = {**run.directory.record.geometry, "size": size}
    directory = replace(run.directory, record=run.directory.record.model_copy(update={"geometry": geometry}))
    return replace(run, directory=directory)


def copies(path: Path, folder: Path, count: int) -> Path:
    """Return a folder with copies of a file."""
    folder.mkdir()
    for index in range(count):
        shutil.copy(path, folder / f"{index}.dcm")
    return folder


def main() -> None:
    """Print a table for each clip and frame rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--rules", nargs="+", default=["all", "even:8"])
    parser.add_argument("--size", type=int, default=112)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as root:
        top = Path(root)
        (top / "run").mkdir()
        run = small_run(top / "run", arguments.size)
        onnx = export_run(run, top / "export", ("onnx",))["onnx"]
        simulated = simulated_clip(top / "simulated.dcm", "JPEG baseline", n=FRAMES)
        folders = {
            "real JPEG clip": copies(REAL, top / "real", arguments.clips),
            "simulated JPEG clip": copies(simulated, top / "copies", arguments.clips),
        }
        print(f"{platform.machine()}, {arguments.clips} copies of a clip of {FRAMES} frames, {run.geometry}\n")
        for title, folder in folders.items():
            for rule in arguments.rules:
                lines = table(f"{title}, frames {rule}", ways(run, onnx, rule), folder, arguments)
                print("\n".join(lines), end="\n\n", flush=True)


def table(title: str, compared: dict[str, Way], folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Return one table in Markdown."""
    seconds = measure(compared, folder, arguments.repeats)
    reading = seconds["reading to frames, hash included"]
    lines = [f"### {title}", "", "| way | processor ms a clip | ratio to reading |", "|---|---|---|"]
    for name, each in seconds.items():
        lines.append(f"| {name} | {1e3 * each / arguments.clips:.0f} | {each / reading:.2f} |")
    return lines


if __name__ == "__main__":
    main()
