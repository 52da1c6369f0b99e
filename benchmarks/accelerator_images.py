"""The stage of `benchmarks.accelerator` that trains on CIFAR-10 in gray: six animals, a pool of four classes.

The task is `pipelines.mismatch_task`'s: 400 labels a class; the pool's other classes are 0 or 75 % of it. The last
averaged weights are tested, so that no label selects them, with the running statistics of training and with those
recorded on the labeled images as they are. Test images and pool are those of the set's own parts.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.training import NoiseStore
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.config import TrainConfig
from heart2heart.training.data import LabeledFrames, TrainData
from heart2heart.training.labeled_statistics import LabeledStatistics
from heart2heart.training.loader import TrainLoader
from heart2heart.training.model_access import fastest_kernels, place_network
from heart2heart.training.networks.build import build_network
from heart2heart.training.train_step import Trainer
from heart2heart.training.validation import balanced_accuracy, infer

if TYPE_CHECKING:
    from benchmarks.accelerator import Workload

ANIMALS = (2, 3, 4, 5, 6, 7)
POOLS = {0: (4, 5, 6, 7), 75: (0, 1, 8, 7)}
"""Per cent of mismatch -> classes of the pool (`pipelines.mismatch_task.IMAGE_TASKS`)."""
LABELS = 400
FIXMATCH: dict[str, Any] = {"method": {"name": "fixmatch"}}
WAYS: dict[str, dict[str, Any]] = {
    "fixmatch": FIXMATCH,
    "fixmatch + fix_a_step": FIXMATCH | {"fix_a_step": {"mixing": True, "gradient": "fix_a_step"}},
}


def pack_images(parquet: Path, out: Path) -> None:
    """Write the images of the task as gray differences of neighbours, which compress better than the images.

    Args:
        parquet: Columns split (train or test), label (0 to 9) and jpeg.
        out: A file for `read_images`.
    """
    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(parquet, columns=["split", "label", "jpeg"])
    label, tested = table["label"].to_numpy().astype(np.uint8), np.array(table["split"].to_pylist()) == "test"
    used = np.isin(label, ANIMALS) | (~tested & np.isin(label, [each for pool in POOLS.values() for each in pool]))
    files = table["jpeg"].filter(used).to_pylist()
    gray = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("L")) for file in files])
    differences = np.diff(gray, axis=2, prepend=gray[:, :, :1] * 0)
    np.savez_compressed(out, differences=differences, label=label[used], tested=tested[used])


def read_images(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return the images `(n, 32, 32)`, the class of each, and whether it is of the test part."""
    with np.load(path, allow_pickle=False) as content:
        images = np.cumsum(content["differences"], axis=2, dtype=np.uint8)
        return images, content["label"], content["tested"]


@dataclass(frozen=True)
class ImageRun:
    """One training on images.

    Attributes:
        way: A name of `WAYS`, or `labels only`.
        level: Per cent of mismatch of the pool; None where no pool is read.
        seed: Seed of the labels that are drawn, and of the run.
        steps: Optimiser steps.
        depth: Depth of the WideResNet.
        size: Labeled and unlabeled images a step.
        device: Where to train.
        images: What `pack_images` wrote.
    """

    way: str
    level: int | None
    seed: int
    steps: int
    depth: int
    size: tuple[int, int]
    device: str
    images: Path


