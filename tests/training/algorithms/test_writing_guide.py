"""The method that the researcher's guide walks through: the very block of the page is loaded and trained."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import torch

from heart2heart.testing.tiny import TinyStore
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.algorithms.base import Algorithm
from heart2heart.training.gradient_rules import GRADIENT_RULES
from heart2heart.training.train import train

GUIDE = Path(__file__).parents[3] / "docs" / "guide-researcher.md"


def load_block(folder: Path) -> type[Algorithm]:
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    path = folder / "entropy.py"
    path.write_text(block, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("entropy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entropy: type[Algorithm] = module.Entropy
    return entropy


def test_train_takes_the_method_of_the_guide_with_all_its_options(tmp_path: Path, tiny: TinyStore) -> None:
    around = {"mixing": True, "gradient": "per_frame"}
    with ALGORITHMS.registered("entropy", load_block(tmp_path)):
        run = train(tiny.config(method={"name": "entropy"}, fix_a_step=around), tmp_path / "run")
    lines = [line for line in run.directory.metrics.read() if "entropy" in line]
    assert lines
    assert all(0 <= line["entropy"] <= float(torch.tensor(4.0).log()) + 1e-6 for line in lines)
    assert all("conflict_rate" in line for line in lines)


def test_algorithms_and_gradient_rules_are_all_named_in_the_guide() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for name in (*ALGORITHMS, *GRADIENT_RULES):
        assert f"`{name}`" in text
