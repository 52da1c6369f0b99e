"""What validated frames share with the training is found, each kind by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.schema.links import LINKS_FILE, LinkedPatient, PatientLinks
from heart2heart.schema.validation import TrainingData
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.overlap import TrainingReference, find_overlap
from heart2heart.splits.planted_copies import COPY_KINDS
from heart2heart.splits.validation import training_checks
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.testing.tiny import SIZE, TinyStore, add_clip, tiny_store
from tests.splits.test_copy_check import PATIENTS, frozen_split
from tests.store.echo_frames import echo_frames

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


@pytest.fixture(scope="module")
def trained_frames(tmp_path_factory: pytest.TempPathFactory) -> TrainingReference:
    """Return the training of 30 patients, one frame each, large enough to be registered."""
    split, store = frozen_split(tmp_path_factory.mktemp("trained"), {})
    return TrainingReference(split, FrameStores([store]))


def hospital(root: Path, frames: np.ndarray) -> FrameStores:
    """Write a store of a new hospital, a patient a frame."""
    rng = np.random.default_rng(1)
    store = FrameStore.create(root, Geometry(size=frames.shape[-1]))
    with store.writer() as writer:
        for index, frame in enumerate(frames):
            row = {
                "clip": f"e{index:015x}", "site": "E", "patient": f"e{index}", "study": f"es{index}",
                "content": f"e{index}", "source": "dicom", "synthetic": True, "mode": "b_mode", "rows": 80,
                "columns": 80, "n_source": 1, "quality": 0.5, "flags": [],
            }  # fmt: skip
            writer.add(row, frame[None], [{"index": 0, "quality": 0.5, "dhash": int(rng.integers(0, 2**63))}])
    return FrameStores([FrameStore.open(root)])


def test_find_overlap_finds_processed_copies_of_every_kind(trained_frames: TrainingReference, tmp_path: Path) -> None:
    trained = echo_frames(PATIENTS, side=80, seed=3)
    copies = [copy(trained[index]) for index, copy in enumerate(COPY_KINDS.values())]
    stores = hospital(tmp_path / "s", np.stack([*copies, *echo_frames(7, side=80, seed=99)]))
    overlap = find_overlap(rows_of(stores), stores, trained_frames)
    assert overlap.pictures == ()
    assert overlap.copies is not None
    assert overlap.owners == {f"e{index}" for index in range(len(COPY_KINDS))}
    assert overlap.copies.recall["flip"] > 0.9
    check = next(
        check
        for check in training_checks(rows_of(stores), overlap, trained_frames, pictures=True)
        if check.name == "training_copies"
    )
    assert check.status == "fail"
    assert check.detail.startswith(f"{len(COPY_KINDS)} pairs of a validated and a training frame are copies")
    assert "planted copies of each kind: flip 1" in check.detail


def test_find_overlap_finds_no_copy_among_other_frames_and_states_the_recall(
    trained_frames: TrainingReference, tmp_path: Path
) -> None:
    stores = hospital(tmp_path / "s", echo_frames(10, side=80, seed=98))
    overlap = find_overlap(rows_of(stores), stores, trained_frames)
    checks = {check.name: check for check in training_checks(rows_of(stores), overlap, trained_frames, pictures=True)}
    assert overlap.owners == frozenset()
    assert checks["training_copies"].status == "pass"
    assert "none a copy; found of" in checks["training_copies"].detail
    assert "false alarms: 0 of" in checks["training_copies"].detail
    unseen = TrainingReference(trained_frames.split)
    without = {
        check.name: check
        for check in training_checks(
            rows_of(stores), find_overlap(rows_of(stores), stores, unseen), unseen, pictures=True
        )
    }
    assert without["training_copies"].status == "warn"
    assert without["training_copies"].detail.startswith("training pictures not compared")


def test_find_overlap_finds_one_person_at_two_hospitals_by_link_codes(
    trained_frames: TrainingReference, tmp_path: Path
) -> None:
    stores = hospital(tmp_path / "s", echo_frames(2, side=80, seed=97))
    assert trained_frames.stores is not None
    site = {row["patient"]: row["site"] for row in trained_frames.stores.clips.to_pylist()}
    codes = {name: f"k{index:040x}" for index, name in enumerate([*site, "e0"])}
    codes["e1"] = codes["p5"]
    for root, names in ((trained_frames.stores.stores[0].root, list(site)), (stores.stores[0].root, ["e0", "e1"])):
        entries = [LinkedPatient(site=site.get(name, "E"), patient=name, codes=(codes[name],)) for name in names]
        PatientLinks(key_check="0" * 32, patients=tuple(entries)).write(root)
    overlap = find_overlap(rows_of(stores), stores, trained_frames)
    (trained_frames.stores.stores[0].root / LINKS_FILE).unlink()
    assert overlap.linked == ((("E", "e1"), ("A", "p5")),)
    assert overlap.owners == {"e1"}
    assert overlap.not_linked == ""
    assert "no link code" in find_overlap(rows_of(stores), stores, trained_frames).not_linked
