"""Vectors of frames, clips and studies, written to one Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.progress import NoProgress, Progress
from heart2heart.representation.loaded_encoder import LoadedEncoder
from heart2heart.schema.embeddings import EmbeddingFacts, EmbeddingLevel, embedding_schema
from heart2heart.store.frame_store import Frames
from heart2heart.utils import atomic_path, check_writable

CHUNK = 256
"""Frames that are read and passed at a time."""
WRITTEN = 16_384
"""Vectors that are written at a time."""

Floats = npt.NDArray[np.float32]


def embed_frames(
    encoder: LoadedEncoder,
    frames: Frames,
    out: str | Path,
    *,
    levels: Sequence[str] = (EmbeddingLevel.CLIP, EmbeddingLevel.STUDY),
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the vectors of all frames of some stores, of their clips and of their studies.

    The vector of a clip is the mean over its frames, that of a study the mean over its clips. Vectors of frames are
    written while they are computed; those of clips and studies are kept in memory.

    Args:
        encoder: The encoder.
        frames: The stores.
        out: Parquet file; it appears when it is complete.
        levels: `frame`, `clip`, `study`.
        progress: Receives the number of frames done.

    Returns:
        Number of vectors by level.

    Raises:
        ConfigError: no such level.
        RunError: frames of another geometry.
        MissingInputError: no frame.
        NoSpaceError: the disk is full.
    """
    out, chosen = Path(out), _read_levels(levels)
    encoder.require_geometry(frames.geometry)
    table = frames.frames.sort_by([("clip", "ascending"), ("row", "ascending")])
    if not len(table):
        raise MissingInputError("the stores hold no frame to embed", remedy="Ingest some clips first")
    check_writable(out)
    facts = EmbeddingFacts(
        encoder=encoder.path.resolve().name,
        weights_sha256=encoder.weights_sha256,
        layer=encoder.encoder.layer,
        precision=encoder.precision,
        geometry=encoder.geometry.to_json(),
        dimensions=encoder.dimensions,
    )
    schema, counts, shown = embedding_schema(facts), dict.fromkeys(chosen, 0), progress or NoProgress()
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:

        def write(level: str, rows: pa.Table, vectors: Floats, of_frames: npt.NDArray[np.int64]) -> None:
            if level in chosen:
                counts[level] += len(rows)
                for start in range(0, len(rows), WRITTEN):
                    part = slice(start, start + WRITTEN)
                    batch = _batch(schema, level, rows.slice(start, WRITTEN), vectors[part], of_frames[part])
                    writer.write_table(batch)

        clips = _Means(facts.dimensions)
        for start in range(0, len(table), CHUNK):
            part = table.slice(start, CHUNK)
            vectors = encoder.embed(frames.read(part["row"].to_numpy().astype(np.int64)))
            write(EmbeddingLevel.FRAME, part, vectors, np.ones(len(part), np.int64))
            clips.add(part["clip"].to_pylist(), vectors)
            shown.update(min(start + CHUNK, len(table)))
        rows = _first_rows(table, "clip", clips.names)
        write(EmbeddingLevel.CLIP, rows, clips.means(), clips.counts())
        studies = _Means(facts.dimensions)
        studies.add(rows["study"].to_pylist(), clips.means(), clips.counts())
        write(EmbeddingLevel.STUDY, _first_rows(table, "study", studies.names), studies.means(), studies.counts())
    return {str(level): count for level, count in counts.items()}


class _Means:
    """Means of vectors by name, in the order in which the names first came.

    Args:
        dimensions: Numbers of a vector.
    """

    def __init__(self, dimensions: int) -> None:
        self._positions: dict[str, int] = {}
        self._sums = np.zeros((1024, dimensions), np.float64)
        self._added = np.zeros(1024, np.int64)
        self._weights = np.zeros(1024, np.int64)

    @property
    def names(self) -> list[str]:
        return list(self._positions)

    def add(self, names: list[str], vectors: Floats, weights: npt.NDArray[np.int64] | None = None) -> None:
        """Add vectors `(n, d)`, each counted once; `weights` are the numbers of frames that they stand for."""
        positions = np.array([self._positions.setdefault(name, len(self._positions)) for name in names])
        while len(self._positions) > len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
            self._added = np.concatenate([self._added, np.zeros_like(self._added)])
            self._weights = np.concatenate([self._weights, np.zeros_like(self._weights)])
        np.add.at(self._sums, positions, vectors)
        np.add.at(self._added, positions, 1)
        np.add.at(self._weights, positions, 1 if weights is None else weights)

    def means(self) -> Floats:
        n = len(self._positions)
        return np.asarray(self._sums[:n] / self._added[:n, None], np.float32)

    def counts(self) -> npt.NDArray[np.int64]:
        return self._weights[: len(self._positions)]


def _first_rows(table: pa.Table, column: str, names: list[str]) -> pa.Table:
    """Return the first row of each name in `column`, in the order of `names`."""
    import pyarrow.compute as pc

    return table.take(pc.index_in(pa.array(names, pa.string()), table[column]))


def _batch(
    schema: pa.Schema, level: str, rows: pa.Table, vectors: Floats, of_frames: npt.NDArray[np.int64]
) -> pa.Table:
    """Return the rows of one level; a study has no clip."""
    n, names = len(rows), rows[str(level)]
    texts: dict[str, Any] = {name: rows[name].cast(pa.string()) for name in ("clip", "study", "patient", "site")}
    if level == EmbeddingLevel.STUDY:
        texts["clip"] = pa.nulls(n, pa.string())
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    columns = {
        "level": pa.array([str(level)] * n, pa.string()),
        "name": names.cast(pa.string()),
        **texts,
        "frames": pa.array(of_frames, pa.int32()),
        "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    return pa.table(columns, schema=schema)


def _read_levels(levels: Sequence[str]) -> tuple[str, ...]:
    known = [str(level) for level in EmbeddingLevel]
    unknown = [level for level in levels if level not in known]
    if unknown or not levels:
        what = f"no level is called {unknown[0]!r}" if unknown else "no level is named"
        raise ConfigError(what, where="--level", remedy=f"Choose among {', '.join(known)}")
    return tuple(dict.fromkeys(levels))
