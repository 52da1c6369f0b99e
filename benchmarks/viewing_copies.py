"""Cost of viewing copies: codings, size and time of ingest, and the viewer in headless Chromium.

    OMP_NUM_THREADS=1 python -m benchmarks.viewing_copies --repeats 5
    OMP_NUM_THREADS=1 python -m benchmarks.viewing_copies --page --clips 40 --frames 120

The first command codes a real clip of 120 frames (pydicom-data, group `dev`) and a simulated one, and ingests each with
and without a viewing copy, in turn; it counts processor time. The second labels clips of 640 x 480 pixels by key, and
counts the pictures that the viewer draws, of clips of 60 frames a second; with `--tablet` as an emulated tablet: touch,
1024 x 768, and a processor slowed down to a quarter by Chromium. Seed 0.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import data_store
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from benchmarks.annotation_page import make
from benchmarks.ingest_clips import simulated_clip
from heart2heart.annotate.assignments import Assignments
from heart2heart.annotate.catalog import ClipCatalog
from heart2heart.annotate.server import AnnotationServer
from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.deidentify.clip import load_clip
from heart2heart.deidentify.header import technical_dataset
from heart2heart.dicom.image_pixel import read_image_pixel
from heart2heart.dicom.pixel_data import find_frames
from heart2heart.dicom.reader import open_dicom
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.labels.label_store import LabelStore
from heart2heart.store.geometry import Geometry
from heart2heart.store.viewing_copies import ViewingPictures, write_viewing_copy

REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"
WIDTH, HEIGHT, RATE = 640, 480, 60
PACE_MS = 400
DESKTOP, TABLET = ViewportSize(width=1280, height=900), ViewportSize(width=1024, height=768)
TABLET_SLOWDOWN = 4
_CODED = 40  # pictures coded by each coding
Picture = npt.NDArray[np.uint8]


def codings() -> dict[str, Callable[[Picture], bytes]]:
    """Return encoders of one gray picture by name; PyAV's are of the extra `video` and not considered."""

    def jpeg(quality: int) -> Callable[[Picture], bytes]:
        return lambda picture: bytes(
            simplejpeg.encode_jpeg(picture[..., None], quality, colorspace="GRAY", colorsubsampling="Gray")
        )

    def webp(method: int) -> Callable[[Picture], bytes]:
        def encode(picture: Picture) -> bytes:
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "WEBP", quality=80, method=method)
            return buffer.getvalue()

        return encode

    return {f"JPEG, quality {q}": jpeg(q) for q in (75, 90)} | {f"WebP 80, method {m}": webp(m) for m in (0, 2)}


def compare_codings(name: str, path: Path) -> None:
    """Print milliseconds and KiB of a picture for each coding."""
    viewing = load_clip(path, geometry=Geometry(), viewing_copy=True).viewing
    assert viewing is not None
    pictures = [simplejpeg.decode_jpeg(data, colorspace="GRAY")[..., 0] for data in viewing.jpegs[:_CODED]]
    for coding, encode in codings().items():
        begin = time.process_time()
        size = sum(len(encode(np.ascontiguousarray(picture))) for picture in pictures)
        milliseconds = (time.process_time() - begin) / len(pictures) * 1000
        print(f"{name}: {coding}: {milliseconds:.2f} ms, {size / len(pictures) / 1024:.1f} KiB a picture")


def coding_seconds(path: Path) -> float:
    """Return the processor time of decoding all pictures of a JPEG file at full size and coding their scan again.

    That is the least that a viewing copy adds: nothing is blanked or searched.
    """
    with open_dicom(path) as opened:
        image_pixel = read_image_pixel(technical_dataset(opened.header, None), big_endian=opened.big_endian)
        frames = find_frames(opened, image_pixel)
        x0, y0, x1, y1 = load_clip(path, geometry=Geometry(), rule="even:1").facts.box
        encode = codings()["JPEG, quality 90"]
        begin = time.process_time()
        for frame_number in range(len(frames)):
            picture = simplejpeg.decode_jpeg(frames.frame(frame_number), colorspace="GRAY")
            encode(picture[y0:y1, x0:x1, 0].copy())
        return time.process_time() - begin


