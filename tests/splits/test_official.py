"""Official splits are frozen as they stand, and the certificate says what is found in them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.errors import LeakageError, SplitError
from heart2heart.schema.store import EVERY_SPLIT, OFFICIAL_SPLITS
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.official import freeze_official
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.store_files import write_official_splits
from heart2heart.testing.stores import random_store, view_labels

ROLES = {0: "train", 1: "train", 2: "validation", 3: "test"}


def _official(store: FrameStore, *, leaked: tuple[str, ...] = (), more: tuple[tuple[str, ...], ...] = ()) -> None:
    """Give patients 0 to 3 of hospital A a role; a clip of patients 4 and 5, and the `leaked` ones, are the pool."""
    rows: list[tuple[str | None, ...]] = []
    for clip in store.clips.filter(pc.equal(store.clips["site"], "A"))["clip"].to_pylist():
        patient, number = int(clip[1:4]), int(clip[4:6])
        view = SCORED_VIEWS[number] if number < 4 else "OTHER"
        if clip.startswith(leaked or "none"):
            rows.append(("one", clip, "unlabeled", None))
        elif patient in ROLES:
            rows.append(("one", clip, ROLES[patient], view))
        if patient in (4, 5) and number == 4:
            rows.append((EVERY_SPLIT, clip, "unlabeled", None))
    rows += more
    columns = dict(zip(OFFICIAL_SPLITS.names, map(list, zip(*rows, strict=True)), strict=True))
    write_official_splits(store.root, "A", pa.table(columns, schema=OFFICIAL_SPLITS))


def _counts(split: SplitManifest) -> dict[tuple[str, str], int]:
    return {(site, role): frames for site, role, _, frames in split.counts()}


def test_freeze_official_keeps_the_roles_and_tests_other_hospitals(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    _official(store)
    stores = FrameStores.open([store.root])
    split = freeze_official(stores, view_labels(stores), "A:one", tmp_path / "split")
    # Five clips a patient: four scored views and one outside, which trains nobody and serves the open-set scores.
    assert _counts(split) == {
        ("A", "train"): 8, ("A", "validation"): 5, ("A", "test"): 5, ("A", "unlabeled"): 2, ("A", "excluded"): 30,
        ("B", "test"): 40, ("B", "excluded"): 10,
    }  # fmt: skip
    assert (split.source_sites, split.held_out_sites, split.classes) == (("A",), ("B",), SCORED_VIEWS)
    certificate = certify(split, stores)
    assert certificate.passed
    split.require_certified()


def test_freeze_official_with_a_leaking_pool_fails_until_cleaned(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    _official(store, leaked=("a00204", "a00304"))
    stores = FrameStores.open([store.root])
    leaking = freeze_official(stores, view_labels(stores), "A:one", tmp_path / "leaking")
    certificate = certify(leaking, stores)
    checks = {check.name: check for check in certificate.checks}
    assert checks["pool_without_evaluated_patients"].status == "fail"
    assert checks["pool_without_evaluated_patients"].detail.startswith("2 validation or test patients")
    with pytest.raises(LeakageError):
        leaking.require_certified()
    clean = freeze_official(stores, view_labels(stores), "A:one", tmp_path / "clean", clean_pool=True)
    certify(clean, stores)
    clean.require_certified()
    assert clean.settings == {"official": "A:one", "clean_pool": True}


def test_freeze_official_refuses(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    stores = FrameStores.open([store.root])
    with pytest.raises(SplitError, match="heart2heart source NAME FOLDER"):
        freeze_official(stores, {}, "A:one", tmp_path / "split")
    _official(store)
    with pytest.raises(SplitError, match="There are: A:one"):
        freeze_official(stores, {}, "A:two", tmp_path / "split")
    with pytest.raises(SplitError, match="no frame of hospital 'Z'"):
        freeze_official(stores, {}, "A:one", tmp_path / "split", held_out=["Z"])
    with pytest.raises(SplitError, match="both source and held out"):
        freeze_official(stores, {}, "A:one", tmp_path / "split", held_out=["A"])
    clip = store.clips["clip"].to_pylist()[0]
    _official(store, more=(("one", clip, "train", "PLAX"), ("one", clip, "test", "PLAX")))
    with pytest.raises(SplitError, match="two roles"):
        freeze_official(stores, {}, "A:one", tmp_path / "split")
    assert not (tmp_path / "split").exists()


def test_freeze_official_leaves_no_file_without_splits(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    _official(store)
    path = write_official_splits(store.root, "A", OFFICIAL_SPLITS.empty_table())
    assert not path.exists()
