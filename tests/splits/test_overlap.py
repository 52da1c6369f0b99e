"""What validated frames share with the training is found, each kind by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.schema.validation import TrainingData
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.overlap import TrainingReference, find_overlap
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.testing.tiny import SIZE, TinyStore, add_clip, tiny_store

COLUMNS = ["frame", "clip", "site", "patient", "study"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyStore:
    return tiny_store(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def reference(tiny: TinyStore) -> TrainingReference:
    return TrainingReference(SplitManifest.load(tiny.split), FrameStores.open(tiny.store))


def stored(root: Path, pixels: np.ndarray, **names: str) -> FrameStores:
    """Write a store of one clip."""
    clip = {"clip": "new", "site": "E", "patient": "e0", "study": "es0"} | names
    with FrameStore.create(root, Geometry(size=SIZE)).writer() as writer:
        add_clip(writer, clip, pixels)
    return FrameStores.open(root)


def rows_of(stores: FrameStores) -> pa.Table:
    return stores.frames.select(COLUMNS)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (2, SIZE, SIZE)).astype(np.uint8)


def first_training_frame(tiny: TinyStore) -> np.ndarray:
    store = FrameStore.open(tiny.store)
    row = store.frames.filter(pc.equal(store.frames["clip"], "c000v0"))["row"].to_numpy()[:1]
    return store.read(row)


def test_find_overlap_finds_nothing_among_others(reference: TrainingReference, tmp_path: Path) -> None:
    stores = stored(tmp_path / "s", noise(1))
    overlap = find_overlap(rows_of(stores), stores, reference)
    assert (overlap.patients, overlap.clips, overlap.pictures, overlap.adaptation) == ((), (), (), ())
    assert overlap.owners == frozenset()


@pytest.mark.parametrize(
    ("column", "value", "field"), [("patient", "p0", "patients"), ("study", "s3", "clips"), ("clip", "c005v1", "clips")]
)
def test_find_overlap_finds_names_of_training_and_validation(
    reference: TrainingReference, tmp_path: Path, column: str, value: str, field: str
) -> None:
    stores = stored(tmp_path / "s", noise(2), **{column: value})
    overlap = find_overlap(rows_of(stores), stores, reference)
    assert getattr(overlap, field) == (value,)
    assert overlap.owners == {"p0" if column == "patient" else "e0"}


@pytest.mark.parametrize("patient", ["p6", "p21"])
def test_find_overlap_allows_patients_who_were_only_tested(
    reference: TrainingReference, tmp_path: Path, patient: str
) -> None:
    assert reference.split is not None
    roles = set(
        reference.split.members.filter(pc.equal(reference.split.members["patient"], patient))["role"].to_pylist()
    )
    assert roles <= {"test", "excluded"}
    stores = stored(tmp_path / "s", noise(3), patient=patient)
    assert find_overlap(rows_of(stores), stores, reference).patients == ()


@pytest.mark.parametrize("brighter", [0, 2])
def test_find_overlap_finds_the_same_picture_under_other_names(
    tiny: TinyStore, reference: TrainingReference, tmp_path: Path, brighter: int
) -> None:
    picture = np.minimum(first_training_frame(tiny), 250) + np.uint8(brighter)
    stores = stored(tmp_path / "s", picture)
    overlap = find_overlap(rows_of(stores), stores, reference)
    assert [left for left, _ in overlap.pictures] == rows_of(stores)["frame"].to_pylist()
    assert overlap.owners == {"e0"}
    without = TrainingReference(reference.split)
    assert find_overlap(rows_of(stores), stores, without).pictures == ()


def test_find_overlap_finds_what_adapted_the_model(tmp_path: Path) -> None:
    stores = stored(tmp_path / "s", noise(4))
    (digest,) = stores.clips["pixel_hash"].to_pylist()
    by_name = find_overlap(rows_of(stores), stores, TrainingReference(adaptation_patients=("e0",)))
    by_hash = find_overlap(rows_of(stores), stores, TrainingReference(adaptation_hashes=(digest,)))
    assert (by_name.adaptation, by_hash.adaptation) == (("e0",), (digest[:16],))
    assert by_name.owners == by_hash.owners == {"e0"}


def test_training_data_says_what_is_at_hand(reference: TrainingReference) -> None:
    assert reference.training_data == TrainingData.COMPARED
    assert TrainingReference(reference.split).training_data == TrainingData.NAMES_COMPARED
    assert TrainingReference().training_data == TrainingData.NOT_SEEN
