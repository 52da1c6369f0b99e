"""The flags rule in a split: pool, training and evaluation; its record in the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pytest

from heart2heart.errors import SplitError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.flags_rule import ClipUse, FlagsRule, read_flags_rule, usual_rule
from heart2heart.schema.split import SplitSettings
from heart2heart.schema.status import ClipFlag
from heart2heart.splits.clip_uses import apply_flags_rule, recorded_flags_rule, usable_labels
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.overlap import TrainingReference
from heart2heart.splits.propose import propose
from heart2heart.splits.validation import validation_members
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.stores import random_store, view_labels

FLAGGED = [f"a{patient:03d}{clip:02d}".ljust(16, "0") for patient in range(4) for clip in (0, 4)]
HELD_OUT = "b00000".ljust(16, "0")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> FrameStores:
    flags = {clip: ["split_screen"] for clip in (*FLAGGED, HELD_OUT)}
    root = random_store(tmp_path_factory.mktemp("flags") / "store", patients=10, flags=flags).root
    return FrameStores.open(root)


def roles(stores: FrameStores, out: Path, **flags: tuple[ClipFlag, ...]) -> tuple[SplitManifest, dict[str, set[str]]]:
    rule = FlagsRule(name="own", **flags) if flags else None
    settings = SplitSettings(source=("A",), flags_rule=rule)
    split = propose(stores, view_labels(stores), settings, out)
    by_clip: dict[str, set[str]] = {}
    for clip, role in zip(split.members["clip"].to_pylist(), split.members["role"].to_pylist(), strict=True):
        by_clip.setdefault(clip, set()).add(role)
    return split, by_clip


def test_propose_keeps_flagged_clips_from_each_use(stores: FrameStores, tmp_path: Path) -> None:
    flag = (ClipFlag.SPLIT_SCREEN,)
    _, without_rule = roles(stores, tmp_path / "none")
    assert {SplitRole.TRAIN, SplitRole.UNLABELED} <= set().union(*(without_rule[clip] for clip in FLAGGED))
    _, pool = roles(stores, tmp_path / "pool", pool=flag)
    assert SplitRole.UNLABELED not in set().union(*(pool[clip] for clip in FLAGGED))
    _, train = roles(stores, tmp_path / "train", train=flag)
    of_flagged = set().union(*(train[clip] for clip in FLAGGED))
    assert not of_flagged & {SplitRole.TRAIN, SplitRole.VALIDATION}
    assert SplitRole.UNLABELED in of_flagged
    assert train[HELD_OUT] == {SplitRole.TEST}
    _, evaluate = roles(stores, tmp_path / "evaluate", evaluate=flag)
    assert evaluate[HELD_OUT] == {SplitRole.EXCLUDED}
    assert SplitRole.TEST not in set().union(*(evaluate[clip] for clip in FLAGGED))


def test_propose_records_the_rule_with_its_hash(stores: FrameStores, tmp_path: Path) -> None:
    rule = FlagsRule(name="own", pool=(ClipFlag.SPLIT_SCREEN,))
    plain, _ = roles(stores, tmp_path / "plain")
    split, _ = roles(stores, tmp_path / "split", pool=(ClipFlag.SPLIT_SCREEN,))
    recorded = json.loads((tmp_path / "split" / "split.json").read_text())["settings"]["flags_rule"]
    assert recorded["sha256"] == rule.digest()
    assert recorded_flags_rule(split.settings) == rule
    assert "flags_rule" not in plain.settings
    assert recorded_flags_rule(plain.settings) is None


def test_usable_labels_leaves_out_labels_that_cannot_train_and_test(stores: FrameStores) -> None:
    labels = view_labels(stores)
    assert usable_labels(stores, labels, usual_rule()) == labels
    clips = dict(zip(stores.frames["frame"].to_pylist(), stores.frames["clip"].to_pylist(), strict=True))
    kept = usable_labels(stores, labels, read_flags_rule("strict"))
    assert set(labels) - set(kept) == {frame for frame in labels if clips[frame] in {*FLAGGED, HELD_OUT}}


def test_apply_flags_rule_excludes_a_training_frame_that_may_not_join_the_pool() -> None:
    row = {"clip": "c", "role": SplitRole.TRAIN, "view": "A4C"}
    gone, none = frozenset({"c"}), frozenset[str]()
    both = {ClipUse.POOL: gone, ClipUse.TRAIN: gone, ClipUse.EVALUATE: none}
    assert apply_flags_rule([row], both) == [{"clip": "c", "role": SplitRole.EXCLUDED, "view": None}]
    assert apply_flags_rule([row], both | {ClipUse.POOL: none}) == [
        {"clip": "c", "role": SplitRole.UNLABELED, "view": None}
    ]
    assert apply_flags_rule([row], dict.fromkeys(both, none)) == [row]


def test_validation_members_leaves_out_flagged_clips(stores: FrameStores) -> None:
    reference = TrainingReference(None, None, False, (), ())
    rule = FlagsRule(name="own", evaluate=(ClipFlag.SPLIT_SCREEN,))
    labels = view_labels(stores)
    every = validation_members(stores, labels, ["B"], reference=reference)
    fewer = validation_members(stores, labels, ["B"], reference=reference, flags=rule)
    tested = [
        set(table.filter(pc.equal(table["role"], SplitRole.TEST))["clip"].to_pylist()) for table in (every, fewer)
    ]
    assert tested[0] - tested[1] == {HELD_OUT}


def test_recorded_flags_rule_refuses_another_content() -> None:
    with pytest.raises((SplitError, ValueError), match="name"):
        recorded_flags_rule({"flags_rule": {"name": 3}})
