"""The certificate refuses a split with a processed copy of each kind, and says what its search finds."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from heart2heart.errors import LeakageError
from heart2heart.schema.split import SPLIT_MEMBERS, Certificate, Check
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.certify import certify, used_members
from heart2heart.splits.copy_check import CopySearch, check_planted, search_copies
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.planted_copies import COPY_KINDS
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from tests.store.echo_frames import echo_frames

PATIENTS = 40


def frozen_split(
    folder: Path, copies: dict[int, npt.NDArray[np.uint8]], mode: str = "b_mode"
) -> tuple[SplitManifest, FrameStore]:
    """Freeze a split of 30 training, 4 validation and 6 test patients of one frame, some of them replaced by copies."""
    frames = echo_frames(PATIENTS, side=80, seed=3)
    for patient, copy in copies.items():
        frames[patient] = copy
    store = FrameStore.create(folder / "store", Geometry("tmed2", 80))
    rng = np.random.default_rng(0)
    with store.writer() as writer:
        for index, frame in enumerate(frames):
            row: dict[str, Any] = {
                "clip": f"{index:016x}", "site": "A" if index < 34 else "B", "patient": f"p{index}",
                "study": f"s{index}", "content": f"c{index}", "source": "dicom", "synthetic": True, "mode": mode,
                "rows": 80, "columns": 80, "n_source": 1, "quality": 0.5, "flags": [],
            }  # fmt: skip
            writer.add(row, frame[None], [{"index": 0, "quality": 0.5, "dhash": int(rng.integers(0, 2**63))}])
    store = FrameStore.open(folder / "store")
    members = []
    for row in store.frames.to_pylist():
        index = int(row["patient"][1:])
        role = "train" if index < 30 else "validation" if index < 34 else "test"
        kept = {name: row[name] for name in ("frame", "clip", "site", "patient", "study")}
        members.append(kept | {"role": role, "view": SCORED_VIEWS[index % 4]})
    split = SplitManifest.freeze(
        folder / "split", name="planted", classes=SCORED_VIEWS, seed=0, source_sites=("A",), held_out_sites=("B",),
        settings={}, members=pa.Table.from_pylist(members, schema=SPLIT_MEMBERS), stores=store,
    )  # fmt: skip
    return split, store


def _check(certificate: Certificate, name: str) -> Check:
    return next(check for check in certificate.checks if check.name == name)


@pytest.mark.parametrize("kind", COPY_KINDS)
def test_search_copies_refuses_a_split_with_a_copy_of_each_kind(tmp_path: Path, kind: str) -> None:
    copy = COPY_KINDS[kind](echo_frames(PATIENTS, side=80, seed=3)[7])
    split, store = frozen_split(tmp_path, {36: copy})
    caught = _check(certify(split, store), "near_duplicates")
    assert caught.status == "fail"
    assert "1 pairs of frames across groups are copies after registration" in caught.detail
    assert all(f"{index:016x}:0000" in caught.detail for index in (7, 36))
    with pytest.raises(LeakageError, match="near_duplicates"):
        split.require_certified()


def test_search_copies_passes_a_clean_split_and_prints_its_recall(tmp_path: Path) -> None:
    split, store = frozen_split(tmp_path, {})
    certificate = certify(split, store)
    assert _check(certificate, "near_duplicates").status == "pass"
    planted = _check(certificate, "planted_copies")
    assert planted.status == "pass"
    assert all(f"{kind} 100%" in planted.detail for kind in COPY_KINDS)
    assert "false alarms: 0 of" in planted.detail
    assert Certificate.read(split.path / "certificate.json") == certificate
    again = search_copies(used_members(split.members), store)
    assert check_planted(again) == planted
    split.require_certified()


def test_search_copies_leaves_spectral_frames_and_tiny_frames_out(tmp_path: Path) -> None:
    split, store = frozen_split(tmp_path, {36: echo_frames(PATIENTS, side=80, seed=3)[7, :, ::-1]}, mode="spectral")
    search = search_copies(used_members(split.members), store)
    assert search is not None
    assert (search.pairs, search.frames, search.planted) == ((), 0, 0)
    assert "not measured: no B-mode frame trains" in check_planted(search).detail
    assert "not measured: frames below 32 pixels" in check_planted(None).detail


def test_check_planted_warns_where_most_copies_of_a_kind_are_missed() -> None:
    search = CopySearch((), (), 10, 10, 10, 0.9, 50, 0, {"flip": 1.0, "overlay": 0.4}, 5)
    check = check_planted(search)
    assert check.status == "warn"
    assert "flip 100%, overlay 40%; false alarms: 0 of 50" in check.detail
