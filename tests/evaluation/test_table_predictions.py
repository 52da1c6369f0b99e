"""A table becomes predictions with its probabilities and without its names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from heart2heart.evaluation.prediction_table import check_table
from heart2heart.evaluation.table_predictions import table_predictions, table_rows
from heart2heart.schema.predictions import Predictions

TEXT = """case,patient,site,truth,clip,study,sex,age,maker,a,b
z,DOEHRINGER,E,a,c1,s1,F,95,Maker One,0.75,0.25
y,DOEHRINGER,E,b,c1,s1,F,95,,0,1
x,ROEDERSTEIN,E,a,c2,s2,,,Maker One,0.6,0.4
z,DOEHRINGER,G,b,c1,s1,M,40,,0.505,0.505
"""


@pytest.fixture
def predictions(tmp_path: Path) -> Predictions:
    (tmp_path / "t.csv").write_text(TEXT)
    table = check_table(tmp_path / "t.csv")
    table.require_valid()
    return table_predictions(
        table, name="m", task="severity", command="c", file_sha256="f" * 64, source_sites=("G",), synthetic=True
    )


def test_table_predictions_keeps_the_probabilities(predictions: Predictions, tmp_path: Path) -> None:
    expected = [[0.75, 0.25], [1e-12, 1], [0.6, 0.4], [0.5, 0.5]]
    np.testing.assert_allclose(softmax(predictions.logits, axis=1), expected, rtol=1e-5)
    predictions.write(tmp_path / "p.parquet")
    assert Predictions.read(tmp_path / "p.parquet").provenance == predictions.provenance


def test_table_predictions_writes_numbers_for_names(predictions: Predictions, tmp_path: Path) -> None:
    rows = predictions.table.to_pylist()
    assert [row["patient"] for row in rows] == ["patient-000001", "patient-000001", "patient-000002", "patient-000003"]
    assert [row["clip"] for row in rows] == ["clip-000001", "clip-000001", "clip-000002", "clip-000003"]
    assert [row["index"] for row in rows] == [0, 1, 0, 0]
    assert len({row["frame"] for row in rows}) == 4
    predictions.write(tmp_path / "p.parquet")
    assert not any(name in (tmp_path / "p.parquet").read_bytes() for name in (b"DOEHRINGER", b"ROEDERSTEIN"))


def test_table_predictions_describes_the_hospitals(predictions: Predictions) -> None:
    e, g = predictions.provenance.sites
    assert (e.site, e.held_out, e.synthetic, e.patients, e.studies, e.clips, e.frames) == ("E", True, True, 2, 2, 2, 3)
    assert (e.labels, e.makers) == ({"a": 2, "b": 1}, ("Maker One",))
    assert not g.held_out
    assert predictions.provenance.split.held_out_sites == ("E",)
    assert predictions.table["age"].to_pylist() == [90, 90, None, 40]
    assert predictions.table["sex"].to_pylist() == ["F", "F", None, "M"]


def test_table_rows_keeps_the_names_to_compare_with_a_split(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("case,patient,site,truth,a,b\n1,p1,E,a,0.7,0.3\n")
    assert table_rows(check_table(tmp_path / "t.csv")).to_pylist() == [
        {"frame": "1", "clip": None, "site": "E", "patient": "p1", "study": None}
    ]
