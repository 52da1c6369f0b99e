"""Turns a checked table into predictions: numbers take the place of the names of patients, studies, clips and cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

import heart2heart
from heart2heart.evaluation.prediction_table import PredictionTable
from heart2heart.schema.enums import ClipMode, PredictionRole
from heart2heart.schema.prediction_table import SMALLEST_PROBABILITY
from heart2heart.schema.predictions import (
    DEMOGRAPHICS,
    PREDICTIONS,
    MethodFacts,
    Predictions,
    Provenance,
    RunInfo,
    SiteInfo,
)
from heart2heart.schema.split import SplitInfo

MAX_AGE = 90
"""Age, years, that stands for every higher one."""

NO_SPLIT = "training data not seen"
"""Name of the split of a model whose training split is not at hand."""


def table_predictions(
    table: PredictionTable,
    *,
    name: str,
    task: str,
    command: str,
    file_sha256: str,
    source_sites: Sequence[str] = (),
    split_name: str = NO_SPLIT,
    synthetic: bool = False,
) -> Predictions:
    """Return the predictions of a table without their certificate.

    Args:
        table: A table without faults.
        name: Name of the model, for readers.
        task: Noun of what the classes are.
        command: The command line, for the record.
        file_sha256: Hash of the file.
        source_sites: Hospitals that the model was trained at, as far as known.
        split_name: Name of its training split.
        synthetic: The cases are simulated.
    """
    numbers = {column: _numbered(table, column) for column in ("patient", "study", "clip", "case")}
    sums = table.probabilities.sum(1, keepdims=True)
    logits = np.log(np.maximum(table.probabilities / sums, SMALLEST_PROBABILITY)).astype(np.float32)
    rows = len(table)
    columns = {
        "run": pa.array([name] * rows, pa.string()),
        "site": pa.array(table.texts["site"], pa.string()),
        "patient": numbers["patient"],
        "study": numbers["study"],
        "clip": numbers["clip"],
        "frame": numbers["case"],
        "index": pa.array(_positions(numbers["clip"].to_pylist()), pa.int32()),
        "mode": pa.array([str(ClipMode.OTHER)] * rows, pa.string()),
        "maker": _optional(table, "maker"),
        "quality": pa.array(np.full(rows, np.nan), pa.float32()),
        "role": pa.array([str(PredictionRole.TEST)] * rows, pa.string()),
        "truth": pa.array(table.texts["truth"], pa.string()),
        "logits": pa.array(list(logits), pa.list_(pa.float32())),
        "image": pa.nulls(rows, pa.binary()),
        "sex": _optional(table, "sex"),
        "age": pa.array([min(int(age), MAX_AGE) if age else None for age in table.texts.get("age", [""] * rows)]),
    }
    schema = pa.schema([*PREDICTIONS, *DEMOGRAPHICS])
    arrays = [columns[field.name].cast(field.type) for field in schema]
    held_out = tuple(site for site in table.sites if site not in source_sites)
    provenance = Provenance(
        code_version=heart2heart.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        classes=table.classes,
        geometry="not reported",
        split=SplitInfo(
            name=split_name,
            sha256="",
            certificate_sha256="",
            source_sites=tuple(source_sites),
            held_out_sites=held_out,
            checks=(),
        ),
        sites=tuple(
            _site_info(site, table, columns, held_out=site in held_out, synthetic=synthetic) for site in table.sites
        ),
        runs=(_run_info(name, file_sha256),),
        task=task,
    )
    return Predictions(pa.table(arrays, schema=schema), provenance)


def table_rows(table: PredictionTable) -> pa.Table:
    """Return frame, clip, site, patient and study of each row by the table's own names, to compare with a split."""
    rows = len(table)
    unknown = pa.nulls(rows, pa.string())
    return pa.table(
        {
            "frame": pa.array(table.texts["case"], pa.string()),
            "clip": pa.array(table.texts["clip"], pa.string()) if "clip" in table.texts else unknown,
            "site": pa.array(table.texts["site"], pa.string()),
            "patient": pa.array(table.texts["patient"], pa.string()),
            "study": pa.array(table.texts["study"], pa.string()) if "study" in table.texts else unknown,
        }
    )


def _numbered(table: PredictionTable, column: str) -> pa.Array:
    """Return the names of a column as numbers, in the order of hospital and name."""
    fallback = {"clip": "case", "study": "patient"}.get(column, column)
    names = table.texts.get(column) or table.texts[fallback]
    pairs = list(zip(table.texts["site"], names, strict=True))
    number = {pair: index for index, pair in enumerate(sorted(set(pairs)), start=1)}
    return pa.array([f"{column}-{number[pair]:06d}" for pair in pairs], pa.string())


def _positions(groups: Sequence[str]) -> list[int]:
    """Return the position of each row among the rows of its group, from 0."""
    counts: Counter[str] = Counter()
    positions = []
    for group in groups:
        positions.append(counts[group])
        counts[group] += 1
    return positions


def _optional(table: PredictionTable, column: str) -> pa.Array:
    return pa.array([cell or None for cell in table.texts.get(column, [""] * len(table))], pa.string())


def _site_info(
    site: str, table: PredictionTable, columns: dict[str, pa.Array], *, held_out: bool, synthetic: bool
) -> SiteInfo:
    chosen = [index for index, name in enumerate(table.texts["site"]) if name == site]

    def distinct(column: str) -> int:
        return len({columns[column][index].as_py() for index in chosen})

    return SiteInfo(
        site=site,
        held_out=held_out,
        synthetic=synthetic,
        files={},
        patients=distinct("patient"),
        studies=distinct("study"),
        clips=distinct("clip"),
        frames=len(chosen),
        roles={PredictionRole.TEST: len(chosen)},
        labels=dict(sorted(Counter(table.texts["truth"][index] for index in chosen).items())),
        raters=(),
        makers=tuple(sorted({columns["maker"][index].as_py() for index in chosen} - {None})),
        modes={},
        date_from=None,
        date_to=None,
    )


def _run_info(name: str, file_sha256: str) -> RunInfo:
    return RunInfo(
        run=name,
        method=name,
        facts=MethodFacts(base="table", title=name, unlabeled=False),
        network="not reported",
        seed=0,
        config_sha256=file_sha256,
        config={},
        parameters=0,
        steps=0,
        selected_step=0,
        selection="not reported",
        seconds=0.0,
        device="not reported",
        versions={},
        history=(),
    )
