"""Redaction: rows keep their groups, and nothing leads back to a name."""

from __future__ import annotations

import numpy as np

from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.prediction_checks import rows_sha256
from heart2heart.schema.redaction import NAME_COLUMNS, new_key, recode_names, without_pictures
from tests.evaluation.factory import HOSPITALS, make_predictions


def test_without_pictures_changes_no_row() -> None:
    predictions = make_predictions(hospitals=HOSPITALS[2:])
    bare = without_pictures(predictions)
    assert predictions.table["image"].null_count < bare.table["image"].null_count == len(bare.table)
    assert rows_sha256(bare) == rows_sha256(predictions)
    assert bare.table.drop_columns("image").equals(predictions.table.drop_columns("image"))


def test_recode_names_keeps_the_groups_and_the_scores() -> None:
    predictions = make_predictions(hospitals=HOSPITALS[2:])
    coded = recode_names(predictions, new_key())
    assert coded.provenance.names_recoded
    for column in NAME_COLUMNS:
        names, codes = (table[column].to_pylist() for table in (predictions.table, coded.table))
        pairs = set(zip(names, codes, strict=True))
        assert len(pairs) == len(set(names)) == len(set(codes))
        assert not set(names) & set(codes)
    others = [name for name in predictions.table.column_names if name not in NAME_COLUMNS]
    assert coded.table.select(others).equals(predictions.table.select(others))
    scores = [evaluate_predictions(each, replicates=100).methods[0].sites for each in (predictions, coded)]
    for one, other in zip(*scores, strict=True):
        ends = [[each.balanced_accuracy.value, each.balanced_accuracy.low] for each in (one, other)]
        np.testing.assert_allclose(np.array(ends[0], float), np.array(ends[1], float))
    assert recode_names(predictions, new_key()).table["patient"].to_pylist() != coded.table["patient"].to_pylist()
