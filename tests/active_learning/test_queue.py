"""From a store, a label store and what stands for a run, to a file that the page reads."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from heart2heart.active_learning.pool import (
    Table,
    duplicate_groups,
    expected_seconds,
    labeled_clips,
    read_annotation_costs,
)
from heart2heart.active_learning.queue import QueueSettings, build_queue
from heart2heart.active_learning.queue_file import write_queue
from heart2heart.annotate.suggestions import read_queue
from heart2heart.errors import ConfigError, LabelError, MissingInputError, RunError, UnknownNameError
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import LabelAnswer
from heart2heart.schema.flags_rule import FlagsRule, usual_rule
from heart2heart.schema.review import ReviewDecision
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.store.near_duplicates import find_near_duplicates
from heart2heart.store.record_review import record_review
from heart2heart.testing.data_checks import softmax
from heart2heart.testing.stores import SIZE, random_store

GEOMETRY = Geometry("tmed2", SIZE)


@dataclass(frozen=True)
class PixelScores:
    """Stands for a run: what it says of a frame follows from the frame's pixels."""

    classes: tuple[str, ...] = SCORED_VIEWS
    geometry: Geometry = GEOMETRY

    def frame_tables(self, pixels: npt.NDArray[np.uint8], tables: Set[str]) -> dict[str, Table]:
        flat = pixels.reshape(len(pixels), -1).astype(np.float32)
        log_probabilities = {
            name: np.log(softmax(flat[:, index : index + 4] / 64)) for index, name in enumerate(sorted(tables))
        }
        return {name: flat[:, :5] if name == "embeddings" else table for name, table in log_probabilities.items()}

    def last_layer(self) -> tuple[Table, Table]:
        return np.eye(5, 4, dtype=np.float32), np.zeros(4, np.float32)

    def vaal_scores(self, embeddings: Table, labeled: npt.NDArray[np.bool_], seed: int) -> Table:
        return np.asarray(~labeled, np.float32)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> FrameStores:
    return FrameStores([random_store(tmp_path_factory.mktemp("queue") / "store", patients=4)])


def label_event(clip: str, view: str, **more: Any) -> LabelEvent:
    return replace(LabelEvent(clip, "", view, "reader", "", "page"), **more)


def test_write_queue_leaves_read_clips_out_and_the_page_reads_it(stores: FrameStores, tmp_path: Path) -> None:
    clips = sorted(stores.clips["clip"].to_pylist())
    events = [label_event(clip, SCORED_VIEWS[index % 4]) for index, clip in enumerate(clips[:10])]
    events.append(replace(events[0], clip=clips[10], view="", answer=LabelAnswer.UNSURE))
    settings = QueueSettings(by="badge", budget=7, per_patient=2)
    queue = build_queue(
        stores, settings, events=events, model_outputs=PixelScores(), find_duplicates=find_near_duplicates
    )
    for name in ("queue.parquet", "queue.csv"):
        table = write_queue(queue, settings, tmp_path / name, run="r1")
        reasons = read_queue(tmp_path / name)
        assert list(reasons) == table["clip"].to_pylist()
        assert list(reasons.values()) == table["why"].to_pylist()
    assert len(reasons) == 7
    assert not set(reasons) & set(clips[:11])
    assert table["rank"].to_pylist() == list(range(1, 8))
    assert set(table["view"].to_pylist()) <= set(SCORED_VIEWS)
    assert (table["site"].to_pylist(), table["method"].to_pylist()) == (
        ["A" if clip[0] == "a" else "B" for clip in reasons], ["badge"] * 7,
    )  # fmt: skip
    metadata = json.loads(pq.read_metadata(tmp_path / "queue.parquet").metadata[b"heart2heart.queue"])
    assert (metadata["by"], metadata["run"], metadata["seed"], metadata["taxonomy"]) == ("badge", "r1", 0, "1")
    assert FlagsRule.model_validate(metadata["flags"]) == usual_rule()
    with pytest.raises(ConfigError, match=r"End its name by \.parquet or \.csv"):
        write_queue(queue, settings, tmp_path / "queue.txt")


