"""Fresh hospitals for a proof: who they are, and a miniature that is found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.errors import ExistsError
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import POOL_MODES
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore
from heart2heart.synthetic.presets import four_hospitals, fresh_hospitals
from pipelines import fresh_hospitals as study
from pipelines import pool_labels
from pipelines.carry_over import hospital_task
from pipelines.fresh_hospitals import main, proof_hospitals


def test_proof_hospitals_are_the_source_and_the_fresh_ones() -> None:
    hospitals = proof_hospitals(40, 60, 12, 24)
    assert [(each.name, each.patients, each.labeled_patients) for each in hospitals] == [
        ("A", 100, 40), ("E", 36, 12), ("F", 36, 12), ("G", 36, 12), ("H", 36, 12)
    ]  # fmt: skip
    assert hospitals[0].manufacturer == four_hospitals()[0].manufacturer
    assert [each.manufacturer for each in hospitals[1:]] == [each.manufacturer for each in fresh_hospitals()]
    others = proof_hospitals(40, 60, 12, 24, draw=1)
    assert others[0] == hospitals[0]
    assert {each.machine.digest() for each in others[1:]}.isdisjoint(each.machine.digest() for each in hospitals[1:])


def test_main_makes_stores_and_a_split_as_a_demo_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = fresh_hospitals()[:1]
    monkeypatch.setattr(study, "fresh_hospitals", lambda *, seed: one)

    def make() -> str:
        main(tmp_path, 2027, 2, 5, 1, 2, 1, 16, 1)
        return capsys.readouterr().out

    first = make()
    split = SplitManifest.load(tmp_path / "split")
    rows = split.members.to_pylist()
    assert len({row["patient"] for row in rows if row["role"] == "train"}) == 2
    assert split.held_out_sites == ("E",)
    assert "E: test, 2 patients" in first
    assert [path.name for path in hospital_task(tmp_path).stores] == ["A", "E"]
    assert make() == first

    pool_labels.main(tmp_path, tmp_path / "split", tmp_path / "pool.db")
    clips = {clip["clip"]: clip for clip in FrameStore.open(tmp_path / "stores" / "A").clips.to_pylist()}
    scored = {row["patient"] for row in rows if row["role"] in ("validation", "test")}
    events = [event for event in LabelStore(tmp_path / "pool.db").events() if event.rater == "truth"]
    expected = {name for name, clip in clips.items() if clip["patient"] not in scored and clip["mode"] in POOL_MODES}
    assert {event.clip for event in events} == expected
    assert {event.value for event in events} <= {*split.classes, "OTHER"}
    with pytest.raises(ExistsError):
        pool_labels.main(tmp_path, tmp_path / "split", tmp_path / "pool.db")
