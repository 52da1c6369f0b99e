"""Time from a key press to the next clip on the screen, in headless Chromium.

    python -m benchmarks.annotation_page --clips 60 --frames 60
    python -m benchmarks.annotation_page --clips 101 --pace 0

Clips of random gray, 112 pixels wide, are labeled by one key after the other as on the page of `heart2heart curate`;
the page itself measures from the key press to the moment after the next clip's first frame was drawn. With `--pace 0`
each key is pressed as soon as the page accepts it, 150 ms after the clip appeared: the time per clip is then what the
page itself costs. The script runs in older revisions too: copy it there to compare.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.server import AnnotationServer
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.labels.label_store import LabelStore
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry

SIDE = 112
PACE_MS = 400  # of a fast rater
ACCEPTED_MS = 160  # a clip is on the screen for this long before a key is pressed; the page ignores keys before 150 ms


def make(root: Path, clips: int, frames: int) -> None:
    """Write a store of random clips, ten to a study."""
    rng = np.random.default_rng(0)
    with FrameStore.create(root, Geometry("tmed2", SIDE)).writer() as writer:
        for clip_index in range(clips):
            name = f"{clip_index:016x}"
            row = {"clip": name, "site": "A", "patient": f"p{clip_index // 10}", "study": f"s{clip_index // 10}",
                   "content": name, "source": "dicom", "synthetic": True, "mode": "b_mode", "rows": SIDE,
                   "columns": SIDE, "n_source": frames, "quality": 0.5, "flags": []}  # fmt: skip
            pixels = rng.integers(0, 256, (frames, SIDE, SIDE), dtype=np.uint8)
            frame_rows = [
                {"index": index, "time_ms": 33.0 * index, "quality": 0.5, "dhash": index} for index in range(frames)
            ]
            writer.add(row, pixels, frame_rows)


def measure(folder: Path, clips: int, pace_ms: int) -> tuple[list[float], float]:
    """Label all clips but the last; return the milliseconds until each next one was shown, and the seconds of all."""
    settings = AnnotationSettings(port=0, double=0.0)
    server = AnnotationServer(
        Assignments(LabelStore(folder / "labels.db"), ClipCatalog([folder / "store"], settings.modes), settings)
    )
    thread = threading.Thread(target=server.run, args=(lambda _: None,))
    thread.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(server.address)
            page.get_by_label("Your name").fill("benchmark")
            page.keyboard.press("Enter")
            page.locator("#read[aria-busy=false]").wait_for()
            page.wait_for_timeout(1000)
            begin = time.perf_counter()
            for index in range(1, clips):
                page.keyboard.press("l")
                if pace_ms:
                    page.wait_for_timeout(pace_ms)
                else:
                    page.wait_for_function(_SHOWN, arg=index)
                    page.wait_for_timeout(ACCEPTED_MS)
            seconds = time.perf_counter() - begin
            durations = page.evaluate("performance.getEntriesByName('clip shown').map((entry) => entry.duration)")
            browser.close()
    finally:
        server.stop()
        thread.join()
    return [float(value) for value in durations], seconds


_SHOWN = "(number) => performance.getEntriesByName('clip shown').length >= number"


def main() -> None:
    """Print the median, the 95th percentile and the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--pace", type=int, default=PACE_MS, help="milliseconds between keys; 0: as fast as accepted")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make(Path(name) / "store", arguments.clips, arguments.frames)
        times, seconds = measure(Path(name), arguments.clips, arguments.pace)
    median, late = np.percentile(times, [50, 95])
    print(f"{len(times)} clips of {arguments.frames} frames: next clip on the screen after a median of {median:.0f} "
          f"ms, 95 % within {late:.0f} ms, the last after {max(times):.0f} ms; {seconds:.1f} s in all, "
          f"{1000 * seconds / len(times):.0f} ms a clip")  # fmt: skip


if __name__ == "__main__":
    main()
