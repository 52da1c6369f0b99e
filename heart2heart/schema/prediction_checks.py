"""Checks of predictions by their rows alone: a validation certificate holds the results, a reader repeats them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.enums import CheckStatus, PredictionRole
from heart2heart.schema.predictions import PREDICTIONS, STRESS, Predictions
from heart2heart.schema.split import Check
from heart2heart.schema.validation import ROW_CHECKS

MIN_PATIENTS = 30
"""Number of patients of a hospital below which its intervals are wide."""

ONE_HOT_MARGIN = 27.0
"""Difference of two logits, nats, from which a probability counts as exactly 0 or 1 (1e-12 is 27.6 nats)."""


def rows_sha256(predictions: Predictions) -> str:
    """Return the hash of all rows in their order, without pictures and demographics.

    It does not depend on the compression or chunking of the file.
    """
    sha = hashlib.sha256("\x1f".join(predictions.provenance.classes).encode())
    for name in PREDICTIONS.names:
        if name == "image":
            continue
        sha.update(f"\x1e{name}\x1e".encode())
        if name == "logits":
            sha.update(predictions.logits.tobytes())
            continue
        texts = predictions.table[name].cast(pa.string()).cast(pa.large_string()).combine_chunks()
        lengths = pc.fill_null(pc.binary_length(texts), -1).to_numpy(zero_copy_only=False)
        sha.update(lengths.astype(np.int64).tobytes())
        filled = pc.fill_null(texts, "")
        _, offsets, characters = filled.buffers()
        if characters is not None and len(filled):
            ends = np.frombuffer(offsets, np.int64)[[filled.offset, filled.offset + len(filled)]]
            sha.update(memoryview(characters)[ends[0] : ends[1]])
    return sha.hexdigest()


def row_checks(predictions: Predictions, sites: Sequence[str]) -> tuple[Check, ...]:
    """Check the rows of the validated hospitals.

    Args:
        predictions: Predictions of one model.
        sites: The validated hospitals.

    Returns:
        The checks of `ROW_CHECKS`, in order.
    """
    table = predictions.table
    chosen = pc.and_(
        pc.equal(table["role"], PredictionRole.TEST), pc.is_in(table["site"], pa.array(sites, pa.string()))
    )
    classes = predictions.provenance.classes
    scored = pc.and_(chosen, pc.is_in(table["truth"], pa.array(classes, pa.string())))
    kept = scored.to_numpy(zero_copy_only=False).astype(bool)
    rows = table.filter(pa.array(kept))
    checks = (
        _cases_unique(table),
        _truth_independent(rows["truth"], predictions.logits[kept], classes),
        _classes_present(rows, sites, classes),
        _test_patients(rows, sites),
    )
    assert tuple(check.name for check in checks) == ROW_CHECKS
    return checks


def _cases_unique(table: pa.Table) -> Check:
    keys = [name for name in ("run", "role", "frame", *STRESS.names) if name in table.column_names]
    counts = table.group_by(keys).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if len(twice):
        detail = f"{len(twice)} cases have more than one row, e.g. {twice['frame'][0].as_py()}"
        return Check(name="cases_unique", status=CheckStatus.FAIL, detail=detail)
    return Check(name="cases_unique", status=CheckStatus.PASS, detail=f"{len(table)} rows, each of another case")


def _truth_independent(truth: pa.ChunkedArray, logits: npt.NDArray[np.float64], classes: Sequence[str]) -> Check:
    """Fail where every probability is 0 or 1 and equals the truth: then the truth was copied into the predictions."""
    name = "truth_independent"
    targets = pc.index_in(truth, pa.array(classes, pa.string())).to_numpy(zero_copy_only=False).astype(np.int64)
    ranked = np.sort(logits, axis=1)
    certain = ranked[:, -1] - ranked[:, -2] > ONE_HOT_MARGIN
    if len(targets) and bool((certain & (logits.argmax(1) == targets)).all()):
        detail = (
            "every probability is exactly 0 or 1 and equals the truth: the truth was copied into the predictions, or "
            "they are decisions and not probabilities"
        )
        return Check(name=name, status=CheckStatus.FAIL, detail=detail)
    detail = f"{int(certain.sum())} of {len(targets)} scored rows have probabilities of exactly 0 and 1"
    return Check(name=name, status=CheckStatus.WARN if certain.any() else CheckStatus.PASS, detail=detail)


def _classes_present(rows: pa.Table, sites: Sequence[str], classes: Sequence[str]) -> Check:
    lacking = []
    for site in sites:
        present = set(rows.filter(pc.equal(rows["site"], site))["truth"].to_pylist())
        if missing := [name for name in classes if name not in present]:
            lacking.append(f"{site} has no {', '.join(missing)}")
    if lacking:
        detail = f"{'; '.join(lacking)}: not estimable there"
        return Check(name="classes_present", status=CheckStatus.WARN, detail=detail)
    return Check(name="classes_present", status=CheckStatus.PASS, detail=f"every hospital has {', '.join(classes)}")


def _test_patients(rows: pa.Table, sites: Sequence[str]) -> Check:
    counts = dict.fromkeys(sites, 0)
    patients = rows.group_by("site").aggregate([("patient", "count_distinct")])
    counts |= {row["site"]: row["patient_count_distinct"] for row in patients.to_pylist()}
    texts = [f"{site} ({number})" for site, number in counts.items()]
    single = [site for site, number in counts.items() if number < 2]
    few = [text for text, number in zip(texts, counts.values(), strict=True) if number < MIN_PATIENTS]
    if single:
        detail = f"fewer than two patients at {', '.join(single)}: no interval can be estimated there"
        return Check(name="test_patients", status=CheckStatus.WARN, detail=detail)
    if few:
        detail = f"fewer than {MIN_PATIENTS} patients at {', '.join(few)}"
        return Check(name="test_patients", status=CheckStatus.WARN, detail=detail)
    return Check(name="test_patients", status=CheckStatus.PASS, detail=f"patients: {', '.join(texts)}")
