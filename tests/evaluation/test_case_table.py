"""Tables of predictions whose labels may be missing, and the CSV of `heart2heart predict`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heart2heart.errors import EvaluationError
from heart2heart.evaluation.case_table import read_case_table
from heart2heart.evaluation.cases import OUTSIDE, UNLABELED

TABLE = """case,clip,patient,site,truth,A4C,PLAX
1,c1,p1,E,A4C,0.9,0.1
2,c1,p1,E,A4C,0.5,0.5
3,c2,p1,E,,0.2,0.8
4,c3,p2,E,A2C,0.3,0.7
5,c4,p2,E,A4C,0.3,0.7
6,c4,p2,E,PLAX,0.3,0.7
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_read_case_table_joins_the_rows_of_a_clip(tmp_path: Path) -> None:
    cases = read_case_table(_write(tmp_path, TABLE))
    assert cases.case.tolist() == ["c1", "c2", "c3"]
    assert cases.truth.tolist() == [0, UNLABELED, OUTSIDE]
    assert (cases.mixed, cases.patients_known, cases.patient.tolist()) == (1, True, [0, 0, 1])
    joined = np.sqrt([0.9 * 0.5, 0.1 * 0.5])
    assert np.exp(cases.log_p[0, 0]) == pytest.approx(joined / joined.sum())


def test_read_case_table_reads_the_csv_of_predict(tmp_path: Path) -> None:
    text = "file,frame,view,A4C,PLAX\na.dcm,,A4C,0.9,0.1\na.dcm,0,A4C,1.0,0.0\nb.dcm,,PLAX,0.2,0.8\n"
    cases = read_case_table(_write(tmp_path, text), site="E")
    assert (len(cases), cases.sites, cases.patients_known) == (2, ["E"], False)
    with_patient = "patient,file,frame,view,A4C,PLAX\np,a.dcm,,A4C,0.9,0.1\np,b.dcm,,PLAX,0.2,0.8\n"
    cases = read_case_table(_write(tmp_path, with_patient), site="E")
    assert (cases.patients_known, cases.patient.tolist()) == (True, [0, 0])


def test_read_case_table_keeps_the_hospitals_of_the_table(tmp_path: Path) -> None:
    assert read_case_table(_write(tmp_path, TABLE), site="F").sites == ["E"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",site,", ",place,", "the column site is missing"),
        ("case,clip", "number,clip", "the column case is missing"),
        ("0.2,0.8", "0.2,0.3", "do not sum to 1"),
        ("0.2,0.8", "nan,0.8", "do not sum to 1"),
        ("0.2,0.8", "-0.2,1.2", "do not sum to 1"),
        ("0.2,0.8", "low,0.8", "no number"),
        ("3,c2,p1", "3,c2,", "empty or no name"),
        ("3,c2", "1,c2", "an earlier row"),
        (",A4C,PLAX", ",PLAX,PLAX", "two columns have the same name"),
        (",A4C,PLAX", ",A4C,age", "1 columns of probabilities"),
    ],
)
def test_read_case_table_refuses_faults(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        read_case_table(_write(tmp_path, TABLE.replace(old, new, 1)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(alphabet='abc,\n"0.15 é;\x00', max_size=80))
def test_read_case_table_ends_with_an_error_of_its_own(tmp_path: Path, text: str) -> None:
    with pytest.raises(EvaluationError):
        read_case_table(_write(tmp_path, text))
