"""The benchmark for an accelerator, rehearsed in miniature on the CPU: every stage, and the command around them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from benchmarks import accelerator, accelerator_images, accelerator_stages
from benchmarks.accelerator import LIMITS, MINIATURE, SHOWS, plan, run_stage, run_stages, stage_lines, tables
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.networks.build import build_network

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed set of 2 test and 402 training pictures of each of the classes 0 to 8."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    rows = []
    for split, count in (("test", 2), ("train", 402)):
        for label in range(9):
            for _ in range(count):
                picture = io.BytesIO()
                level = rng.integers(0, 20, (8, 8, 3), np.uint8) + np.uint8(20 * label)
                Image.fromarray(level).resize((32, 32)).save(picture, "JPEG")
                rows.append({"split": split, "label": label, "jpeg": picture.getvalue()})
    pq.write_table(pa.Table.from_pylist(rows), folder / "set.parquet")
    accelerator_images.pack_images(folder / "set.parquet", folder / "set.npz")
    return folder / "set.npz"


@pytest.mark.parametrize("stage", [name for name in LIMITS if name not in ("compile", "images", "waits")])
def test_run_stage_rehearses(stage: str, tmp_path: Path) -> None:
    lines = list(run_stage(stage, MINIATURE, "cpu", tmp_path / "none.npz", tmp_path))
    assert lines
    assert {line["stage"] for line in lines} == {stage}
    assert json.loads(json.dumps(lines)) is not None
    numbers = [value for line in lines for value in line.values() if isinstance(value, float)]
    assert numbers


def test_run_stage_correctness_holds_on_the_cpu(tmp_path: Path) -> None:
    by_precision = {line["precision"]: line for line in run_stage("correctness", MINIATURE, "cpu", tmp_path, tmp_path)}
    assert by_precision["float32"]["relative_error"] < 1e-4
    assert by_precision["float32"]["relative_error"] < by_precision["bfloat16"]["relative_error"]
    assert all(line["ok"] for line in by_precision.values())


def test_check_correctness_notices_a_wrong_step(monkeypatch: pytest.MonkeyPatch) -> None:
    right = accelerator_stages.weight_change

    def wrong(workload: Any, device: str, precision: str, dtype: torch.dtype) -> torch.Tensor:
        change = right(workload, device, precision, dtype)
        return change if dtype == torch.float64 else 1.3 * change

    monkeypatch.setattr(accelerator_stages, "weight_change", wrong)
    assert not any(line["ok"] for line in accelerator_stages.check_correctness(MINIATURE, "cpu"))


def test_time_compiled_tells_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    ways = [line["way"] for line in accelerator_stages.time_compiled(MINIATURE, "cpu")]
    assert ways == ["as it is: first two steps", "compiled: first two steps", "as it is", "compiled"]


def test_count_waits_of_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator_stages, "ALGORITHMS", {"fixmatch": ALGORITHMS["fixmatch"]})
    monkeypatch.setattr(accelerator_stages, "GRADIENT_RULES", {"sum": None, "fix_a_step": None})
    lines = list(accelerator_stages.count_waits(MINIATURE, "cpu"))
    assert [(line["rule"], line["waits"]) for line in lines] == [("fix_a_step", 0), ("sum", 0)]


def test_pack_images_keeps_every_grey_level(images: Path) -> None:
    pixels, label, tested = accelerator_images.read_images(images)
    assert pixels.shape == (len(label), 32, 32)
    assert set(label[tested].tolist()) == set(accelerator_images.ANIMALS)
    assert set(label[~tested].tolist()) == set(range(9))
    means = [float(pixels[label == each].mean()) for each in range(9)]
    assert means == pytest.approx([20 * each + 9.5 for each in range(9)], abs=3)


def test_draw_data_shares_labels_between_levels(images: Path) -> None:
    content = accelerator_images.read_images(images)
    data = {}
    for level in (None, 0, 75):
        run = accelerator_images.ImageRun("fixmatch", level, 1, 3, 10, (4, 8), "cpu", images)
        data[level] = accelerator_images.draw_data(run, *content)
    label, tested = content[1:]
    assert np.array_equal(data[0].train.rows, data[75].train.rows)
    assert not len(data[None].unlabeled)
    assert set(label[data[75].unlabeled].tolist()) == set(accelerator_images.POOLS[75])
    assert not set(data[0].train.rows) & set(data[0].unlabeled)
    assert tested[data[0].validation.rows].all()
    assert not tested[data[75].unlabeled].any()
    assert not tested[data[75].train.rows].any()


def test_train_and_test_tells_both_statistics(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator_images, "LABELS", 10)
    run = accelerator_images.ImageRun("fixmatch + fix_a_step", 0, 0, 6, 10, (12, 12), "cpu", images)
    line = accelerator_images.train_and_test(run)
    for name in ("balanced_accuracy", "running_statistics"):  # two test images a class
        assert line[name] * 12 == pytest.approx(round(line[name] * 12))
    assert line["conflict_rate"] * run.steps == pytest.approx(round(line["conflict_rate"] * run.steps))


def test_train_on_images_says_what_is_missing(tmp_path: Path) -> None:
    (line,) = accelerator_images.train_on_images(MINIATURE, "cpu", tmp_path / "none.npz", tmp_path)
    assert "--prepare" in line["failed"]


def test_run_stages_goes_on_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "graph", 280.0)  # a busy machine is slow
    arguments = Namespace(out=tmp_path, minutes=10.0, device="cpu", images=tmp_path / "none.npz", miniature=True)
    lines = run_stages(["images", "graph"], arguments)
    assert [line["stage"] for line in lines if "failed" in line] == ["images"]
    assert any(line.get("way") == "launched" for line in lines)
    written = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert written == lines
    assert "## graph" in tables(lines)


def test_run_stages_stops_at_the_time(tmp_path: Path) -> None:
    arguments = Namespace(out=tmp_path, minutes=0.0, device="cpu", images=tmp_path, miniature=True)
    lines = run_stages(["step"], arguments)
    assert lines[-1] == {"stage": "step", "failed": "no time was left"}


def test_stage_lines_come_while_the_stage_runs_and_end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage starts a child that holds its output open, prints a line, and hangs."""
    code = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("trouble", file=sys.stderr, flush=True)
