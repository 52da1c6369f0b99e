"""After a rotation of the key, an old split, its certificate and old predictions still mean the same patients."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.ingest.rotate_key import rotate_key
from heart2heart.schema.links import LinkedPatient, PatientLinks
from heart2heart.schema.split import LINKED_PATIENTS, SPLIT_MEMBERS
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.certify import certify
from heart2heart.splits.current_names import current_names
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.overlap import TrainingReference, find_overlap
from heart2heart.store.frame_store import FrameStore, FrameStores
from tests.ingest.archive_kit import make_archive, run

COLUMNS = ["frame", "clip", "site", "patient", "study"]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[SplitManifest, pa.Table, dict[str, str]]:
    """Ingest two patients with one link code, one in training and one tested; certify, then rotate the key.

    Returns the split, the frames of then, and the status of each check of then.
    """
    folder = tmp_path_factory.mktemp("rotated")
    store = run_archive(folder)
    first, second = sorted(pc.unique(store.clips["patient"]).to_pylist())
    links = [LinkedPatient(site="a", patient=name, codes=("k" + "a" * 40,)) for name in (first, second)]
    PatientLinks(key_check="0" * 32, patients=tuple(links)).write(store.root)
    members = [
        row | {"role": "train" if row["patient"] == first else "test", "view": "A4C"}
        for row in store.frames.select(COLUMNS).to_pylist()
    ]
    split = SplitManifest.freeze(
        folder / "split", name="old", classes=SCORED_VIEWS, seed=0, source_sites=("a",), held_out_sites=(), settings={},
        members=pa.Table.from_pylist(members, schema=SPLIT_MEMBERS), stores=store,
    )  # fmt: skip
    checks = {check.name: check.status.value for check in certify(split, store).checks}
    frames = store.frames.select(COLUMNS)
    assert rotate_key(store.root, store.root.with_suffix(".key")).patients == 2
    return split, frames, checks


def run_archive(folder: Path) -> FrameStore:
    make_archive(folder / "in")
    run(folder / "in", folder / "store")
    assert Key.load(folder / "store.key").later == ()
    return FrameStore.open(folder / "store")


def rotated(split: SplitManifest) -> FrameStores:
    return FrameStores.open(split.path.parent / "store")


def test_current_names_are_those_of_the_store(before: tuple[SplitManifest, pa.Table, dict[str, str]]) -> None:
    split, frames, _ = before
    store = rotated(split)
    now = store.frames.select(COLUMNS)
    assert not set(frames["patient"].to_pylist()) & set(now["patient"].to_pylist())
    assert current_names(frames, store).sort_by("frame").equals(now.sort_by("frame"))
    assert current_names(frames, None) is frames
    foreign = frames.set_column(1, "clip", pa.array(["elsewhere"] * len(frames)))
    assert current_names(foreign, store).equals(foreign)


def test_certify_of_an_old_split_gives_the_checks_of_before_the_rotation(
    before: tuple[SplitManifest, pa.Table, dict[str, str]],
) -> None:
    split, _, checks = before
    store, old = rotated(split), split.certificate()
    SplitManifest.load(split.path).check_data(store)
    assert SplitManifest.load(split.path).certificate().split_sha256 == split.sha256
    again = certify(SplitManifest.load(split.path), store)
    assert {check.name: check.status.value for check in again.checks} == checks
    assert checks[LINKED_PATIENTS] == "fail"  # one person under two pseudonyms is still found
    assert [check.name for check in again.checks] == [check.name for check in old.checks]


def test_find_overlap_finds_patients_of_an_old_split_by_their_names_of_now(
    before: tuple[SplitManifest, pa.Table, dict[str, str]],
) -> None:
    split, frames, _ = before
    store = rotated(split)
    trained = set(split.members.filter(pc.equal(split.members["role"], "train"))["clip"].to_pylist())
    now = store.frames.select(COLUMNS)
    # The rows are of clips that the split does not name, so only the patient leads to the training.
    patients = set(now.filter(pc.is_in(now["clip"], pa.array(sorted(trained))))["patient"].to_pylist())
    new = now.set_column(1, "clip", pa.array([f"new{index}" for index in range(len(now))]))
    overlap = find_overlap(new, None, TrainingReference(split, store))
    assert set(overlap.patients) == patients
    assert patients <= overlap.owners
    old = find_overlap(frames, store, TrainingReference(split, store))  # predictions made before the rotation
    assert set(old.patients) == patients
    assert old.owners == set(frames["patient"].to_pylist())  # as the predictions name them; linked ones too
