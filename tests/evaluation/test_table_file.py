"""Tables of predictions are read from CSV and Parquet within fixed sizes, or refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.evaluation import table_file
from heart2heart.evaluation.table_file import read_text_table
from tests.evaluation.factory import HOSPITALS, make_predictions


def test_read_text_table_reads_csv_and_parquet_alike(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfcase, site ,a\r\n1,E,0.25\r\n\r\n2,"F, G",1e-3\r\n')
    from_csv = read_text_table(tmp_path / "t.csv")
    assert (from_csv.header, from_csv.columns) == (("case", "site", "a"), (["1", "2"], ["E", "F, G"], ["0.25", "1e-3"]))
    assert list(from_csv.row_numbers) == [2, 4]
    table = pa.table({"case": [1, 2], "site": pa.array(["E", "F, G"]).dictionary_encode(), "a": [0.25, 1e-3]})
    pq.write_table(table, tmp_path / "t.parquet")
    from_parquet = read_text_table(tmp_path / "t.parquet")
    assert from_parquet.header == from_csv.header
    assert from_parquet.columns == (["1", "2"], ["E", "F, G"], ["0.25", "0.001"])
    assert list(from_parquet.row_numbers) == [1, 2]
    assert len(from_parquet) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"case\n", "no table of predictions"),
        ("t.csv", b"case;site\n1;E\n", "not separated by commas"),
        ("t.csv", b"case,site\n1\n", "row 2 has 1 cells, the header has 2"),
        ("t.csv", b'case,site\n"1,E\n', "cannot be read"),
        ("t.csv", b"case,site\n\xff,E\n", "not readable UTF-8"),
        ("t.parquet", b"PAR1 no", "damaged, or not Parquet"),
        ("t.parquet", b"", "damaged, or not Parquet"),
    ],
)
def test_read_text_table_refuses_what_is_no_table(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EvaluationError, match=message) as raised:
        read_text_table(tmp_path / name)
    assert raised.value.remedy


def test_read_text_table_names_the_template_where_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="--template"):
        read_text_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("limit", "number", "message"),
    [("MAX_ROWS", 2, "more than 2 rows"), ("MAX_COLUMNS", 2, "more than 2 columns"), ("MAX_BYTES", 20, "20 bytes")],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_read_text_table_bounds_its_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, limit: str, number: int, message: str
) -> None:
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        path.write_text("case,site,a\n" + "1,E,0.5\n" * 3)
    else:
        pq.write_table(pa.table({"case": ["1"] * 3, "site": ["E"] * 3, "a": [0.5] * 3}), path)
    monkeypatch.setattr(table_file, limit, number)
    with pytest.raises(EvaluationError, match=message):
        read_text_table(path)


def test_read_text_table_refuses_nested_columns_and_predictions_files(tmp_path: Path) -> None:
    pq.write_table(pa.table({"case": ["1"], "a": [[0.5, 0.5]]}), tmp_path / "t.parquet")
    with pytest.raises(EvaluationError, match=r"column 'a' holds list<.*>, neither texts nor numbers"):
        read_text_table(tmp_path / "t.parquet")
    make_predictions(hospitals=HOSPITALS[3:]).write(tmp_path / "predictions.parquet")
    with pytest.raises(EvaluationError, match="heart2heart report"):
        read_text_table(tmp_path / "predictions.parquet")
