"""A tiny study to adapt in: a source hospital A, and a hospital B whose pictures are pale, with a split over both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heart2heart.schema.split import SplitSettings
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.propose import propose
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.testing.tiny import QUICK, SIZE, TinyStore, picture

FRAMES_A_CLIP = 3


@dataclass(frozen=True)
class AdaptationStudy:
    """Where store and split lie, and the view of every frame."""

    store: Path
    split: Path
    labels: dict[str, str]

    def tiny(self) -> TinyStore:
        """Return store and split as the other tests of training take them."""
        return TinyStore(self.store, self.split)


def write_clips(
    root: Path,
    patients: dict[str, int],
    *,
    pale: str = "BN",
    mode: str = "b_mode",
    views: tuple[int, ...] = (0, 1, 2, 3),
    step: int = 1,
    seed: int = 0,
) -> FrameStore:
    """Write a store with one clip of every view for each patient.

    Args:
        root: Folder of the store.
        patients: Number of patients by hospital, whose name is one letter.
        pale: Hospitals whose pictures are pale.
        mode: Mode of the clips.
        views: Views of each patient.
        step: Keep one pixel in so many of each row and column.
        seed: Seed of the noise.
    """
    rng = np.random.default_rng(seed)
    store = FrameStore.create(root, Geometry(size=SIZE // step))
    with store.writer() as writer:
        for site, count in patients.items():
            for patient in range(count):
                for view in views:
                    pixels = np.stack([picture(view, rng) for _ in range(FRAMES_A_CLIP)])
                    if site in pale:
                        pixels = (110 + 0.35 * pixels).astype(np.uint8)
                    clip = f"{site.lower()}{patient:03d}{view}".ljust(16, "0")
                    row = {
                        "clip": clip, "site": site, "patient": f"{site}-p{patient}", "study": f"{site}-s{patient}",
                        "instance": f"2.25.{ord(site)}.{patient}.{view}.{seed}", "content": clip, "source": "synthetic",
                        "synthetic": True, "mode": mode, "maker": f"maker {site}", "rows": SIZE, "columns": SIZE,
                        "n_source": FRAMES_A_CLIP, "quality": 1.0, "flags": [],
                    }  # fmt: skip
                    hashes = rng.integers(0, 2**63, FRAMES_A_CLIP, dtype=np.uint64)
                    writer.add(
                        row,
                        pixels[:, ::step, ::step],
                        [{"index": index, "quality": 1.0, "dhash": int(value)} for index, value in enumerate(hashes)],
                    )
    return FrameStore.open(root)


def views_of(store: FrameStore) -> dict[str, str]:
    """Return the view of every frame of `write_clips`."""
    rows = store.frames.select(["frame", "clip"]).to_pylist()
    return {row["frame"]: SCORED_VIEWS[int(row["clip"][4])] for row in rows}


def adaptation_study(root: Path, *, adaptation: float = 0.5, seed: int = 0) -> AdaptationStudy:
    """Write store, split and certificate.

    Args:
        root: An empty folder.
        adaptation: Share of B's patients that are set aside.
        seed: Seed of the split.
    """
    store = write_clips(root / "store", {"A": 9, "B": 8})
    labels = views_of(store)
    settings = SplitSettings(source=("A",), validation=0.3, test=0.3, adaptation=adaptation, seed=seed)
    split = propose(store, labels, settings, root / "split")
    certify(split, store)
    return AdaptationStudy(store.root, split.path, labels)


TRAINING = {**QUICK, "batch": {"labeled": 16, "unlabeled": 8}, "steps": 60, "evaluate_every": 30, "log_every": 30}
"""Settings that learn the four patterns in seconds."""


def scored_patients(split: SplitManifest) -> set[str]:
    """Return the patients of whom a frame validates or tests."""
    return {row["patient"] for row in split.members.to_pylist() if row["role"] in ("validation", "test")}
