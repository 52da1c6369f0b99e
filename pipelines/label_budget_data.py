"""The data of replayed labeling: clips with known views, divided into pool, validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart import utils
from heart2heart.active_learning.pool import Ints
from heart2heart.datasets.image_sets import add_idx_part
from heart2heart.demo import ingest_hospitals
from heart2heart.labels.consensus import consensus_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.progress import progress_bar
from heart2heart.schema.enums import POOL_MODES, ClipMode
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.store.near_duplicates import find_near_duplicates
from heart2heart.synthetic.hospital import simulate_hospital
from heart2heart.synthetic.presets import four_hospitals

PARTS = {"pool": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class LabeledClips:
    """Clips with their frames and true views.

    Attributes:
        name: What a reader calls it.
        roots: Its stores.
        classes: Views that are told apart.
        modes: Modes of its clips.
        clips: One row a clip: clip, site, patient, view.
        frames: One row a frame, by clip: frame, clip, site, patient, study, dhash, row.
        owner: Place in `clips` of each frame, int64.
    """

    name: str
    roots: tuple[Path, ...]
    classes: tuple[str, ...]
    modes: tuple[str, ...]
    clips: pa.Table
    frames: pa.Table
    owner: Ints

    @classmethod
    def of(cls, name: str, roots: Sequence[Path], classes: Sequence[str], truth: dict[str, str]) -> LabeledClips:
        """Open stores, and keep the clips of a training pool's modes whose view is known."""
        stores = FrameStores.open(roots)
        modes = POOL_MODES if classes == SCORED_VIEWS else (ClipMode.OTHER,)
        clips = stores.clips.select(["clip", "site", "patient", "mode"])
        known = pc.and_(pc.is_in(clips["clip"], pa.array(sorted(truth))), pc.is_in(clips["mode"], pa.array(modes)))
        clips = clips.filter(known).sort_by("clip")
        clips = clips.append_column("view", pa.array([truth[clip] for clip in clips["clip"].to_pylist()]))
        frames = stores.frames.select(["frame", "clip", "site", "patient", "study", "dhash", "row"]).sort_by("frame")
        position = pc.index_in(frames["clip"], clips["clip"].combine_chunks())
        frames, owner = frames.filter(pc.is_valid(position)), pc.drop_null(position).to_numpy().astype(np.int64)
        order = pa.array(np.argsort(owner, kind="stable"))
        return cls(name, tuple(roots), tuple(classes), modes, clips, frames.take(order), np.sort(owner))

    def target(self) -> Ints:
        """Return the class of each clip, int64; -1 for a view outside the classes."""
        class_index = pc.fill_null(pc.index_in(self.clips["view"], pa.array(self.classes)), -1)
        classes: Ints = class_index.to_numpy().astype(np.int64)
        return classes

    def patients(self) -> Ints:
        """Return a number for the patient of each clip, int64."""
        names = pc.binary_join_element_wise(self.clips["site"], self.clips["patient"], "/")
        patient_index = np.unique(names.to_numpy(zero_copy_only=False), return_inverse=True)[1]
        return patient_index.astype(np.int64)

    def rows(self) -> Ints:
        """Return the rows of the frames, int64."""
        return np.asarray(self.frames["row"].to_numpy(), np.int64)

    def without_duplicates(self, part: npt.NDArray[np.str_], stores: FrameStores) -> npt.NDArray[np.str_]:
        """Exclude clips of the pool that show a picture of validation or test, and of validation one of test."""
        used = np.flatnonzero(np.isin(part, list(PARTS))[self.owner])
        group = np.array([PARTS[each] for each in part[self.owner[used]]], np.int64)
        hashes = self.frames["dhash"].to_numpy().astype(np.uint64)[used]
        pairs = find_near_duplicates(hashes, group, self.rows()[used], stores)[0]
        left = part.copy()
        left[self.owner[used[pairs[:, 0]]]] = "excluded"
        return left


def open_fashion_mnist(folder: Path, out: Path, shrink: int) -> LabeledClips:
    """Open Fashion-MNIST: real images, each a clip and a patient of its own; the test part is named `test`."""
    with progress_bar("images of Fashion-MNIST", 2) as progress:
        store = FrameStore.create(out / "fashion", Geometry("tmed2", 28 // shrink))
        truth: dict[str, str] = {}
        for index, part in enumerate(("train", "test"), start=1):
            added = add_idx_part(folder, store, site="fashion-mnist", part=part, shrink=shrink)
            truth |= {clip: str(each) for clip, each in added.classes.items()}
            store = FrameStore.open(store.root)
            progress.update(index)
    return LabeledClips.of("fashion", [store.root], [str(each) for each in range(10)], truth)


def open_hospitals(out: Path, scale: float, size: int, workers: int) -> LabeledClips:
    """Create and open the four SYNTHETIC hospitals; every patient is labeled."""
    hospitals = [each.model_copy(update={"labeled_patients": each.patients}) for each in four_hospitals(scale)]
    folder = out / "synthetic"
    for hospital in hospitals:
        with progress_bar(f"simulate hospital {hospital.name}", hospital.patients) as progress:
            simulate_hospital(hospital, folder / "hospitals", 7, workers=workers, progress=progress)
    names = tuple(hospital.name for hospital in hospitals)
    ingest_hospitals(folder, names, 7, workers, size=size, frames="even:8", stage=progress_bar)
    truth = {
        clip: view
        for clip, view in consensus_labels(LabelStore(folder / "labels.db").events()).items()
        if ":" not in clip
    }
    return LabeledClips.of("hospitals", [folder / "stores" / name for name in names], SCORED_VIEWS, truth)


def draw_parts(
    archive: LabeledClips, seed: int, stores: FrameStores, images: int, validation: int
) -> npt.NDArray[np.str_]:
    """Draw the part of each clip: `pool`, `validation`, `test` or `excluded`.

    Hospitals: whole patients of every hospital, about 60, 15 and 25 per cent. Images: `images` of the pool,
    `validation` of each class and 2,000 to test, the rest excluded.
    """
    rng = utils.random_stream(seed, "label budget", archive.name)
    part = np.full(len(archive.clips), "excluded", dtype="<U10")
    if archive.name == "hospitals":
        site = archive.clips["site"].to_numpy(zero_copy_only=False)
        patient = archive.patients()
        for each in sorted(set(site)):
            patients = rng.permutation(np.unique(patient[site == each]))
            tests, validates = round(0.25 * len(patients)), max(1, round(0.15 * len(patients)))
            for name, group in zip(
                ("test", "validation", "pool"), np.split(patients, [tests, tests + validates]), strict=True
            ):
                part[np.isin(patient, group)] = name
    else:
        target, order = archive.target(), rng.permutation(len(part))
        for index in range(len(archive.classes)):
            part[order[target[order] == index][:validation]] = "validation"
        free = order[part[order] == "excluded"]
        part[free[:images]], part[free[images : images + 2000]] = "pool", "test"
    return archive.without_duplicates(part, stores)
