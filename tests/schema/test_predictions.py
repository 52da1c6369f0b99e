"""predictions.parquet: round trip, joins, and refusal of what it is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heart2heart.errors import EvaluationError, MissingInputError
from heart2heart.schema.predictions import (
    DEMOGRAPHICS,
    PREDICTIONS,
    MethodFacts,
    Predictions,
    Provenance,
    RunInfo,
)
from heart2heart.schema.split import Check, SplitInfo


def make(
    run: str = "r1", classes: tuple[str, ...] = ("PLAX", "A4C"), width: int = 2, geometry: str = "g"
) -> Predictions:
    rows: list[dict[str, Any]] = [
        {
            "run": run, "site": "A", "patient": "p", "study": "s", "clip": "c", "frame": f"c:{index:04d}",
            "index": index,
            "mode": "b_mode", "quality": 0.5, "role": "test", "truth": "PLAX",
            "logits": [float(index + k) for k in range(width)], "image": b"png" if index == 0 else None,
        }
        for index in range(3)
    ]  # fmt: skip
    info = RunInfo(
        run=run, method="labels only", facts=MethodFacts(base="labels_only", title="labels only"),
        network="wrn", seed=0, config_sha256="0", config={}, parameters=1, steps=1,
        selected_step=1, selection="best", seconds=1.0, device="cpu", versions={}, history=({"step": 1.0},),
    )  # fmt: skip
    split = SplitInfo(
        name="s", sha256="1", certificate_sha256="2", source_sites=("A",), held_out_sites=(),
        checks=(Check(name="patient_disjoint", status="pass", detail="fine"),),
    )  # fmt: skip
    provenance = Provenance(
        code_version="0", created="2020-01-01T00:00:00Z", command="x", classes=classes, geometry=geometry, split=split,
        sites=(), runs=(info,),
    )  # fmt: skip
    return Predictions(pa.Table.from_pylist(rows, schema=PREDICTIONS), provenance)


def test_read_returns_what_was_written(tmp_path: Path) -> None:
    before = make()
    before.write(tmp_path / "p.parquet")
    after = Predictions.read(tmp_path / "p.parquet")
    assert after.table.select(PREDICTIONS.names).equals(before.table)
    assert all(after.table[name].null_count == 3 for name in DEMOGRAPHICS.names)  # not known is null, not left out
    assert after.provenance == before.provenance
    np.testing.assert_array_equal(after.logits, [[0, 1], [1, 2], [2, 3]])


def test_read_returns_sex_and_age(tmp_path: Path) -> None:
    before = make()
    table = before.table.append_column(DEMOGRAPHICS.field("sex"), pa.array(["F", None, "M"], pa.string()))
    table = table.append_column(DEMOGRAPHICS.field("age"), pa.array([61, 90, None], pa.int16()))
    Predictions(table, before.provenance).write(tmp_path / "p.parquet")
    after = Predictions.read(tmp_path / "p.parquet").table
    assert after["sex"].to_pylist() == ["F", None, "M"]
    assert after["age"].to_pylist() == [61, 90, None]


def test_concat_joins_runs_of_one_split() -> None:
    joined = Predictions.concat([make("r1"), make("r2")])
    assert [run.run for run in joined.provenance.runs] == ["r1", "r2"]
    assert len(joined.table) == 6


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make("r1"), "occurs twice"),
        (make("r2", classes=("A4C", "PLAX")), "different classes"),
        (make("r2", geometry="h"), "different geometry"),
    ],
)
def test_concat_refuses(other: Predictions, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Predictions.concat([make("r1"), other])


def test_read_names_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    with pytest.raises(MissingInputError, match="no predictions here"):
        Predictions.read(path)
    path.write_text("text")
    with pytest.raises(EvaluationError, match="cut short, damaged, or not Parquet"):
        Predictions.read(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(EvaluationError, match="no heart2heart predictions"):
        Predictions.read(path)
    for metadata, message in (('{"schema_version": 99}', "another schema version"), ("[]", "damaged")):
        pq.write_table(make().table.replace_schema_metadata({b"heart2heart": metadata}), path)
        with pytest.raises(EvaluationError, match=message):
            Predictions.read(path)
    make(width=3).write(path)
    with pytest.raises(EvaluationError, match=r"logits of width \[3\] for 2 classes"):
        Predictions.read(path)


def test_read_refuses_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    make().write(path)
    whole, raw = Predictions.read(path), path.read_bytes()
    for index in range(0, len(raw), max(1, len(raw) // 60)):
        path.write_bytes(raw[:index] + bytes([raw[index] ^ 0xFF]) + raw[index + 1 :])
        try:
            read = Predictions.read(path)
        except EvaluationError:
            continue
        assert read.table.equals(whole.table)
        assert read.provenance == whole.provenance
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(EvaluationError, match="cut short"):
        Predictions.read(path)


@pytest.mark.parametrize(
    ("method", "config", "expected"),
    [
        ("labels only", {"method": {"name": "labels_only"}, "fix_a_step": {"mixing": False, "gradient": "sum"}},
         MethodFacts(base="labels_only", title="labels only", unlabeled=False)),
        ("VAT + Fix-A-Step", {"method": {"name": "vat"}, "fix_a_step": {"mixing": True, "gradient": "fix_a_step"}},
         MethodFacts(base="vat", title="VAT", mixing=True, rule="fix_a_step")),
        ("UDA + gradient rule pcgrad", {"method": {"name": "uda"}, "fix_a_step": {"gradient": "pcgrad"}},
         MethodFacts(base="uda", title="UDA", rule="pcgrad")),
        ("Pi-model + Fix-A-Step", {},
         MethodFacts(base="pi-model", title="Pi-model", mixing=True, rule="fix_a_step")),
    ],
)  # fmt: skip
def test_read_derives_the_facts_of_version_1(
    method: str, config: dict[str, Any], expected: MethodFacts, tmp_path: Path
) -> None:
    predictions = make()
    content = json.loads(predictions.provenance.model_dump_json())
    content["schema_version"] = 1
    for run in content["runs"]:
        del run["facts"]
        run |= {"method": method, "config": config}
    path = tmp_path / "old.parquet"
    pq.write_table(predictions.table.replace_schema_metadata({b"heart2heart": json.dumps(content)}), path)
    provenance = Predictions.read(path).provenance
    assert provenance.runs[0].facts == expected
    assert provenance.runs[0].method == method
    assert provenance.schema_version == 2


def test_method_facts_name_what_was_added() -> None:
    both = MethodFacts(base="vat", title="VAT", mixing=True, rule="fix_a_step")
    assert both.addition == "Fix-A-Step"
    assert both.without_addition() == MethodFacts(base="vat", title="VAT")
    assert MethodFacts(base="vat", title="VAT", mixing=True, rule="pcgrad").addition == "mixing + gradient rule pcgrad"
    assert both.without_addition().addition is None
