"""Columns of a labeling queue on disk."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv

QUEUE_METADATA_KEY = b"heart2heart.queue"
"""Metadata key of a Parquet queue under which its settings and its run are kept, as JSON."""


QUEUE_SCHEMA = pa.schema(
    [
        pa.field("clip", pa.string(), nullable=False),
        pa.field("why", pa.string(), nullable=False),  # shown to raters; names no view
        pa.field("rank", pa.int32(), nullable=False),  # from 1
        pa.field("score", pa.float64(), nullable=False),  # the method's own measure
        pa.field("cost", pa.float64(), nullable=False),
        pa.field("site", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("view", pa.string()),  # the likeliest by the run; null without one
        pa.field("probability", pa.float32()),
    ]
)
"""One row a clip, in the order of labeling; the page reads `clip` and `why`."""
