"""The speed at which public data sets are added to a store: `OMP_NUM_THREADS=1 python -m benchmarks.datasets`.

The folders are SYNTHETIC, laid out as the data sets are. For each, in one run and in turns:

- heart2heart: `add_dataset` with one worker, from the folder to the published store (tables, hash, decoding, geometry,
  quality, shards, ledger);
- the peer: a plain loop (Pillow, SimpleITK, PyAV) that resizes frames where needed and saves them as one .npy file,
  without hash, label, split or resume;
- the limit: decoding the files with the same libraries, and reading their bytes.

Rates are frames a second of processor time, medians of the repeats, so that other work on the machine counts little.
Files were written just before, so the page cache holds them. With `--whole N` the first data set has N frames and is
added once, by `--workers` processes, with time by the clock, processor time and the peak of memory.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.dataset_folders import write_camus, write_echonet, write_tmed2
from heart2heart.datasets.add_dataset import add_dataset

Pictures = npt.NDArray[np.uint8]
SIDE = 112


def add_with_heart2heart(name: str, folder: Path, out: Path, workers: int = 1) -> int:
    """Add the data set and return its frames."""
    report = add_dataset(name, folder, out / "store", sequences=True, workers=workers)
    assert not report.files_not_in_store, report.files_not_in_store
    return report.frames


def peer_tmed2(folder: Path, out: Path) -> int:
    """Open each PNG with Pillow."""
    return _save([_png(path) for path in sorted(folder.rglob("*.png"))], out)


def peer_camus(folder: Path, out: Path) -> int:
    """Read each NIfTI with SimpleITK and resample each frame to square pixels by linear interpolation."""
    frames: list[Pictures] = []
    for path in sorted(folder.rglob("*.nii.gz")):
        image, spacing = _volume(path)
        frames += [_square(each, spacing) for each in image]
    return _save(frames, out)


def peer_echonet(folder: Path, out: Path) -> int:
    """Decode each video with PyAV, as its own loader does with OpenCV."""
    return _save([each for path in sorted(folder.rglob("*.avi")) for each in _video(path)], out)


def decode_tmed2(folder: Path) -> int:
    """Decode every PNG."""
    return sum(_png(path).ndim // 2 for path in sorted(folder.rglob("*.png")))


def decode_camus(folder: Path) -> int:
    """Unpack every NIfTI."""
    return sum(len(_volume(path)[0]) for path in sorted(folder.rglob("*.nii.gz")))


def decode_echonet(folder: Path) -> int:
    """Decode every video."""
    return sum(len(_video(path)) for path in sorted(folder.rglob("*.avi")))


def read_bytes(folder: Path) -> int:
    """Read every file and return the bytes."""
    return sum(len(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file())


def _png(path: Path) -> Pictures:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def _volume(path: Path) -> tuple[Pictures, tuple[float, float]]:
    import SimpleITK

    sitk: Any = SimpleITK
    image = sitk.ReadImage(str(path))
    along, down = image.GetSpacing()[:2]
    values = np.asarray(sitk.GetArrayFromImage(image))
    return values.reshape(-1, *values.shape[-2:]), (down, along)


def _square(frame: Pictures, spacing: tuple[float, float]) -> Pictures:
    """Resample one frame so that its longest side in millimetres has 112 pixels, and pad it."""
    import SimpleITK

    sitk: Any = SimpleITK
    image = sitk.GetImageFromArray(frame)
    image.SetSpacing((spacing[1], spacing[0]))
    step = max(frame.shape[0] * spacing[0], frame.shape[1] * spacing[1]) / SIDE
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(
        image, [SIDE, SIDE], sitk.Transform(), sitk.sitkLinear, (0.0, 0.0), (step, step), (1.0, 0.0, 0.0, 1.0), 0,
        sitk.sitkUInt8,
    )))  # fmt: skip


def _video(path: Path) -> list[Pictures]:
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in container.decode(video=0)]


def _save(frames: list[Pictures], out: Path) -> int:
    np.save(out / "frames.npy", np.stack(frames))
    return len(frames)


SETS: dict[str, tuple[Callable[[Path, Path], int], Callable[[Path], int], str]] = {
    "tmed2": (peer_tmed2, decode_tmed2, "PNG, 112 x 112, one frame a file"),
    "camus": (peer_camus, decode_camus, "NIfTI, 640 x 512, 1 or 20 frames a file"),
    "echonet": (peer_echonet, decode_echonet, "AVI (motion JPEG), 112 x 112, 150 frames a file"),
}


def _timed(work: Callable[[Path], int]) -> float:
    """Return the seconds of processor time of one run in a fresh folder."""
    with TemporaryDirectory() as out:
        start = time.process_time()
        work(Path(out))
        return time.process_time() - start


def compare(name: str, folder: Path, frames: int, repeats: int) -> str:
    """Return one row of the table."""
    peer, decode, what = SETS[name]
    ways: dict[str, Callable[[Path], int]] = {
        "ours": lambda out: add_with_heart2heart(name, folder, out),
        "peer": lambda out: peer(folder, out),
        "decode": lambda _: decode(folder),
        "bytes": lambda _: read_bytes(folder),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):  # in turns, so that other work on the machine falls on all
        for way, work in ways.items():
            seconds[way].append(_timed(work))
    rate = {way: frames / statistics.median(measured) for way, measured in seconds.items()}
    against = " | ".join(f"{rate[way]:.0f} | {rate['ours'] / rate[way]:.2f} x" for way in ("peer", "decode", "bytes"))
    return f"| `{name}`: {what} | {frames} | {rate['ours']:.0f} | {against} |"


def whole(folder: Path, out: Path, workers: int) -> str:
    """Add the first data set once, and print time and memory."""
    start, before = time.perf_counter(), time.process_time()
    frames = add_with_heart2heart("tmed2", folder, out, workers)
    seconds = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    busy = sum(each.ru_utime + each.ru_stime for each in used) - before
    peaks = " and ".join(f"{each.ru_maxrss / 2**20:.2f} GiB" for each in used)
    return (
        f"{frames} frames of tmed2, {workers} workers: {seconds:.0f} s by the clock, {busy:.0f} s of processor time; "
        f"peak memory of the parent and of the largest worker {peaks}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=5000, help="frames of the first data set")
    parser.add_argument("--whole", type=int, default=0, help="add so many frames of the first data set, once")
    parser.add_argument("--workers", type=int, default=1, help="processes of --whole")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        if arguments.whole:
            write_tmed2(root / "whole", arguments.whole)
            print(whole(root / "whole", root / "store", arguments.workers))
            return
        frames = {
            "tmed2": write_tmed2(root / "tmed2", arguments.frames),
            "camus": write_camus(root / "camus", 10),
            "echonet": write_echonet(root / "echonet", 20),
        }
        print(
            "| data set | frames | ours, frames/s | peer | ours is | decoding alone | ours is | bytes alone | ours is |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for name, count in frames.items():
            print(compare(name, root / name, count, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
