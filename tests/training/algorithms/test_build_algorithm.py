"""Every method can be trained by name from the command line, Fix-A-Step around it, and predicts the classes alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.testing.tiny import SIZE, TinyStore
from heart2heart.training.algorithms import ALGORITHMS
from heart2heart.training.run import Run


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_train_takes_the_name_of_each_algorithm_with_fix_a_step(tiny: TinyStore, tmp_path: Path, name: str) -> None:
    config, out = tmp_path / "config.yaml", tmp_path / "run"
    tiny.config(steps=5, evaluate_every=5, log_every=5, batch={"labeled": 4, "unlabeled": 4}).save(config)
    options = ["--store", str(tiny.store), "--split", str(tiny.split), "--out", str(out)]
    mixing = str(not ALGORITHMS[name].mixes_labeled).lower()
    overrides = [f"method.name={name}", "fix_a_step.gradient=fix_a_step", f"fix_a_step.mixing={mixing}"]
    done = CliRunner().invoke(app, ["train", str(config), *options, *overrides])
    assert done.exit_code == 0, done.output
    run = Run.load(out)
    assert run.info().method.startswith(ALGORITHMS[name].title)
    assert run.predict(np.zeros((2, SIZE, SIZE), np.uint8)).shape == (2, len(run.classes))
