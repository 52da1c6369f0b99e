"""Proposals keep patients apart, put every view into every part, and never train on a held-out hospital."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heart2heart import utils
from heart2heart.errors import ConfigError, ExistsError, SplitError, UnknownNameError
from heart2heart.schema.split import SplitSettings
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.assignment import budget_patients
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.propose import propose, propose_folds, propose_leave_one_out
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.stores import random_store, view_labels


def _patients(split: SplitManifest, *roles: str) -> set[str]:
    members = split.members
    return {row["patient"] for row in members.to_pylist() if row["role"] in roles}


def _views(split: SplitManifest, role: str) -> list[str | None]:
    views: list[str | None] = split.members.filter(pc.equal(split.members["role"], role))["view"].to_pylist()
    return views


def _all(store: FrameStore) -> set[str]:
    return set(store.frames["patient"].to_pylist())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), validation=st.sampled_from([0.2, 0.3, 0.4]), labeled=st.integers(6, 10))
def test_propose_separates_patients_and_keeps_every_view(
    tmp_path_factory: pytest.TempPathFactory, seed: int, validation: float, labeled: int
) -> None:
    tmp_path = tmp_path_factory.mktemp("split")
    store = random_store(tmp_path / "store", frames_each=1)
    labels = view_labels(store, patients=range(labeled))
    chosen = SplitSettings(source=("A",), validation=validation, test=0.2, seed=seed)
    split = propose(store, labels, chosen, tmp_path / "split")

    parts = [_patients(split, "train", "unlabeled"), _patients(split, "validation")]
    source_test = {p for p in _patients(split, "test") if p.startswith("A")}
    assert parts[0]
    assert parts[1]
    assert source_test
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & source_test
    for role in ("train", "validation", "test"):
        views = set(split.members.filter(pc.equal(split.members["role"], role))["view"].to_pylist())
        assert set(SCORED_VIEWS) <= views
    held_out = split.members.filter(pc.equal(split.members["site"], "B"))
    assert set(held_out["role"].to_pylist()) <= {"test", "excluded"}
    assert split.held_out_sites == ("B",)


def test_propose_is_repeatable(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    labels = view_labels(store)
    one, two, other = (
        propose(store, labels, SplitSettings(source=("A",), seed=seed), tmp_path / name)
        for seed, name in ((3, "one"), (3, "two"), (4, "other"))
    )
    assert one.sha256 == two.sha256
    assert one.members.equals(two.members)
    assert other.sha256 != one.sha256


def test_propose_with_a_label_budget_moves_the_rest_into_the_pool(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    chosen = SplitSettings(source=("A",), label_budget=2)
    split = propose(store, view_labels(store), chosen, tmp_path / "split")
    assert len(_patients(split, "train")) == 2
    hidden = split.members.filter(pc.equal(split.members["role"], "unlabeled"))
    assert hidden["view"].null_count == len(hidden) > 0


def test_propose_keeps_labels_outside_the_classes_for_open_set(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    labels = view_labels(store) | {f: "A3C" for f in store.frames["frame"].to_pylist() if f[4:6] == "04"}
    split = propose(store, labels, SplitSettings(source=("A",)), tmp_path / "split")
    for row in split.members.to_pylist():
        if row["frame"][4:6] == "04":
            assert (row["role"], row["view"]) in {("unlabeled", None), ("validation", "A3C"), ("test", "A3C")}


def test_propose_counts_every_other_view_as_the_class_of_other_views(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    fourth = {"A2C": "A3C"}  # labeled in every patient, and no class of this split
    labels = {frame: fourth.get(view, view) for frame, view in view_labels(store).items()}
    classes = ("PLAX", "PSAX", "A4C", "OTHER")
    split = propose(store, labels, SplitSettings(source=("A",), classes=classes), tmp_path / "split")
    views = dict(zip(*(split.members[name].to_pylist() for name in ("frame", "view")), strict=True))
    counted = {frame: view for frame, view in views.items() if view is not None}
    assert {labels[frame] for frame, view in counted.items() if view == "OTHER"} == {"A3C"}
    assert all(view == labels[frame] for frame, view in counted.items() if view != "OTHER")
    for part in ("train", "validation", "test"):
        assert "OTHER" in _views(split, part)


def test_propose_excludes_other_modes(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    with pytest.raises(SplitError, match="0 labeled patients"):
        propose(store, view_labels(store), SplitSettings(source=("A",), modes=("colour",)), tmp_path / "split")


def test_propose_refusals_name_what_and_where(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    labels = view_labels(store)
    with pytest.raises(SplitError, match=r"no frame of hospital .*There are: A, B"):
        propose(store, labels, SplitSettings(source=("Z",)), tmp_path / "x")
    with pytest.raises(SplitError, match="both source and held out"):
        propose(store, labels, SplitSettings(source=("A",), held_out=("A",)), tmp_path / "x")
    with pytest.raises(UnknownNameError, match="unknown view 'A9C'"):
        propose(store, labels, SplitSettings(source=("A",), classes=("A9C",)), tmp_path / "x")
    only_plax = {frame: view for frame, view in labels.items() if view == "PLAX"}
    with pytest.raises(SplitError, match="PSAX is labeled in 0 patients of A"):
        propose(store, only_plax, SplitSettings(source=("A",)), tmp_path / "x")
    with pytest.raises(ConfigError, match="validation"):
        SplitSettings.parse({"source": ["A"], "validation": 0}, where="test")
    assert not (tmp_path / "x").exists()
    propose(store, labels, SplitSettings(source=("A",)), tmp_path / "x")
    with pytest.raises(ExistsError):
        propose(store, labels, SplitSettings(source=("A",)), tmp_path / "x")


def test_propose_names_views_that_cannot_be_in_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = random_store(tmp_path / "store", frames_each=1, patients=6)
    # Three patients show PLAX and PSAX, three others A4C and A2C: no patient can be alone in a part.
    labels = {
        frame: view for frame, view in view_labels(store).items() if (int(frame[3]) < 3) == (view in ("PLAX", "PSAX"))
    }
    monkeypatch.setattr(import_module("heart2heart.splits.assignment"), "MAX_SHUFFLES", 3)
    chosen = SplitSettings(source=("A",), validation=0.17, test=0.17)
    with pytest.raises(SplitError, match=r"no assignment gives every part every view; for example .* lacks"):
        propose(store, labels, chosen, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_propose_folds_test_every_labeled_patient_once(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1, sites=("A", "B", "C"))
    labels = view_labels(store)
    chosen = SplitSettings(name="s", source=("A", "B"), held_out=("C",))
    splits = propose_folds(store, labels, chosen, tmp_path / "folds", 4)
    assert [split.path.name for split in splits] == ["fold0", "fold1", "fold2", "fold3"]
    assert [split.name for split in splits] == ["s-fold0", "s-fold1", "s-fold2", "s-fold3"]
    tested = [{p for p in _patients(split, "test") if not p.startswith("C")} for split in splits]
    assert sorted(p for part in tested for p in part) == sorted(p for p in _all(store) if not p.startswith("C"))
    for split, part in zip(splits, tested, strict=True):
        assert {p for p in _patients(split, "test") if p.startswith("C")} == {p for p in _all(store) if p[0] == "C"}
        assert not part & _patients(split, "train", "validation", "unlabeled")
        assert {p[0] for p in part} == {"A", "B"}  # stratified by hospital
        for role in ("train", "validation", "test"):
            assert set(SCORED_VIEWS) <= set(_views(split, role))
        again = propose(store, labels, SplitSettings.parse(split.settings, where="t"), tmp_path / f"again-{split.name}")
        assert again.members.equals(split.members)


def test_propose_leave_one_out_holds_each_hospital_out_once(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1, sites=("A", "B", "C"))
    chosen = SplitSettings(source=("A", "B", "C"))
    splits = propose_leave_one_out(store, view_labels(store), chosen, tmp_path / "out")
    assert [split.held_out_sites for split in splits] == [("A",), ("B",), ("C",)]
    for split in splits:
        held = split.held_out_sites[0]
        assert split.source_sites == tuple(site for site in "ABC" if site != held)
        assert {p[0] for p in _patients(split, "train", "validation", "unlabeled")} == set(split.source_sites)
        assert {p for p in _patients(split, "test") if p[0] == held} == {p for p in _all(store) if p[0] == held}
    with pytest.raises(SplitError, match="needs at least two"):
        propose_leave_one_out(store, view_labels(store), SplitSettings(source=("A",)), tmp_path / "other")


def test_propose_folds_write_nothing_when_refused(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    labels = {f: v for f, v in view_labels(store).items() if v != "A2C" or int(f[3]) < 3}
    with pytest.raises(SplitError, match=r"A2C is labeled in 3 patients of A.*At least 4 are needed"):
        propose_folds(store, labels, SplitSettings(source=("A",)), tmp_path / "folds", 4)
    assert not (tmp_path / "folds").exists()
    # Without B's labels, leaving A out cannot train: the split without B must not be written either.
    only_a = {f: v for f, v in view_labels(store).items() if f.startswith("a")}
    with pytest.raises(SplitError, match="0 labeled patients"):
        propose_leave_one_out(store, only_a, SplitSettings(source=("B", "A")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"validation": 0.6, "test": 0.4}, "leave nobody to train"), ({"folds": 3, "fold": 3}, "fold 3 of 3")],
)
def test_split_settings_refuse(wrong: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        SplitSettings.parse({"source": ["A"], **wrong}, where="test")


@given(seed=st.integers(0, 1000), budget=st.integers(1, 40))
def test_budget_patients_keep_the_mix_and_nest(seed: int, budget: int) -> None:
    # 40 patients; a quarter at hospital two; one view each, in the shares 1/2, 1/4, 1/4.
    strata = np.array([(index % 4 == 3) * 3 + (0, 0, 1, 2)[index // 10] for index in range(40)])
    patients = np.array([f"p{index:02d}" for index in range(40)], object)
    names = patients.tolist()
    chosen = budget_patients(patients, strata, names, budget, utils.random_stream(seed, "test"))
    larger = budget_patients(patients, strata, names, budget + 5, utils.random_stream(seed, "test"))
    assert len(set(chosen)) == budget
    assert larger[:budget] == chosen
    shares = np.bincount(strata, minlength=6) / 40
    counts = np.bincount(strata[np.isin(patients, chosen)], minlength=6)
    assert (np.abs(counts - budget * shares) < 1.5).all()


def test_groups_of_selected_frames(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=2)
    split = propose(store, view_labels(store), SplitSettings(source=("A", "B")), tmp_path / "split")
    selected = split.select(store, ("train", "test"))
    names, indices = selected.groups()
    assert names == ["A", "B"]
    assert [names[index] for index in indices] == selected.members["site"].to_pylist()
    patients, indices = selected.groups("patient")
    assert [patients[index] for index in indices] == selected.members["patient"].to_pylist()


def test_propose_sets_a_share_of_each_held_out_hospital_aside(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=("A", "B", "C"), frames_each=1)
    labels = view_labels(store, patients=range(8))
    plain = propose(store, labels, SplitSettings(source=("A",)), tmp_path / "plain")
    split = propose(store, labels, SplitSettings(source=("A",), adaptation=0.5), tmp_path / "split")
    members = split.members.filter(pc.equal(split.members["role"], "adaptation"))
    chosen = _patients(split, "adaptation")
    assert {patient[0] for patient in chosen} == {"B", "C"}
    assert len(chosen) == 8  # half of eight labeled patients, at each of two hospitals
    assert members["view"].null_count == len(members)
    assert not chosen & _patients(split, "train", "validation", "test", "unlabeled")
    assert {p for p in _patients(plain, "test") if p[0] == "A"} == {p for p in _patients(split, "test") if p[0] == "A"}
    certificate = certify(split, store)
    assert all(check.status != "fail" for check in certificate.checks)
    assert SplitManifest.load(split.path).settings["adaptation"] == 0.5
    assert "adaptation" not in plain.settings


def test_propose_refuses_adaptation_where_one_patient_is_labeled(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", frames_each=1)
    labels = view_labels(store)
    labels = {frame: view for frame, view in labels.items() if frame.startswith(("a", "b000"))}
    with pytest.raises(SplitError, match="hospital 'B' has 1 labeled patients"):
        propose(store, labels, SplitSettings(source=("A",), adaptation=0.5), tmp_path / "split")
