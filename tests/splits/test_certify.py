"""The certificate passes a clean split and catches each planted leak."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from heart2heart.errors import LeakageError
from heart2heart.schema.split import SPLIT_MEMBERS, Certificate, Check, SplitSettings
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.propose import propose
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.testing.stores import random_store, view_labels


def _freeze(store: FrameStore, rows: list[dict[str, Any]], path: Path) -> SplitManifest:
    return SplitManifest.freeze(
        path, name="planted", classes=SCORED_VIEWS, seed=0, source_sites=("A",), held_out_sites=("B",), settings={},
        members=pa.Table.from_pylist(rows, schema=SPLIT_MEMBERS), stores=store,
    )  # fmt: skip


def _check(certificate: Certificate, name: str) -> Check:
    return next(check for check in certificate.checks if check.name == name)


def test_certify_passes_a_clean_split(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store")
    split = propose(store, view_labels(store), SplitSettings(source=("A",)), tmp_path / "split")
    certificate = certify(split, store)
    assert certificate.passed
    assert Certificate.read(split.path / "certificate.json") == certificate
    assert {check.name for check in certificate.checks} >= {"patient_disjoint", "near_duplicates", "metadata_probe"}
    few = _check(certificate, "test_patients")
    assert few.status == "warn"
    assert "B (10)" in few.detail


Plant = Callable[[list[dict[str, Any]]], None]


def _patient_in_two_groups(rows: list[dict[str, Any]]) -> None:
    clips = sorted({row["clip"] for row in rows if row["role"] == "train"})
    for row in rows:
        if row["clip"] == clips[0]:
            row["role"] = "validation"


def _evaluated_patient_in_pool(rows: list[dict[str, Any]]) -> None:
    patient = next(row["patient"] for row in rows if row["role"] == "validation")
    for row in rows:
        if row["patient"] == patient and row["role"] == "excluded":
            row.update(role="unlabeled", view=None)


def _scored_patient_adapts(rows: list[dict[str, Any]]) -> None:
    scored = next(row["patient"] for row in rows if row["role"] == "test" and row["site"] == "B")
    for row in rows:
        if row["patient"] == scored and row["role"] == "excluded":
            row.update(role="adaptation", view=None)


def _held_out_hospital_in_training(rows: list[dict[str, Any]]) -> None:
    clip = min(row["clip"] for row in rows if row["site"] == "B")
    for row in rows:
        if row["clip"] == clip:
            row.update(role="validation")


def _view_missing(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["role"] == "validation" and row["view"] == "A2C":
            row["role"] = "excluded"


@pytest.mark.parametrize(
    ("plant", "check", "text"),
    [
        (_patient_in_two_groups, "patient_disjoint", "patient in more than one group"),
        (_patient_in_two_groups, "study_disjoint", "study in more than one group"),
        (_evaluated_patient_in_pool, "pool_without_evaluated_patients", "in the pool"),
        (_scored_patient_adapts, "pool_without_evaluated_patients", "in the pool"),
        (_scored_patient_adapts, "patient_disjoint", "in more than one group"),
        (_held_out_hospital_in_training, "held_out_untouched", "3 validation frames of held-out B"),
        (_view_missing, "views_present", "validation lacks A2C"),
    ],
)
def test_certify_catches_a_planted_leak(tmp_path: Path, plant: Plant, check: str, text: str) -> None:
    store = random_store(tmp_path / "store")
    rows = propose(store, view_labels(store), SplitSettings(source=("A",)), tmp_path / "clean").members.to_pylist()
    plant(rows)
    split = _freeze(store, rows, tmp_path / "split")
    caught = _check(certify(split, store), check)
    assert caught.status == "fail"
    assert text in caught.detail
    with pytest.raises(LeakageError, match=check):
        split.require_certified()


def _twins(root: Path, noise: int, bits: int) -> FrameStore:
    """Two patients whose clips show the same picture, up to noise in pixels and bits in the hash."""
    rng = np.random.default_rng(0)
    store = FrameStore.create(root, Geometry("tmed2", 16))
    picture = rng.integers(0, 200, (1, 16, 16), dtype=np.uint8)
    with store.writer() as writer:
        for index, site in enumerate(("A", "A", "B")):
            pixels = (
                picture + rng.integers(0, noise + 1, picture.shape, dtype=np.uint8) if index != 1 else 255 - picture
            )
            row = {
                "clip": f"{index:016x}", "site": site, "patient": f"p{index}", "study": f"s{index}",
                "content": f"c{index}", "source": "dicom", "synthetic": True, "mode": "b_mode", "rows": 16,
                "columns": 16, "n_source": 1, "quality": 0.5, "flags": [],
            }  # fmt: skip
            code = (1 << 40) - 1 if index == 1 else (1 << 20) ^ (((1 << bits) - 1) << 30 if index == 2 else 0)
            writer.add(row, pixels, [{"index": 0, "quality": 0.5, "dhash": code}])
    return FrameStore.open(root)


@pytest.mark.parametrize(
    ("noise", "bits", "status"), [(0, 0, "fail"), (3, 3, "fail"), (0, 4, "pass"), (250, 1, "pass")]
)
def test_check_near_duplicates_across_hospitals(tmp_path: Path, noise: int, bits: int, status: str) -> None:
    store = _twins(tmp_path / "store", noise, bits)
    roles = {"p0": "train", "p1": "unlabeled", "p2": "test"}
    rows = [
        {name: row[name] for name in ("frame", "clip", "site", "patient", "study")} | {"role": roles[row["patient"]]}
        for row in store.frames.to_pylist()
    ]
    certificate = certify(_freeze(store, rows, tmp_path / "split"), store)
    assert _check(certificate, "near_duplicates").status == status
    assert _check(certificate, "pixel_hash_disjoint").status == ("fail" if noise == 0 else "pass")


@pytest.mark.parametrize("name", ["series", "instance"])
def test_check_disjoint_finds_one_series_of_two_patients(tmp_path: Path, name: str) -> None:
    store = FrameStore.create(tmp_path / "store", Geometry("tmed2", 16))
    rng = np.random.default_rng(0)
    with store.writer() as writer:
        for index, site in enumerate(("A", "B")):
            row = {
                "clip": f"{index:016x}", "site": site, "patient": f"p{index}", "study": f"s{index}",
                "series": f"e{index}", "instance": f"i{index}", "content": f"c{index}", "source": "dicom",
                "synthetic": True, "mode": "b_mode", "rows": 16, "columns": 16, "n_source": 1, "quality": 0.5,
                "flags": [],
            }  # fmt: skip
            pixels = rng.integers(0, 256, (1, 16, 16), dtype=np.uint8)
            writer.add(row | {name: "same"}, pixels, [{"index": 0, "quality": 0.5, "dhash": index << 20}])
    opened = FrameStore.open(store.root)
    rows = [
        {column: row[column] for column in ("frame", "clip", "site", "patient", "study")}
        | {"role": "train" if row["site"] == "A" else "test"}
        for row in opened.frames.to_pylist()
    ]
    certificate = certify(_freeze(opened, rows, tmp_path / "split"), opened)
    failed = {check.name for check in certificate.checks if check.status == "fail"}
    assert failed - {"views_present"} == {f"{name}_disjoint"}
    assert f"1 x {name} in more than one group" in _check(certificate, f"{name}_disjoint").detail


def test_check_metadata_probe_warns_if_metadata_predict_the_view(tmp_path: Path) -> None:
    store = FrameStore.create(tmp_path / "store", Geometry("tmed2", 16))
    rng = np.random.default_rng(0)
    rows = []
    with store.writer() as writer:
        for patient in range(6):
            for index, view in enumerate(SCORED_VIEWS):
                clip = f"{patient:08x}{index:08x}"
                role = ("train", "validation", "test")[patient % 3]
                row = {
                    "clip": clip, "site": "A", "patient": f"p{patient}", "study": f"s{patient}", "content": clip,
                    "source": "dicom", "synthetic": True, "mode": "b_mode", "maker": view, "rows": 16, "columns": 16,
                    "n_source": 1, "quality": 0.5, "flags": [],
                }  # fmt: skip
                pixels = rng.integers(0, 256, (1, 16, 16), dtype=np.uint8)
                code = int(rng.integers(0, 2**63))
                writer.add(row, pixels, [{"index": 0, "quality": 0.5, "dhash": code}])
                member = {name: row[name] for name in ("clip", "site", "patient", "study")}
                rows.append(member | {"frame": f"{clip}:0000", "role": role, "view": view})
    opened = FrameStore.open(store.root)
    probe = _check(certify(_freeze(opened, rows, tmp_path / "split"), opened), "metadata_probe")
    assert probe.status == "warn"
    assert "1.00 (chance 0.25)" in probe.detail
