"""Statistics of the weights that are shipped: those of the labeled frames under their augmentation, always the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.processes import run_processes
from heart2heart.testing.runs import check_resumes, same
from heart2heart.testing.tiny import TinyStore
from heart2heart.training import labeled_statistics
from heart2heart.training.augment.batched import normalise
from heart2heart.training.augment.drivers import augment
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import TrainData
from heart2heart.training.labeled_statistics import RECORD_PASSES
from heart2heart.training.loader import seeded_generator
from heart2heart.training.run import Run
from heart2heart.training.train import train
from tests.training.double_precision import train_in_double
from tests.training.test_train import BOTH, final, lines

CPU = torch.device("cpu")


@pytest.mark.parametrize("record", ["labeled", "clean"])
def test_record_ships_the_moments_of_every_labeled_frame(record: str, tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(**BOTH, batch_norm_record=record, average_last=0)
    run = train(config, tmp_path / "run")
    frames = FrameStores.open([tiny.store])
    data = TrainData.open(SplitManifest.load(tiny.split), frames, config)
    stream = seeded_generator(config.seed, "statistics", CPU)
    passes = [torch.randperm(len(data.train.rows), generator=stream) for _ in range(RECORD_PASSES)]
    pixels = torch.from_numpy(frames.read(data.train.rows[torch.cat(passes).numpy()]))
    generator = seeded_generator(config.seed, "statistics 0", CPU)
    # 144 frames: one batch.
    clean = normalise(pixels)[:, None]
    policy = config.augmentation.labeled
    assert policy is not None
    views = clean if record == "clean" else augment(policy, pixels, generator)
    with torch.no_grad():
        stem = run.network.get_submodule("stem")(views).double()  # what the first batch normalisation sees
    recorded = run.network.state_dict()
    torch.testing.assert_close(recorded["units.0.before.0.running_mean"].double(), stem.mean((0, 2, 3)))
    torch.testing.assert_close(recorded["units.0.before.0.running_var"].double(), stem.var((0, 2, 3)))


def test_record_leaves_the_training_itself_unchanged(tiny: TinyStore, tmp_path: Path) -> None:
    for record in ("running", "labeled"):
        train(tiny.config(**BOTH, batch_norm_record=record), tmp_path / record)
    running, labeled = (final(tmp_path / record) for record in ("running", "labeled"))
    assert all(same(running[part], labeled[part]) for part in ("network", "ema", "optimiser", "batches", "random"))
    shipped = [Run.load(tmp_path / record).network.state_dict() for record in ("running", "labeled")]
    assert not torch.equal(shipped[0]["last.0.running_var"], shipped[1]["last.0.running_var"])


def test_record_leaves_a_frozen_encoder_its_statistics(tiny: TinyStore, tmp_path: Path) -> None:
    first = train(tiny.config(batch_norm_record="running"), tmp_path / "first")
    network = first.config.network.model_copy(update={"init": str(first.path), "freeze": "encoder"})
    settings = {"network": network.model_dump(mode="json"), "seed": 1, "batch_norm_record": "clean"}
    run = train(tiny.config(**settings), tmp_path / "frozen")
    before, after = (trained.network.state_dict() for trained in (first, run))
    recorded = [name for name in before if "running" in name]
    assert recorded
    assert all(torch.equal(before[name], after[name]) for name in recorded)


def test_record_is_running_with_loaded_weights_and_clean_from_scratch(tiny: TinyStore, tmp_path: Path) -> None:
    shipped = {}
    for record in ("auto", "running", "clean"):
        run = train(tiny.config(batch_norm_record=record), tmp_path / record)
        network = run.config.network.model_copy(update={"init": str(run.path)}).model_dump(mode="json")
        loaded = train(tiny.config(batch_norm_record=record, network=network), tmp_path / f"loaded {record}")
        shipped[record] = [each.network.state_dict()["last.0.running_var"] for each in (run, loaded)]
    scratch, loaded_auto = shipped["auto"]
    assert torch.equal(scratch, shipped["clean"][0])
    assert not torch.equal(scratch, shipped["running"][0])
    assert not torch.equal(loaded_auto, shipped["clean"][1])


@pytest.mark.parametrize(
    "settings",
    [
        {"selection": "perturbed", "batch_norm_record": "labeled", "evaluate_every": 2},
        {"selection": "validation", "average_last": 3, "evaluate_every": 2, "checkpoint_every": 2},
        {"selection": "last", "batch_norm_record": "labeled"},
    ],
    ids=["perturbed", "average", "last"],
)
def test_record_and_selection_resume_to_the_same_bits(
    tiny: TinyStore, tmp_path: Path, settings: dict[str, object]
) -> None:
    check_resumes(tiny, tmp_path, **settings)
    whole, stopped = (lines(tmp_path / name) for name in ("whole", "stopped"))
    assert whole == stopped
    best = [torch.load(tmp_path / name / "checkpoints" / "best.pt") for name in ("whole", "stopped")]
    assert same(*best)


def test_record_draws_balanced_batches_as_training_does(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(batch={"labeled": 8, "unlabeled": 8, "balance": "site_and_view"}, batch_norm_record="labeled")
    assert train(config, tmp_path / "run").directory.record.finished


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labeled_statistics, "RECORD_BATCH", 40)


def train_with_small_batches(config: TrainConfig, out: Path) -> None:
    labeled_statistics.RECORD_BATCH = 40
    train_in_double(config, out)


@pytest.mark.usefixtures("small_batches")
def test_record_in_two_processes_ships_what_one_does(tiny: TinyStore, tmp_path: Path) -> None:
    config = tiny.config(steps=4, evaluate_every=1, batch_norm_record="labeled", selection="perturbed")
    train_in_double(config, tmp_path / "alone")
    assert run_processes(2, train_with_small_batches, config, tmp_path / "two", folder=tmp_path, patience=400) == [
        "",
        "",
    ]
    one, two = (torch.load(tmp_path / name / "checkpoints" / "best.pt") for name in ("alone", "two"))
    assert one["step"] == two["step"]
    for name, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], value, atol=1e-6, rtol=1e-6, msg=name)
    for of_one, of_two in zip(lines(tmp_path / "alone"), lines(tmp_path / "two"), strict=True):
        assert of_one == pytest.approx(of_two, abs=1e-6)
