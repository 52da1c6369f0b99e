"""Takes from predictions what a reader of the scores does not need: pictures, and the names of patients and clips."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.schema.predictions import PREDICTIONS, Predictions

NAME_COLUMNS = ("patient", "study", "clip", "frame")
"""Columns with names that lead back to the store."""

_CODE_BYTES = 10


def without_pictures(predictions: Predictions) -> Predictions:
    """Return the predictions without the pictures of frames; no score and no hash of the rows changes."""
    table = predictions.table
    empty = pa.nulls(len(table), PREDICTIONS.field("image").type)
    position = table.schema.get_field_index("image")
    return replace(predictions, table=table.set_column(position, PREDICTIONS.field("image"), empty))


def new_key() -> bytes:
    """Return a random key for `recode_names`."""
    return secrets.token_bytes(32)


def recode_names(predictions: Predictions, key: bytes) -> Predictions:
    """Return the predictions with codes in place of the names of patients, studies, clips and frames.

    A code is a keyed hash of the name. Without the key nobody can work out the name, not even with the store. The order
    of the names changes, and with it the draws of the bootstrap.

    Args:
        predictions: The predictions.
        key: From `new_key`; never kept. Predictions of several models on the same frames take the same key.
    """
    table = predictions.table
    for column in NAME_COLUMNS:
        encoded = table[column].combine_chunks().dictionary_encode()
        codes = pa.array([_code(key, column, name) for name in encoded.dictionary.to_pylist()], pa.string())
        position = table.schema.get_field_index(column)
        table = table.set_column(position, table.schema.field(column), pc.take(codes, encoded.indices))
    provenance = predictions.provenance.model_copy(update={"names_recoded": True})
    return replace(predictions, table=table, provenance=provenance)


def _code(key: bytes, column: str, name: str) -> str:
    return hmac.new(key, f"{column}\x1f{name}".encode(), hashlib.sha256).digest()[:_CODE_BYTES].hex()
