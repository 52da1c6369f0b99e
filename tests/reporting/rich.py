"""Synthetic predictions with everything that a report can show: probes, sex, age, quality and vocabularies."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from heart2heart.schema.predictions import DEMOGRAPHICS, PREDICTIONS, Predictions
from tests.evaluation.factory import make_predictions


def make_rich() -> Predictions:
    """Return the predictions of the factory with sex, age and altered frames whose logits depend on the view."""
    predictions = make_predictions()
    rows = predictions.table.to_pylist()
    for row in rows:
        number = int(row["patient"].rpartition("p")[2])
        row["sex"] = ("F", "M", None)[number % 3]
        row["age"] = (25, 50, 65, 85, None)[number % 5]
        row["quality"] = (0.2, 0.5, 0.9)[row["index"] % 3]
    altered = []
    for row in [row for row in rows if row["role"] == "test" and row["truth"] in predictions.provenance.classes]:
        logits = np.array(row["logits"])
        trace = np.zeros(4)
        trace[predictions.provenance.classes.index(row["truth"])] = 2.0
        altered.append({**row, "role": "sector_masked", "logits": (0.8 * logits + trace).tolist(), "image": None})
        altered.append({**row, "role": "background_swapped", "logits": (logits[::-1]).tolist(), "image": None})
    vocabularies = {"north": ("1",), "east": ("csv:clinical",), "south": ("source:camus",), "west": ()}
    sites = tuple(
        site.model_copy(update={"vocabularies": vocabularies[site.site]}) for site in predictions.provenance.sites
    )
    table = pa.Table.from_pylist([*rows, *altered], schema=pa.schema([*PREDICTIONS, *DEMOGRAPHICS]))
    return Predictions(table, predictions.provenance.model_copy(update={"sites": sites}))
