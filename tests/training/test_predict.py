"""Prediction over a split, and the frames that a gallery may show."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from heart2heart.errors import RunError
from heart2heart.schema.predictions import Predictions, SiteInfo
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore
from heart2heart.training.predict import GALLERY_CORRECT, GALLERY_WRONG, gallery, predict_split
from heart2heart.training.run import Run
from heart2heart.training.train import train
from tests.training.tiny_study import FRAMES_A_CLIP, PARTS, World, make_world


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(world.config(steps=6), tmp_path_factory.mktemp("runs") / "r1")


def site(name: str) -> SiteInfo:
    return SiteInfo(
        site=name, held_out=name == "B", synthetic=True, files={}, patients=1, studies=1, clips=1, frames=1, roles={},
        labels={}, raters=(), makers=(), modes={}, date_from=None, date_to=None,
    )  # fmt: skip


def predicted(run: Run, world: World) -> Predictions:
    split, store = SplitManifest.load(world.split), FrameStore.open(world.store)
    return predict_split(run, store, split, (site("A"), site("B")), command="the command")


def test_every_labeled_validation_and_test_frame_is_predicted(run: Run, world: World, tmp_path: Path) -> None:
    predictions = predicted(run, world)
    predictions.write(tmp_path / "predictions.parquet")
    table = Predictions.read(tmp_path / "predictions.parquet").table
    tested = PARTS["test"] + 2
    scored = (PARTS["validation"] + tested) * 4 * FRAMES_A_CLIP
    assert len(table) == scored + tested  # one frame of each test patient has a view outside the classes
    assert set(table["role"].to_pylist()) == {"validation", "test"}
    assert table["truth"].to_pylist().count("SUBCOSTAL") == tested
    assert set(table["run"].to_pylist()) == {"r1"}
    store = FrameStore.open(world.store)
    row_of = dict(zip(store.frames["frame"].to_pylist(), store.frames["row"].to_pylist(), strict=True))
    rows = np.array([row_of[frame] for frame in table["frame"].to_pylist()])
    np.testing.assert_allclose(predictions.logits, run.predict(store.read(rows)), atol=1e-5)
    assert predictions.provenance.runs[0].selected_step == 6
    assert predictions.provenance.split.held_out_sites == ("B",)


def test_pictures_are_kept_for_a_few_test_frames_alone(run: Run, world: World) -> None:
    table = predicted(run, world).table
    shown = [row for row in table.to_pylist() if row["image"] is not None]
    assert shown
    assert len({row["clip"] for row in shown}) == len(shown)
    assert {row["role"] for row in shown} == {"test"}
    store = FrameStore.open(world.store)
    row_of = dict(zip(store.frames["frame"].to_pylist(), store.frames["row"].to_pylist(), strict=True))
    for row in shown:
        picture = np.asarray(Image.open(io.BytesIO(row["image"])))
        np.testing.assert_array_equal(picture, store.read(np.array([row_of[row["frame"]]]))[0])


def test_gallery_takes_the_most_confident_by_view_and_hospital() -> None:
    rng = np.random.default_rng(0)
    n = 600
    targets = rng.integers(-1, 4, n)
    logits = rng.normal(0, 1, (n, 4)).astype(np.float32)
    right = rng.random(n) < 0.5
    logits[right, targets[right]] += 8
    members = pa.table(
        {
            "frame": [f"f{place:03d}" for place in range(n)],
            "clip": [f"c{place // 3:03d}" for place in range(n)],
            "site": rng.choice(["A", "B"], n).tolist(),
            "role": rng.choice(["validation", "test"], n).tolist(),
        }
    )
    chosen = gallery(members, targets, logits)
    rows = [members.slice(place, 1).to_pylist()[0] for place in chosen]
    assert len({row["clip"] for row in rows}) == len(rows)
    assert all(row["role"] == "test" for row in rows)
    guess = logits.argmax(1)
    for name in ("A", "B"):
        mine = [place for place, row in zip(chosen, rows, strict=True) if row["site"] == name]
        for view in range(4):
            assert sum(guess[place] == targets[place] == view for place in mine) == GALLERY_CORRECT
        assert sum(guess[place] != targets[place] for place in mine) == GALLERY_WRONG
    assert (targets[chosen] >= 0).all()
    order = rng.permutation(n)
    shuffled = gallery(members.take(pa.array(order)), targets[order], logits[order])
    assert sorted(order[shuffled].tolist()) == chosen.tolist()


def test_logits_do_not_depend_on_the_batch(run: Run, world: World) -> None:
    pixels = FrameStore.open(world.store).read(np.arange(20))
    whole = run.predict(pixels)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(run.predict(pixels[7:9]), whole[7:9], atol=1e-5)
    assert run.predict(pixels[:0]).shape == (0, 4)
    assert not any(module.training for module in run.network.modules())
    assert torch.equal(next(Run.load(run.path).network.parameters()), next(run.network.parameters()))


def test_another_split_is_refused(run: Run, world: World, tmp_path: Path) -> None:
    other = make_world(tmp_path, parts={"train": 1, "validation": 1, "test": 1})
    with pytest.raises(RunError, match="another split"):
        predicted(run, other)