def train_on_images(workload: Workload, device: str, images: Path, out: Path) -> Iterator[dict[str, Any]]:
    """Yield one line a run; several train at a time, and each line is also appended to `images.jsonl`."""
    if not images.is_file():
        yield {"stage": "images", "failed": f"no images at {images.name}: run --prepare first"}
        return
    size = (workload.labeled, workload.labeled * 4)
    settings: list[tuple[str, int | None]] = [("labels only", None), *((way, level) for level in POOLS for way in WAYS)]
    runs = [
        ImageRun(way, level, seed, workload.image_steps, workload.image_depth, size, device, images)
        for seed in range(workload.seeds)
        for way, level in settings
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workload.processes, mp_context=context) as processes:
        for done in as_completed([processes.submit(train_and_test, each) for each in runs]):
            line = done.result()
            with (out / "images.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            yield line


def train_and_test(run: ImageRun) -> dict[str, Any]:
    """Train one run and test its last averaged weights."""
    from benchmarks.accelerator_stages import stand_in_for_monai

    stand_in_for_monai()
    torch.set_num_threads(1)
    started, device = time.monotonic(), torch.device(run.device)
    pixels, label, tested = read_images(run.images)
    config = run_config(run)
    data = draw_data(run, pixels, label, tested)
    torch.manual_seed(run.seed)
    options: dict[str, Any] = {"depth": run.depth, "widen": 2, "norm_momentum": 0.01}
    network = place_network(build_network("WideResNet", classes=len(ANIMALS), size=pixels.shape[1], **options), device)
    trainer = Trainer(
        network,
        config,
        classes=len(ANIMALS),
        pool_size=len(data.unlabeled),
        weights=None,
        generator=torch.Generator(device).manual_seed(run.seed),
    )
    loader = TrainLoader(config, data, trainer, device)
    sums: dict[str, torch.Tensor] = {}
    with fastest_kernels(device):
        for step in range(run.steps):
            for name, value in trainer.step(loader.next(step), step).items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value
    line: dict[str, Any] = {"stage": "images", "way": run.way, "mismatch": run.level, "seed": run.seed}
    line["steps"] = run.steps
    line["running_statistics"] = test_accuracy(trainer, data, device)
    LabeledStatistics(data, config, loader.labeled).record(trainer.ema.network)
    line["balanced_accuracy"] = test_accuracy(trainer, data, device)
    line |= {name: float(sums[name]) / run.steps for name in ("conflict_rate", "pseudo_label_rate") if name in sums}
    return line | {"seconds": round(time.monotonic() - started, 1)}


def test_accuracy(trainer: Trainer, data: TrainData, device: torch.device) -> float:
    """Return the balanced accuracy of the averaged weights on the test images."""
    pixels = np.array_split(data.frames.read(data.validation.rows), max(1, len(data.validation.rows) // 1000))
    logits = torch.cat([infer(trainer.ema_model, torch.from_numpy(part).to(device)) for part in pixels])
    return balanced_accuracy(logits.cpu(), torch.from_numpy(data.validation.targets))


def run_config(run: ImageRun) -> TrainConfig:
    """Return the configuration: the CIFAR settings of Fix-A-Step, with averages of a run of thousands of steps."""
    content: dict[str, Any] = {
        "data": {"stores": ["none"], "split": "none"},
        "optimiser": {"name": "sgd", "lr": 0.03, "weight_decay": 5e-4},
        "batch": {"labeled": run.size[0], "unlabeled": run.size[1]},
        "loss": {"class_weights": False},
        "batch_norm_record": "clean",
        "ema": 0.999 if run.steps >= 2000 else 0.9,
        "steps": run.steps,
        "seed": run.seed,
        "device": run.device,
    }
    return TrainConfig.parse(content | WAYS.get(run.way, {}), where=run.way)


def draw_data(
    run: ImageRun, pixels: npt.NDArray[np.uint8], label: npt.NDArray[np.uint8], tested: npt.NDArray[np.bool_]
) -> TrainData:
    """Draw the labeled images by the seed; the same ones at all levels. `validation` holds the test images."""
    rng = np.random.default_rng(run.seed)
    labeled: list[int] = []
    pool: list[int] = []
    for each in range(10):
        members = rng.permutation(np.flatnonzero(~tested & (label == each)))
        count = LABELS if each in ANIMALS else 0
        labeled += members[:count].tolist()
        pool += members[count:].tolist() if run.level is not None and each in POOLS[run.level] else []
    targets = {each: index for index, each in enumerate(ANIMALS)}
    train, test = np.array(labeled, np.int64), np.flatnonzero(tested)
    classes = tuple(map(str, ANIMALS))
    split = SplitManifest(Path("none"), "cifar10", classes, run.seed, (), (), {}, "", SPLIT_MEMBERS.empty_table(), "")
    known, judged = (
        LabeledFrames(rows, np.array([targets[each] for each in label[rows].tolist()], np.int64))
        for rows in (train, test)
    )
    return TrainData(NoiseStore(pixels), split, known, judged, np.array(pool, np.int64))
