"""The page on own algorithms: its loop runs with a loss alone."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import torch

from heart2heart.testing import __all__ as checks

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "own-algorithm.md"


def test_the_pages_loop_trains_with_a_loss_alone(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "loop.py"
    script.write_text(block, encoding="utf-8")
    with torch.random.fork_rng():
        names = runpy.run_path(str(script))
    loss = names["unlabeled_loss"]
    assert isinstance(loss, torch.Tensor)
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert float(loss.detach()) > 0


def test_the_page_names_every_check() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in checks if name.startswith("check_"))