def test_build_queue_leaves_out_clips_that_the_page_may_not_show(tmp_path: Path) -> None:
    suspected = "a00000".ljust(16, "0")
    flags = {suspected: ["text_suspected"]}
    stores = FrameStores([random_store(tmp_path / "store", sites=["A"], patients=2, flags=flags)])
    assert sorted(build_queue(stores, QueueSettings(by="random", budget=9)).clips) == sorted(
        clip for clip in stores.clips["clip"].to_pylist() if clip != suspected
    )
    record_review(tmp_path / "store", [suspected], ReviewDecision.CLEARED, reviewer="Reader 1", reason="a ruler")
    cleared = FrameStores.open(tmp_path / "store")
    assert suspected in build_queue(cleared, QueueSettings(by="random", budget=10)).clips


def test_build_queue_leaves_out_clips_by_the_flags_rule(tmp_path: Path) -> None:
    organ = "a00000".ljust(16, "0")
    flags = {organ: ["not_a_heart_preset"]}
    stores = FrameStores.open(random_store(tmp_path / "store", sites=["A"], patients=1, flags=flags).root)
    settings = QueueSettings(by="random", budget=1)
    assert organ not in build_queue(stores, settings).clips
    assert organ in build_queue(stores, settings, flags=FlagsRule(name="lenient")).clips


def test_build_queue_brings_the_frames_of_a_clip_together(stores: FrameStores) -> None:
    queue = build_queue(stores, QueueSettings(by="core_set", budget=1, frames="all"), model_outputs=PixelScores())
    frames = stores.frames.to_pylist()
    for index in (0, 17):
        rows = np.array([frame["row"] for frame in frames if frame["clip"] == queue.clips[index]])
        own = PixelScores().frame_tables(stores.read(rows), {"embeddings", "probabilities"})
        assert queue.pool.table("embeddings")[index] == pytest.approx(own["embeddings"].mean(0), rel=1e-5)
        powers = np.exp(own["probabilities"].mean(0))
        assert queue.pool.table("probabilities")[index] == pytest.approx(powers / powers.sum(), rel=1e-5)


def test_build_queue_needs_a_run_except_for_random(stores: FrameStores) -> None:
    queue = build_queue(stores, QueueSettings(by="random", budget=40))
    assert sorted(pick.index for pick in queue.selected) == list(range(40))
    with pytest.raises(ConfigError, match=r"the method margin needs a model.*--run RUN"):
        build_queue(stores, QueueSettings(by="margin", budget=4))
    with pytest.raises(ConfigError, match="poal needs clips labeled"):
        build_queue(stores, QueueSettings(by="poal", budget=4), model_outputs=PixelScores())


def test_build_queue_refuses_a_budget_above_the_clips_left(stores: FrameStores) -> None:
    clips = stores.clips["clip"].to_pylist()
    events = [label_event(clip, "OTHER") for clip in clips]
    with pytest.raises(ConfigError, match="a budget of 41 clips, but only 40 are left"):
        build_queue(stores, QueueSettings(by="random", budget=41))
    with pytest.raises(MissingInputError, match="no clip is left to select: 40 of 40 were read"):
        build_queue(stores, QueueSettings(by="random", budget=1), events=events)
    with pytest.raises(MissingInputError, match="the stores hold no clip of spectral"):
        build_queue(stores, QueueSettings(by="random", budget=1, modes=("spectral",)))


def test_build_queue_refuses_costs_before_it_reads_frames(stores: FrameStores, tmp_path: Path) -> None:
    class Unasked(PixelScores):
        def frame_tables(self, pixels: npt.NDArray[np.uint8], tables: Set[str]) -> dict[str, Table]:
            pytest.fail("the run was asked")

    settings = QueueSettings(by="margin", budget=3)
    with pytest.raises(LabelError, match="has a time"):
        build_queue(stores, settings, model_outputs=Unasked(), cost="time")
    with pytest.raises(MissingInputError, match="no file of costs here"):
        build_queue(stores, settings, model_outputs=Unasked(), cost=tmp_path / "none.csv")


def test_build_queue_refuses_a_store_named_twice(stores: FrameStores) -> None:
    twice = FrameStores([*stores.stores, *stores.stores])
    with pytest.raises(ConfigError, match=r"40 clips are in several of these stores\. Name each store once"):
        build_queue(twice, QueueSettings(by="random", budget=3))


def test_build_queue_refuses_a_run_of_another_kind(stores: FrameStores) -> None:
    settings = QueueSettings(by="margin", budget=3)
    with pytest.raises(UnknownNameError, match="taxonomy 1 does not have: HEAD"):
        build_queue(stores, settings, model_outputs=PixelScores(classes=("HEAD", "PLAX")))
    with pytest.raises(RunError, match="the stores hold"):
        build_queue(stores, settings, model_outputs=PixelScores(geometry=Geometry("tmed2", 32)))
    with pytest.raises(UnknownNameError, match="unknown view of the run 'A5C'"):
        build_queue(stores, QueueSettings(by="similar", budget=3, rare=("A5C",)), model_outputs=PixelScores())