print("a remark", flush=True)
print('{"stage": "step", "ms": 1.5}', flush=True)
time.sleep(600)
"""
    timer = MagicMock()
    monkeypatch.setattr("threading.Timer", timer)
    lines = stage_lines("step", [sys.executable, "-c", code], 3.0)
    assert next(lines) == {"stage": "step", "ms": 1.5}
    limit, at_its_end = timer.call_args.args
    assert limit == 3.0
    at_its_end()
    assert list(lines) == [{"stage": "step", "failed": "stopped after 3 s", "error": "trouble\n"}]


def test_stage_lines_tell_how_a_stage_failed() -> None:
    code = "print('{}'); raise SystemExit('no device')"
    lines = list(stage_lines("step", [sys.executable, "-c", code], 60.0))
    assert lines == [{}, {"stage": "step", "failed": "exit 1", "error": "no device\n"}]


def test_plan_names_every_stage_and_its_limit() -> None:
    assert SHOWS.keys() == LIMITS.keys()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in plan(list(LIMITS), 9.0).splitlines()[2:]]
    assert [row[0] for row in rows] == list(LIMITS)
    assert rows[0][2:] == ["45", "0"]
    assert rows[1][3] == "45"
    assert rows[-1][2:] == ["what the others leave", ""]  # the images; alone they have all of it
    assert plan(["images"], 9.0).splitlines()[-1].endswith("| 540 | 0 |")
    assert "what the others leave" in plan(["step", "loop"], 1.5).splitlines()[-1]


def test_prepare_tells_the_size_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pack(parquet: Path, out: Path) -> None:
        out.write_bytes(parquet.read_bytes())

    monkeypatch.setattr(accelerator_images, "pack_images", pack)
    (tmp_path / "set.parquet").write_bytes(bytes(3 * 2**19))
    accelerator.prepare(tmp_path / "set.parquet", tmp_path / "set.npz")
    assert capsys.readouterr().out == "set.npz: 1.5 MiB of 64; it can be sent along\n"
    monkeypatch.setattr(accelerator, "SENDABLE", 2**20)
    accelerator.prepare(tmp_path / "set.parquet", tmp_path / "set.npz")
    assert "too large" in capsys.readouterr().out


def test_stand_in_for_monai_builds_the_same_network() -> None:
    code = """
import sys, importlib.abc, json
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "monai" and name not in sys.modules:
            raise ModuleNotFoundError(name, name="monai")
from benchmarks import accelerator_stages as stages
stages.find_spec = lambda name: None
stages.stand_in_for_monai()
sys.meta_path.insert(0, Absent())
import torch
from heart2heart.training.networks.build import build_network
for variant in ("canonical", "paper"):
    torch.manual_seed(0)
    network = build_network("WideResNet", classes=4, size=16, variant=variant, depth=10, widen=1).eval()
    answer = network(torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16))
    print(json.dumps([variant, list(network.state_dict()), answer.tolist()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    for line in done.stdout.splitlines()[-2:]:
        variant, names, logits = json.loads(line)
        torch.manual_seed(0)
        network = build_network("WideResNet", classes=4, size=16, variant=variant, depth=10, widen=1).eval()
        assert names == list(network.state_dict())
        answer = network(torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16))
        assert torch.allclose(torch.tensor(logits), answer, atol=1e-5)


def test_workload_is_the_papers() -> None:
    workload = accelerator.Workload()
    assert (workload.labeled, workload.unlabeled, workload.size, workload.pool) == (64, 320, 112, 353_500)
    assert sum(limit for stage, limit in LIMITS.items() if stage != "images") <= 600
