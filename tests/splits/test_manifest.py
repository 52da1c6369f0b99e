"""A frozen split notices an edit, another store, and a missing certificate."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heart2heart.errors import LeakageError, MissingInputError, SplitError
from heart2heart.schema.split import Certificate, SplitSettings
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.propose import propose
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.testing.stores import random_store, view_labels
from heart2heart.utils import write_json


@pytest.fixture
def frozen(tmp_path: Path) -> tuple[FrameStore, SplitManifest]:
    store = random_store(tmp_path / "store", frames_each=2)
    return store, propose(store, view_labels(store), SplitSettings(source=("A",)), tmp_path / "split")


def test_select_reads_the_right_pixels(frozen: tuple[FrameStore, SplitManifest]) -> None:
    store, split = frozen
    chosen = split.select(store, ["train", "validation"])
    index_of = {frame: index for index, frame in enumerate(store.frames["frame"].to_pylist())}
    assert len(chosen.rows) == len(chosen.members) > 0
    for row, target, member in zip(chosen.rows, chosen.targets, chosen.members.to_pylist(), strict=True):
        assert row == index_of[member["frame"]]
        assert split.classes[target] == member["view"]
    assert store.read(chosen.rows).shape == (len(chosen.rows), 16, 16)


def test_load_opens_a_path_given_as_text(frozen: tuple[FrameStore, SplitManifest]) -> None:
    store, split = frozen
    loaded = SplitManifest.load(str(split.path))
    assert (loaded.path, loaded.sha256) == (split.path, split.sha256)
    certificate = certify(loaded, store)
    assert Certificate.read(str(split.path / "certificate.json")) == certificate


def test_select_gives_target_minus_one_without_a_class(frozen: tuple[FrameStore, SplitManifest]) -> None:
    store, split = frozen
    assert set(split.select(store, "unlabeled").targets) == {-1}


def test_select_over_two_stores_equals_one(tmp_path: Path) -> None:
    whole = random_store(tmp_path / "whole")
    parts = [random_store(tmp_path / site, sites=[site], seed=1) for site in ("A", "B")]
    union = FrameStores(parts)
    split = propose(union, view_labels(union), SplitSettings(source=("A",)), tmp_path / "split")
    chosen = split.select(union, "test")
    assert set(chosen.members["site"].to_pylist()) == {"A", "B"}
    np.testing.assert_array_equal(
        union.read(chosen.rows)[-1], parts[1].read(chosen.rows[-1:] - len(parts[0].frames))[0]
    )
    with pytest.raises(SplitError, match="no longer hold"):
        split.check_data(whole)


def test_load_refuses_an_edited_member(frozen: tuple[FrameStore, SplitManifest]) -> None:
    _, split = frozen
    roles = ["train" if role == "test" else role for role in split.members["role"].to_pylist()]
    index = split.members.schema.get_field_index("role")
    pq.write_table(split.members.set_column(index, "role", pa.array(roles)), split.path / "members.parquet")
    with pytest.raises(SplitError, match="changed after it was frozen"):
        SplitManifest.load(split.path)


def test_load_refuses_an_edited_header(frozen: tuple[FrameStore, SplitManifest]) -> None:
    _, split = frozen
    content = json.loads((split.path / "split.json").read_text())
    content["held_out_sites"] = []
    (split.path / "split.json").write_text(json.dumps(content))
    with pytest.raises(SplitError, match="changed after it was frozen"):
        SplitManifest.load(split.path)


def test_check_data_refuses_changed_pixels_and_missing_clips(
    frozen: tuple[FrameStore, SplitManifest], tmp_path: Path
) -> None:
    store, split = frozen
    split.check_data(store)
    with pytest.raises(SplitError, match="no longer hold"):
        split.check_data(random_store(tmp_path / "other", frames_each=2, seed=9))
    one = random_store(tmp_path / "one", sites=["A"], frames_each=2)
    with pytest.raises(SplitError, match="not in the stores"):
        split.select(one, "test")


def test_require_certified_refuses_an_uncertified_split(
    frozen: tuple[FrameStore, SplitManifest], tmp_path: Path
) -> None:
    store, split = frozen
    with pytest.raises(LeakageError, match="no leakage certificate"):
        split.require_certified()
    certify(split, store)
    assert split.require_certified().split_sha256 == split.sha256
    other = propose(store, view_labels(store), SplitSettings(source=("A",), seed=5), tmp_path / "other")
    shutil.copy(split.path / "certificate.json", other.path)
    with pytest.raises(LeakageError, match="of another split"):
        other.require_certified()


def test_require_certified_refuses_a_certificate_without_checks(frozen: tuple[FrameStore, SplitManifest]) -> None:
    store, split = frozen
    kept = [check for check in certify(split, store).checks if check.name != "near_duplicates"]
    thinned = Certificate(split_sha256=split.sha256, checks=tuple(kept))
    write_json(split.path / "certificate.json", thinned.model_dump(mode="json"))
    with pytest.raises(LeakageError, match=r"lacks checks \(near_duplicates\)"):
        split.require_certified()


def test_info_names_sites_and_checks(frozen: tuple[FrameStore, SplitManifest]) -> None:
    store, split = frozen
    certificate = certify(split, store)
    info = split.info()
    assert (info.source_sites, info.held_out_sites, info.sha256) == (("A",), ("B",), split.sha256)
    assert info.checks == certificate.checks


def test_load_names_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="split manifest"):
        SplitManifest.load(tmp_path / "none")
    (tmp_path / "split.json").write_text("{}")
    with pytest.raises(SplitError, match="another schema"):
        SplitManifest.load(tmp_path)
