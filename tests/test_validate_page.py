"""The page on validation: its Python lines run with a classifier of scikit-learn, and its tables are complete."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from heart2heart.schema.prediction_table import (
    MAX_CLASSES,
    MAX_ROWS,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SUM_TOLERANCE,
)
from heart2heart.schema.validation import VALIDATION_CHECKS

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "validate.md").read_text(encoding="utf-8")


def first_cells() -> list[str]:
    """Return the names in the first column of the page's tables."""
    cells = re.findall(r"^\| (`[^|]+`) \|", PAGE, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_pages_lines_validate_a_model_of_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in block.splitlines() if line]) == 6  # an import and five lines
    rng = np.random.default_rng(0)
    truth = np.repeat(["normal", "pneumonia"], 40)
    features = rng.normal(size=(80, 3)) + (truth == "pneumonia")[:, None]
    model = RandomForestClassifier(20, random_state=0).fit(features[::2], truth[::2])
    names = {"case": range(80), "patient": [f"p{index // 2}" for index in range(80)], "site": "Lyon", "truth": truth}
    monkeypatch.chdir(tmp_path)
    Path("page.py").write_text(block, encoding="utf-8")
    runpy.run_path("page.py", {"cases": pd.DataFrame(names), "features": features, "model": model})
    assert "Lyon (held out)  40        Random forest" in capsys.readouterr().out
    page = Path("report.html").read_text(encoding="utf-8")
    assert "Training data not seen" in page
    assert "Is the pneumonia classifier accurate at other hospitals?" in page
    visible = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(views?|frames?|echocardiograms?)\b", visible, re.IGNORECASE)


def test_the_page_names_every_column_check_and_limit() -> None:
    assert {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS} <= set(first_cells())
    assert set(VALIDATION_CHECKS) <= set(first_cells())
    assert f"{MAX_ROWS:,} rows, {MAX_CLASSES} classes and 512 MiB" in " ".join(PAGE.split())
    assert f"sum to 1 within {SUM_TOLERANCE}" in PAGE
