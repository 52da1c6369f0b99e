"""Time of the leakage certificate of a large store: `python -m benchmarks.certify`.

The store is SYNTHETIC: tables of 350,000 frames of 112 x 112 pixels in clips of 50 (or `--clip-frames`), whose pixels,
blobs and speckle in a sector, are mixed when they are read. The certificate plants copies and measures what it finds.
Hashes come in two kinds: spread over all 64 bits, and crowded, as in ultrasound, where corners without echo make many
frames share bits. The peer compares every frame of one group with every frame of the others, hash by hash; it is timed
on a part and extrapolated by the number of pairs.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import ndimage

from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.schema.store import CLIPS, FRAMES
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.geometry import Geometry
from heart2heart.store.text_review import TextReview

LIMIT = 120.0  # seconds, for 350,000 frames
CLIP, STUDY = 50, 4  # frames a clip, clips a patient


@dataclass
class SyntheticStore:
    """Tables of `n` frames; a frame's pixels follow from its row."""

    n: int
    crowded: bool
    clip_frames: int = CLIP

    geometry = Geometry("tmed2", 112)
    text_review = TextReview()

    @cached_property
    def _patient(self) -> npt.NDArray[np.int64]:
        return np.arange(self.n) // (self.clip_frames * STUDY)

    @cached_property
    def clips(self) -> pa.Table:
        """One row a clip."""
        count = -(-self.n // self.clip_frames)
        names = [f"{index:016x}" for index in range(count)]
        fixed = {"source": "dicom", "synthetic": True, "mode": "b_mode", "maker": "Maker", "rows": 600, "columns": 800}
        counts = {"n_source": self.clip_frames, "n_frames": self.clip_frames, "quality": 0.5, "flags": []}
        rows = [
            fixed
            | counts
            | {"clip": name, "site": _site(index // STUDY), "patient": f"p{index // STUDY}", "content": name}
            | {"study": f"s{index // STUDY}", "series": name, "instance": name, "pixel_hash": name}
            for index, name in enumerate(names)
        ]
        return pa.Table.from_pylist(rows, schema=CLIPS)

    @cached_property
    def frames(self) -> pa.Table:
        """One row a frame."""
        number = np.arange(self.n)
        clip = [f"{index:016x}" for index in (number // self.clip_frames).tolist()]
        patient = self._patient.tolist()
        inside = number % self.clip_frames
        columns = {
            "frame": [
                f"{name}:{index:04d}" for name, index in zip(clip, (number % self.clip_frames).tolist(), strict=True)
            ],
            "clip": clip,
            "site": [_site(index) for index in patient],
            "patient": [f"p{index}" for index in patient],
            "study": [f"s{index}" for index in patient],
            "mode": ["b_mode"] * self.n,
            "maker": ["Maker"] * self.n,
            "index": inside,
            "time_ms": pa.nulls(self.n, pa.float32()),
            "phase": pa.nulls(self.n, pa.string()),
            "quality": np.full(self.n, 0.5, np.float32),
            "dhash": self._hashes(),
        }
        table = pa.table([columns[name] for name in FRAMES.names], schema=FRAMES)
        return table.append_column("row", pa.array(number, pa.int64()))

    def _hashes(self) -> npt.NDArray[np.uint64]:
        """Frames of a clip differ in a few bits of its hash; crowded hashes share 40 of 64 bits with 30 % deviating."""
        rng = np.random.default_rng(0)
        clip = rng.integers(0, 2**63, -(-self.n // self.clip_frames), dtype=np.uint64)
        if self.crowded:
            bits = rng.random((len(clip), 40)) < 0.08
            low = (bits * (1 << np.arange(40, dtype=np.uint64))).sum(1, dtype=np.uint64)
            clip = (clip >> np.uint64(40) << np.uint64(40)) | low
        wander = np.uint64(1) << rng.integers(0, 64, self.n, dtype=np.uint64)
        hashes: npt.NDArray[np.uint64] = clip[np.arange(self.n) // self.clip_frames] ^ wander
        return hashes

    @cached_property
    def _pictures(self) -> npt.NDArray[np.uint8]:
        rng = np.random.default_rng(1)
        down, along = np.mgrid[:112, :112] / 112
        sector = (np.abs(along - 0.5) < 0.1 + 0.42 * down) & (np.hypot(along - 0.5, down + 0.05) < 0.95)
        pictures = np.empty((997, 112, 112), np.uint8)
        for picture in pictures:
            blobs, speckle = (ndimage.gaussian_filter(rng.normal(size=(112, 112)), width) for width in (7, 1.5))
            gray = 90 + 45 * blobs / blobs.std() + 20 * speckle / speckle.std()
            picture[:] = np.clip(gray, 15, 255) * sector
        return pictures

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return pictures that differ from clip to clip."""
        clip = rows // self.clip_frames
        left, right = self._pictures[clip % 997], self._pictures[clip % 991, :, ::-1]
        pixels: npt.NDArray[np.uint8] = left // 2 + right // 2
        return pixels


def _site(patient: int) -> str:
    return "ABC"[patient % 3]


def members(store: SyntheticStore) -> pa.Table:
    """Assign a role to every patient: hospital C is held out; a tenth each is validation, test and training."""
    number = np.arange(store.n)
    patient = number // (store.clip_frames * STUDY)
    part = np.random.default_rng(2).random(int(patient[-1]) + 1)[patient]
    role = np.select(
        [patient % 3 == 2, part < 0.1, part < 0.2, part < 0.3], ["test", "validation", "test", "train"], "unlabeled"
    )
    view = np.array(SCORED_VIEWS, object)[number // store.clip_frames % len(SCORED_VIEWS)]
    view[role == "unlabeled"] = None
    names = ["frame", "clip", "site", "patient", "study"]
    columns = [store.frames[name] for name in names] + [pa.array(role.tolist()), pa.array(view.tolist(), pa.string())]
    return pa.table(columns, schema=SPLIT_MEMBERS)


def brute_force(hashes: npt.NDArray[np.uint64], groups: npt.NDArray[np.int64], seconds: float = 2.0) -> float:
    """Return the seconds that comparing all pairs of different groups would take, from as many as fit in `seconds`."""
    pairs = sum(int((groups == group).sum()) * int((groups > group).sum()) for group in np.unique(groups))
    start, done = time.perf_counter(), 0
    for code in hashes:
        np.count_nonzero(np.bitwise_count(hashes ^ code) <= 3)
        done += len(hashes)
        if time.perf_counter() - start > seconds:
            break
    return (time.perf_counter() - start) * pairs / done


def main(argv: list[str] | None = None) -> int:
    """Print the table; return 1 when the limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=350_000)
    parser.add_argument("--clip-frames", type=int, default=CLIP, help="frames of a clip")
    options = parser.parse_args(argv)
    count: int = options.frames
    print("| frames | hashes | verdict of near_duplicates | certificate, s | hashes of all pairs alone (peer), s |")
    print("|---|---|---|---|---|")
    slow = False
    for crowded in (False, True):
        store = SyntheticStore(count, crowded, options.clip_frames)
        rows = members(store)
        with TemporaryDirectory() as folder:
            split = SplitManifest.freeze(
                Path(folder) / "split", name="synthetic", classes=SCORED_VIEWS, seed=0, source_sites=("A", "B"),
                held_out_sites=("C",), settings={}, members=rows, stores=store,
            )  # fmt: skip
            start = time.perf_counter()
            certificate = certify(split, store)
            took = time.perf_counter() - start
        duplicates = next(check for check in certificate.checks if check.name == "near_duplicates")
        groups = np.unique(np.asarray(rows["role"].to_pylist()), return_inverse=True)[1].astype(np.int64)
        peer = brute_force(store.frames["dhash"].to_numpy(), groups)
        kind = "crowded" if crowded else "spread"
        print(f"| {count} | {kind} | {duplicates.status}: {duplicates.detail} | {took:.1f} | {peer:.0f} |", flush=True)
        planted = next(check for check in certificate.checks if check.name == "planted_copies")
        print(f"  {planted.status}: {planted.detail}", flush=True)
        slow |= took > LIMIT
    print(f"limit for 350000 frames: {LIMIT:.0f} s")
    return int(slow and count <= 350_000)


if __name__ == "__main__":
    sys.exit(main())
