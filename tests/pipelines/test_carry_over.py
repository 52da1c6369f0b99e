"""The carry-over study: its ways, its scores and tables, and a miniature study that is continued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.tiny import tiny_store
from pipelines.carry_over import CarryOverRun, CarryOverTask, hospital_task, main, mean_auroc, site_scores
from pipelines.carry_over_table import side_by_side, tables
from pipelines.carry_over_ways import BUDGETS, GROUPS, WAYS, WEIGHTS, parse_weights, resolve_ways, with_weights

WEIGHT_FILES = tuple((name, Path(f"{name}.npz")) for name in WEIGHTS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("budget", BUDGETS)
def test_ways_are_valid_configurations_and_differ(way: str, budget: str) -> None:
    task = CarryOverTask("t", budget, (Path("store"),), Path("split"))

    def job(name: str) -> CarryOverRun:
        return CarryOverRun(task, name, 3, ("steps=7",), Path("run"), WEIGHT_FILES)

    assert (job(way).config().seed, job(way).config().steps) == (3, 7)
    others = {job(other).key()["config_sha256"] for other in WAYS if other != way}
    assert job(way).key()["config_sha256"] not in others


def test_with_weights_needs_a_file_for_each_placeholder(tmp_path: Path) -> None:
    file = tmp_path / "sono net.npz"
    with pytest.raises(ConfigError, match="SONONET"):
        with_weights(WAYS["ultrasound"], {})
    with pytest.raises(ConfigError, match="no file"):
        parse_weights([f"SONONET={file}"])
    with pytest.raises(ConfigError, match="WEIGHTS"):
        parse_weights([f"WEIGHTS={file}"])
    file.write_bytes(b"")
    task = CarryOverTask("t", "lung", (Path("store"),), Path("split"))
    weights = tuple(parse_weights([f"SONONET={file}"]).items())
    config = CarryOverRun(task, "ultrasound", 0, (), Path("run"), weights).config()
    assert config.network.init == str(file)


def test_mean_auroc_is_that_of_scikit_learn_and_leaves_absent_classes_out() -> None:
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(60, 3)).astype(np.float32), rng.integers(0, 3, 60)
    reference = roc_auc_score(targets, softmax(logits.astype(np.float64), axis=1), multi_class="ovr", average="macro")
    assert mean_auroc(logits, targets) == pytest.approx(reference)
    two = targets < 2
    areas = [roc_auc_score(targets[two] == name, softmax(logits[two], axis=1)[:, name]) for name in (0, 1)]
    assert mean_auroc(logits[two], targets[two]) == pytest.approx(np.mean(areas))
    assert np.isnan(mean_auroc(logits[:3], np.ones(3, np.int64)))


def test_resolve_ways_takes_ways_and_groups_once() -> None:
    assert resolve_ways([]) == list(WAYS)
    assert resolve_ways(["acoustic", "augmentation"]) == [
        "acoustic", *(way for way in GROUPS["augmentation"] if way != "acoustic")
    ]  # fmt: skip
    with pytest.raises(UnknownNameError, match="acoustics"):
        resolve_ways(["acoustics"])


class Guess:
    """Stands for a run: draws the logits of frames."""

    def __init__(self) -> None:
        self.logits = np.zeros((0, 4), np.float32)

    def predict(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.logits = np.random.default_rng(0).normal(size=(len(pixels), 4)).astype(np.float32)
        return self.logits


def test_site_scores_agree_with_scikit_learn(tmp_path: Path) -> None:
    tiny = tiny_store(tmp_path)
    split, stores, run = SplitManifest.load(tiny.split), FrameStores.open([tiny.store]), Guess()
    scores = site_scores(run, split, stores)
    members = split.select(stores, "test").members.to_pylist()
    assert set(scores) == {row["site"] for row in members}
    for site, score in scores.items():
        here = [index for index, row in enumerate(members) if row["site"] == site and row["view"] in split.classes]
        truth = [split.classes.index(members[index]["view"]) for index in here]
        assert score["frames"] == pytest.approx(balanced_accuracy_score(truth, run.logits[here].argmax(1)))
        clips = {members[index]["clip"]: target for index, target in zip(here, truth, strict=True)}
        votes = [
            softmax(run.logits[[index for index in here if members[index]["clip"] == clip]], axis=1) for clip in clips
        ]
        predicted = [int(np.log(vote).mean(0).argmax()) for vote in votes]
        assert score["clips"] == pytest.approx(balanced_accuracy_score(list(clips.values()), predicted))


def test_tables_show_mean_deviation_and_paired_difference() -> None:
    scores = {"weak": [(0.5, 0.7), (0.6, 0.6)], "acoustic": [(0.8, 0.9), (0.9, 0.9)]}
    lines = [
        {"task": "t", "way": way, "seed": seed,
         "sites": {"B": {"frames": b, "clips": b}, "C": {"frames": c, "clips": c}}}
        for way, pairs in scores.items() for seed, (b, c) in enumerate(pairs)
    ]  # fmt: skip
    rows = [line for line in tables(lines, list(scores)).splitlines() if line.startswith("| acoustic")]
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    # Seeds: 85 and 90 against 60 and 60, so differences of 25 and 30.
    assert cells[:5] == ["acoustic", "2", "85.0 ± 7.1", "90.0 ± 0.0", "87.5 ± 3.5"]
    assert cells[5].startswith("27.5 (-4.3 to 59.3)")
    diverged = [*lines, {"task": "t", "way": "weak", "seed": 2, "sites": {}}]
    assert tables(diverged, list(scores)) == tables(lines, list(scores))


def test_side_by_side_leaves_the_source_out_and_pairs_by_seed() -> None:
    def line(task: str, way: str, seed: int, **sites: float) -> dict[str, Any]:
        scores = {site: {"frames": value, "clips": value} for site, value in sites.items()}
        return {"task": task, "way": way, "seed": seed, "sites": scores}

    lines = [
        line("real", "weak", 0, avi=0.5), line("real", "scan", 0, avi=0.7), line("real", "scan", 1, avi=0.9),
        line("synthetic", "weak", 0, A=1.0, B=0.6, C=0.8), line("synthetic", "scan", 0, A=0.0, B=0.7, C=0.8),
    ]  # fmt: skip
    assert side_by_side(lines, ["weak", "scan", "grey"]).splitlines()[2:] == [
        "| weak | 50.0, n = 1 |  | 70.0, n = 1 |  |",
        "| scan | 80.0 ± 14.1, n = 2 | 20.0 | 75.0, n = 1 | 5.0 |",
    ]


def test_hospital_task_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="heart2heart demo"):
        hospital_task(tmp_path)


def test_main_continues_a_stopped_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = tiny_store(tmp_path / "tiny")
    demo, out = tmp_path / "demo", tmp_path / "out"
    shutil.copytree(tiny.store, demo / "stores" / "one")
    shutil.copytree(tiny.split, demo / "split")

    def study(seeds: int) -> None:
        main(None, demo, out, ["weak"], None, seeds, 112, ["steps=2", "batch.labeled=4"], 1)

    study(1)
    first = (out / "results.jsonl").read_text()
    study(2)
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert (out / "results.jsonl").read_text().startswith(first)
    assert [line["seed"] for line in lines] == [0, 1]
    assert all(0 <= score["frames"] <= 1 for line in lines for score in line["sites"].values())
    assert "| weak | 2 |" in capsys.readouterr().out