def compare_ingests(name: str, path: Path, repeats: int) -> None:
    """Print the processor time of an ingest with and without viewing copies, and their size."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    coding: list[float] = []
    size, duration = 0, 1.0
    for _ in range(repeats):
        for viewing in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                root = Path(folder)
                settings = IngestSettings(viewing_copies=viewing)
                begin = time.process_time()
                ingest([path], site="bench", store=root / "store", key=root / "key", settings=settings)
                seconds[viewing].append(time.process_time() - begin)
                size = max(size, sum(file.stat().st_size for file in (root / "store").glob("viewing/*")))
        coding.append(coding_seconds(path))
    facts = load_clip(path, geometry=Geometry(), rule="even:1").facts
    duration = facts.n_source * (facts.frame_time_ms or 40.0) / 1000
    without, with_copy, least = (1000 * statistics.median(part) for part in (seconds[False], seconds[True], coding))
    print(
        f"{name}: ingest {without:.0f} ms, with a viewing copy {with_copy:.0f} ms ({with_copy / without:.2f} x); "
        f"decoding and coding alone {least:.0f} ms (at least {1 + least / without:.2f} x); "
        f"{size / 1e6:.2f} MB, {size / 1e6 / duration:.2f} MB a second of clip"
    )


def add_copies(root: Path, clips: int, frames: int) -> None:
    """Write for each clip a copy of moving speckle within a sector."""
    generator = np.random.default_rng(0)
    y, x = np.indices((HEIGHT, WIDTH))
    fan = (np.abs(x - WIDTH / 2) < 0.7 * y) & (np.hypot(x - WIDTH / 2, y) < HEIGHT)
    noise = Image.fromarray(generator.integers(0, 256, (HEIGHT // 4, WIDTH // 4), dtype=np.uint8))
    speckle = np.asarray(noise.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    shifted = (np.where(fan, np.roll(speckle, 3 * frame, axis=0), 0).astype(np.uint8) for frame in range(frames))
    encode = codings()["JPEG, quality 90"]
    jpegs = tuple(encode(np.ascontiguousarray(picture)) for picture in shifted)
    times = tuple(1000 / RATE * frame for frame in range(frames))
    for clip in range(clips):
        pictures = ViewingPictures(WIDTH, HEIGHT, False, 0.3, tuple(range(frames)), times, jpegs)
        write_viewing_copy(root, f"{clip:016x}", pictures)


_COUNT = """async (seconds) => {
  const drawn = [];
  let shown = "";
  let ticks = 0;
  const end = performance.now() + 1000 * seconds;
  await new Promise((done) => {
    const tick = (now) => {
      ticks += 1;
      const text = document.getElementById("frame-position").textContent;
      if (text !== shown) drawn.push(now);
      shown = text;
      if (now < end) requestAnimationFrame(tick); else done();
    };
    requestAnimationFrame(tick);
  });
  return [drawn.length / seconds, ticks / seconds];
}"""


def measure_page(clips: int, frames: int, *, tablet: bool) -> None:
    """Print the time to the next clip at full size, and the pictures drawn a second, also as an emulated tablet."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root / "store", clips, frames)
        add_copies(root / "store", clips, frames)
        settings = AnnotationSettings(port=0, double=0.0)
        catalog = ClipCatalog([root / "store"], settings.modes)
        server = AnnotationServer(Assignments(LabelStore(root / "labels.db"), catalog, settings))
        thread = threading.Thread(target=server.run, args=(lambda _: None,))
        thread.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                page = browser.new_page(viewport=TABLET if tablet else DESKTOP, has_touch=tablet)
                if tablet:
                    slowed = {"rate": TABLET_SLOWDOWN}
                    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", slowed)
                page.goto(server.address)
                page.get_by_label("Your name").fill("benchmark")
                page.keyboard.press("Enter")
                page.locator("#read[aria-busy=false]").wait_for()
                page.wait_for_timeout(3000)
                drawn, ticks = page.evaluate(_COUNT, 10)
                for _ in range(clips - 1):
                    page.keyboard.press("l")
                    page.wait_for_timeout(PACE_MS)
                times = page.evaluate("performance.getEntriesByName('clip shown').map((entry) => entry.duration)")
                browser.close()
        finally:
            server.stop()
            thread.join()
    median, late = np.percentile(times, [50, 95])
    what = "viewer of an emulated tablet" if tablet else "viewer"
    print(
        f"{what}, {WIDTH} x {HEIGHT}, {RATE} frames a second: {drawn:.1f} pictures and {ticks:.1f} screens a second; "
        f"next clip after a median of {median:.0f} ms, 95 % within {late:.0f} ms, the last after {max(times):.0f} ms "
        f"({len(times)} clips of {frames} frames)"
    )


def main() -> None:
    """Measure ingest, or the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="measure the viewer instead of ingest")
    parser.add_argument("--tablet", action="store_true", help="with --page: as an emulated tablet")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--frames", type=int, default=120)
    arguments = parser.parse_args()
    if arguments.page:
        measure_page(arguments.clips, arguments.frames, tablet=arguments.tablet)
        return
    with tempfile.TemporaryDirectory() as folder:
        simulated = simulated_clip(Path(folder) / "simulated.dcm", "JPEG baseline", n=120)
        for name, path in (("real clip", REAL), ("simulated clip", simulated)):
            compare_codings(name, path)
            compare_ingests(name, path, arguments.repeats)


if __name__ == "__main__":
    main()
