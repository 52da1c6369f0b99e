"""Small synthetic stores and labels for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry

SIZE = 16


def random_store(
    root: Path,
    *,
    sites: Sequence[str] = ("A", "B"),
    patients: int = 10,
    clips_each: int = 5,
    frames_each: int = 3,
    seed: int = 0,
    max_frames: int = 8192,
    flags: Mapping[str, Sequence[str]] | None = None,
) -> FrameStore:
    """Write a store of random frames; clips 0 to 3 of a patient show the four scored views, later ones no view.

    Args:
        root: Folder of the store.
        sites: Names of the hospitals.
        patients: Patients of each hospital.
        clips_each: Clips of each patient.
        frames_each: Frames of each clip.
        seed: Seed of the frames.
        max_frames: A shard is published once it holds this many frames.
        flags: Flags by clip, such as `a00000` and zeros up to 16 characters for the first clip of hospital A.
    """
    rng = np.random.default_rng(seed)
    store = FrameStore.create(root, Geometry("tmed2", SIZE))
    with store.writer(max_frames=max_frames) as writer:
        for site in sites:
            for patient in range(patients):
                for clip_index in range(clips_each):
                    clip = f"{site}{patient:03d}{clip_index:02d}".lower().ljust(16, "0")
                    pixels = rng.integers(0, 256, (frames_each, SIZE, SIZE), dtype=np.uint8)
                    row = {
                        "clip": clip, "site": site, "patient": f"{site}-p{patient}", "study": f"{site}-p{patient}-s0",
                        "instance": f"2.25.{ord(site)}.{patient}.{clip_index}", "content": f"c{clip}",
                        "source": "dicom", "synthetic": True, "mode": "b_mode", "maker": f"maker {site}",
                        "rows": 100, "columns": 120, "n_source": frames_each, "quality": 0.5,
                        "flags": list((flags or {}).get(clip, ())),
                    }  # fmt: skip
                    hashes = rng.integers(0, 2**63, frames_each, dtype=np.uint64)
                    writer.add(
                        row,
                        pixels,
                        [
                            {"index": index, "time_ms": 33.0 * index, "quality": 0.5, "dhash": int(hashes[index])}
                            for index in range(frames_each)
                        ],
                    )
    return FrameStore.open(root)


def view_labels(store: FrameStore | FrameStores, *, patients: Sequence[int] | None = None) -> dict[str, str]:
    """Return the true view of every frame of `random_store` that shows one, for some patients or all."""
    views = {}
    for row in store.frames.select(["frame", "clip", "patient"]).to_pylist():
        clip_index = int(row["clip"][4:6])
        if clip_index < len(SCORED_VIEWS) and (patients is None or int(row["patient"].rsplit("p", 1)[1]) in patients):
            views[row["frame"]] = SCORED_VIEWS[clip_index]
    return views
