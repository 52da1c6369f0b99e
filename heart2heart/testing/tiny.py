"""A tiny synthetic store that can be learned in seconds: four patterns, two hospitals, a frozen and certified split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart.schema.split import REQUIRED_CHECKS, SPLIT_MEMBERS, Certificate, Check
from heart2heart.schema.store import frame_id
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import TrainData
from heart2heart.utils import write_json

SIZE = 16
FRAMES_A_CLIP = 3
PARTS = {"train": 3, "validation": 3, "test": 3, "unlabeled": 12}
"""Patients of the source hospital by role; each has one clip of every view."""
ALIEN = "alien"
"""Marks the clips that belong to no class."""
QUICK: dict[str, Any] = {
    "network": {"options": {"depth": 10, "widen": 1, "blocks": 2, "norm_momentum": 0.1}},
    "ema": 0.8,
}
"""Settings with which the averaged network follows within a few steps, as methods of several stages need."""


@dataclass(frozen=True)
class TinyStore:
    """Folders of the store and of the split."""

    store: Path
    split: Path

    def config(self, **changes: Any) -> TrainConfig:
        """Return a configuration that trains a small network on this store for a few steps."""
        content: dict[str, Any] = {
            "data": {"stores": [str(self.store)], "split": str(self.split)},
            "network": {"options": {"depth": 10, "widen": 1, "blocks": 2}},
            "optimiser": {"lr": 0.05},
            "batch": {"labeled": 8, "unlabeled": 8},
            "steps": 12,
            "evaluate_every": 6,
            "checkpoint_every": 4,
            "log_every": 2,
            "ema": 0.9,
            "device": "cpu",
        }
        return TrainConfig.parse(content | changes, where="test")

    def pool_is_alien(self) -> npt.NDArray[np.bool_]:
        """Return which frames of the pool belong to no class, by their index in the pool."""
        frames = FrameStores.open([self.store])
        pool = TrainData.open(SplitManifest.load(self.split), frames, self.config()).unlabeled
        clips = dict(zip(*(frames.frames[name].to_pylist() for name in ("row", "clip")), strict=True))
        return np.array([ALIEN in clips[row] for row in pool.tolist()])


def picture(view: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return one noisy picture of a pattern that survives flips and small shifts."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    phase = rng.uniform(0, 6)
    patterns = (np.sin(y * 1.6 + phase), np.sin(x * 1.6 + phase), 1.5 - np.hypot(x, y) / 4, np.hypot(x, y) / 4 - 1.5)
    noisy = 127 + 70 * patterns[view] + rng.normal(0, 25, (SIZE, SIZE))
    return np.asarray(noisy.clip(0, 255), np.uint8)


def alien(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return one noisy picture that belongs to no class: a quarter of each pattern."""
    up, left = np.mgrid[:SIZE, :SIZE] < SIZE // 2
    quarters = (up & left, up & ~left, ~up & left)
    return np.select(quarters, [picture(view, rng) for view in (0, 1, 2)], picture(3, rng))


def tiny_store(
    root: Path,
    *,
    parts: dict[str, int] = PARTS,
    views: tuple[int, ...] = (0, 1, 2, 3),
    aliens: int = 0,
    second_source: bool = False,
) -> TinyStore:
    """Write store, split and certificate.

    Args:
        root: An empty folder.
        parts: Patients of the source hospital by role.
        views: Views that are labeled.
        aliens: Clips of each unlabeled patient that belong to no class.
        second_source: The first patient of every role is of another source hospital, C.
    """
    rng = np.random.default_rng(0)
    store = FrameStore.create(root / "store", Geometry(size=SIZE))
    members: list[dict[str, Any]] = []
    first = "C" if second_source else "A"
    roles = [
        (role, first if not index_in_role else "A") for role, count in parts.items() for index_in_role in range(count)
    ]
    roles += [("test", "B")] * 2
    with store.writer() as writer:
        for patient, (role, site) in enumerate(roles):
            for view in (0, 1, 2, 3):
                clip = f"c{patient:03d}v{view}"
                names = {"clip": clip, "site": site, "patient": f"p{patient}", "study": f"s{patient}"}
                add_clip(writer, names, np.stack([picture(view, rng) for _ in range(FRAMES_A_CLIP)]))
                label = SCORED_VIEWS[view] if role != "unlabeled" else None
                if label is not None and view not in views:
                    label = None
                frame_role = role if label is not None or role == "unlabeled" else "excluded"
                members += [
                    names | {"frame": frame_id(clip, index), "role": frame_role, "view": label}
                    for index in range(FRAMES_A_CLIP)
                ]
            for index_in_role in range(aliens if role == "unlabeled" else 0):
                names = {
                    "clip": f"c{patient:03d}{ALIEN}{index_in_role}",
                    "site": site,
                    "patient": f"p{patient}",
                    "study": f"s{patient}",
                }
                add_clip(writer, names, np.stack([alien(rng) for _ in range(FRAMES_A_CLIP)]))
                members += [
                    names | {"frame": frame_id(names["clip"], index), "role": role, "view": None}
                    for index in range(FRAMES_A_CLIP)
                ]
            names = {"clip": f"c{patient:03d}x", "site": site, "patient": f"p{patient}", "study": f"s{patient}"}
            add_clip(writer, names, rng.integers(0, 255, (1, SIZE, SIZE)).astype(np.uint8))
            other = {"role": role, "view": "SUBCOSTAL"} if role == "test" else {"role": "excluded", "view": None}
            members.append(names | other | {"frame": frame_id(names["clip"], 0)})
    split = SplitManifest.freeze(
        root / "split",
        name="synthetic",
        classes=SCORED_VIEWS,
        seed=0,
        source_sites=sorted({"A", first}),
        held_out_sites=["B"],
        settings={},
        members=pa.Table.from_pylist(members, schema=SPLIT_MEMBERS),
        stores=FrameStore.open(root / "store"),
    )
    # By hand, since some tests want a split that `certify` would fail for another reason than the one they test.
    checks = tuple(Check(name=name, status="pass", detail="not looked for") for name in REQUIRED_CHECKS)
    write_json(root / "split" / "certificate.json", Certificate(split_sha256=split.sha256, checks=checks).model_dump())
    return TinyStore(root / "store", root / "split")


def add_clip(writer: Any, names: dict[str, str], pixels: npt.NDArray[np.uint8]) -> None:
    """Add a synthetic clip, uint8 `(n, size, size)`, with the clip, site, patient and study of `names`."""
    clip = names | {
        "content": names["clip"], "source": "synthetic", "synthetic": True, "mode": "b_mode", "maker": "M",
        "rows": SIZE, "columns": SIZE, "n_source": len(pixels), "quality": 1.0, "flags": [],
    }  # fmt: skip
    frames = [{"index": index, "quality": 1.0, "dhash": 0} for index in range(len(pixels))]
    writer.add(clip, pixels, frames)