def test_build_queue_selects_a_clip_with_two_names_once(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=("A",), patients=2, clips_each=2)
    double = FrameStore.create(tmp_path / "double", store.geometry)
    with double.writer() as writer:
        for clip in store.clips.to_pylist():
            frames = store.frames.filter(pa.compute.equal(store.frames["clip"], clip["clip"])).to_pylist()
            del clip["shard"]
            kept = ("index", "time_ms", "quality", "dhash")
            pixels = store.read(np.array([frame["row"] for frame in frames]))
            named = clip | {"clip": "copy" + clip["clip"][4:], "content": "x" + clip["content"]}
            writer.add(named, pixels, [{name: frame[name] for name in kept} for frame in frames])
    stores = FrameStores.open([store.root, double.root])
    queue = build_queue(stores, QueueSettings(by="random", budget=2), find_duplicates=find_near_duplicates)
    assert queue.pool.available == len(set(store.clips["clip"].to_pylist())) - _clashes(store)
    whole = build_queue(stores, QueueSettings(by="random", budget=2))
    assert whole.pool.available > queue.pool.available


def _clashes(store: FrameStore) -> int:
    """Clips whose copies took the same name."""
    names = [clip[4:] for clip in store.clips["clip"].to_pylist()]
    return len(names) - len(set(names))


def test_duplicate_groups_link_clips_by_half_of_their_frames() -> None:
    owner = np.repeat([0, 1, 2, 3], [4, 4, 4, 2])
    pairs = np.array([[0, 4], [1, 5], [4, 8], [9, 12]])
    # 0 and 1 share two of four, 1 and 2 one of four, 2 and 3 one of two.
    assert duplicate_groups(owner, pairs, 4).tolist() == [0, 0, 2, 2]
    assert duplicate_groups(owner, np.array([[0, 4], [0, 5], [0, 6]]), 4).tolist() == [0, 1, 2, 3]  # one frame, thrice
    assert duplicate_groups(owner, np.empty((0, 2), np.int64), 4).tolist() == [0, 1, 2, 3]


def test_labeled_clips_count_labels_of_clips_and_frames() -> None:
    first = label_event("c1", "PLAX")
    events = [first, label_event("c2", "", answer="unusable"), label_event("c3", "A4C", frame="c3:0001"),
            label_event("c4", "A3C"),
              label_event("c1", "", kind="retraction", answer="", retracts=first.identifier)]  # fmt: skip
    labeled, target = labeled_clips(["c1", "c2", "c3", "c4", "c5"], SCORED_VIEWS, events)
    assert labeled.tolist() == [False, True, True, True, False]
    assert target.tolist() == [-1, -1, SCORED_VIEWS.index("A4C"), -1, -1]


def test_expected_seconds_are_the_median_of_the_view() -> None:
    events = [label_event(f"a{n}", "A4C", seconds=10.0 + n) for n in range(5)] + [label_event("b", "PLAX", seconds=2.0)]
    guess = np.array([SCORED_VIEWS.index("A4C"), SCORED_VIEWS.index("PLAX"), -1])
    assert expected_seconds(guess, SCORED_VIEWS, events).tolist() == [12, 11.5, 11.5]
    with pytest.raises(LabelError, match="no reading in the label store has a time"):
        expected_seconds(guess, SCORED_VIEWS, [label_event("c", "PLAX")])


def test_read_annotation_costs(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    pyarrow.csv.write_csv(pa.table({"clip": ["a", "b"], "cost": [3, 4]}), path)
    assert read_annotation_costs(path, ["b", "a"]).tolist() == [4, 3]
    with pytest.raises(LabelError, match="1 clips of the stores have no cost"):
        read_annotation_costs(path, ["a", "c"])
    path.write_text("clip,cost\na,0\n")
    with pytest.raises(LabelError, match="a cost is not a number above 0"):
        read_annotation_costs(path, ["a"])
    path.write_text("clip,price\na,1\n")
    with pytest.raises(LabelError, match="Needed: Parquet or CSV"):
        read_annotation_costs(path, ["a"])
    with pytest.raises(MissingInputError, match="no file of costs here"):
        read_annotation_costs(tmp_path / "none.csv", ["a"])
