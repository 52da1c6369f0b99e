"""The file of embeddings: vectors of frames, clips and studies in one Parquet table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from heart2heart.config import Config
from heart2heart.errors import MissingInputError, RunError, UnknownNameError

EMBEDDINGS_SCHEMA_VERSION = 1
"""Version of the file of embeddings."""
METADATA_KEY = b"heart2heart.embeddings"
MAX_DIMENSIONS = 65_536
"""Most dimensions of a vector that is read."""
MAX_VALUES = 2**31
"""Most numbers that are read of one level."""
_REMEDY = "Write it again with `heart2heart embed`"


class EmbeddingLevel(StrEnum):
    """What one vector stands for."""

    FRAME = "frame"
    """One frame."""
    CLIP = "clip"
    """One clip: the mean over its frames."""
    STUDY = "study"
    """One study: the mean over its clips, each of which counts once."""


class EmbeddingFacts(Config):
    """Where embeddings come from."""

    schema_version: int = EMBEDDINGS_SCHEMA_VERSION
    """Version of the file."""
    encoder: str
    """Name of the folder of the run or of the pretraining."""
    weights_sha256: str
    """Hash of its weights."""
    layer: str | None = None
    """Module whose output the vectors are; null: the input of the network's head."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision that the network computed in."""
    geometry: dict[str, Any]
    """Geometry of the frames."""
    dimensions: int
    """Numbers of a vector."""


def embedding_schema(facts: EmbeddingFacts) -> pa.Schema:
    """Return the columns of the file: level, names, number of frames, vector."""
    texts = [pa.field(name, pa.string()) for name in ("level", "name", "clip", "study", "patient", "site")]
    vector = pa.field("vector", pa.list_(pa.float32(), facts.dimensions))
    schema = pa.schema([*texts, pa.field("frames", pa.int32()), vector])
    return schema.with_metadata({METADATA_KEY: json.dumps(facts.model_dump(mode="json")).encode()})


@dataclass(frozen=True)
class Embeddings:
    """The vectors of one level.

    Attributes:
        facts: Where they come from.
        table: Their rows: level, name, clip, study, patient, site, frames.
        vectors: float32 `(n, d)`, one for each row.
    """

    facts: EmbeddingFacts
    table: pa.Table
    vectors: npt.NDArray[np.float32]

    @property
    def names(self) -> list[str]:
        """Name of the frame, clip or study of each row."""
        names: list[str] = self.table["name"].to_pylist()
        return names

    def column(self, name: str) -> npt.NDArray[np.object_]:
        """Return one column of texts, `(n,)`."""
        return np.array(self.table[name].to_pylist(), object)

    def take(self, index: npt.NDArray[np.int64]) -> Embeddings:
        """Return some of the rows."""
        return Embeddings(self.facts, self.table.take(pa.array(index)), self.vectors[index])

    def position(self, name: str) -> int:
        """Return the row of a frame, clip or study.

        Raises:
            UnknownNameError: there is none of this name.
        """
        index = pc.index(self.table["name"], name).as_py()
        if index < 0:
            level = self.table["level"][0].as_py() if len(self.table) else "row"
            what = f"no {level} {name!r} is among these {len(self.table)} embeddings"
            raise UnknownNameError(what, remedy="Name one of the store that was embedded, or embed its store")
        return int(index)


def read_embeddings(path: str | Path, level: EmbeddingLevel | str = EmbeddingLevel.CLIP) -> Embeddings:
    """Read the vectors of one level.

    Args:
        path: The file that `embed` wrote.
        level: `frame`, `clip` or `study`.

    Raises:
        MissingInputError: no file here, or it holds no vector of this level.
        RunError: the file is no table of embeddings, of another version, too large, or holds numbers that are not
            finite.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingInputError("no file of embeddings here", where=path, remedy="Write it with `heart2heart embed`")
    try:
        schema = pq.read_schema(path)
        facts = EmbeddingFacts.model_validate_json((schema.metadata or {})[METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, ValidationError) as error:
        raise RunError("this is no file of embeddings, or of another version", where=path, remedy=_REMEDY) from error
    if not 0 < facts.dimensions <= MAX_DIMENSIONS or not schema.equals(embedding_schema(facts)):
        raise RunError("this file of embeddings has other columns", where=path, remedy=_REMEDY)
    try:
        table = pq.read_table(path, filters=[("level", "=", str(level))])
    except (OSError, pa.ArrowException) as error:
        raise RunError("this file of embeddings is damaged", where=path, remedy=_REMEDY) from error
    if not len(table):
        remedy = f"Embed with --level {level}"
        raise MissingInputError(f"this file holds no vector of a {level}", where=path, remedy=remedy)
    if len(table) * facts.dimensions > MAX_VALUES:
        raise RunError(f"this file holds more than {MAX_VALUES} numbers of a {level}", where=path, remedy=_REMEDY)
    column = pa.chunked_array([chunk.flatten() for chunk in table["vector"].chunks], pa.float32())
    vectors = column.to_numpy().reshape(len(table), facts.dimensions)
    if not np.isfinite(vectors).all():
        raise RunError("this file holds vectors that are not finite", where=path, remedy=_REMEDY)
    return Embeddings(facts, table.drop(["vector"]), vectors)
