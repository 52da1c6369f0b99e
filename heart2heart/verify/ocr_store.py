"""Reading the kept pictures of a store with tesseract, strip by strip, of a sample of its clips.

Read straight from the shards, without the store's own code. The least level over a clip's frames is read: writing
stands still in it, and tissue that moves is dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.verify.identities import Identities
from heart2heart.verify.ocr import match, read, require, words_of

_CLIPS = 60  # of one store, evenly spread; each strip takes tesseract about a fifth of a second
_FRAMES_PER_CLIP = 5
_STRIP = 28  # pixels, twice the height of the tallest letters that a picture of 112 pixels may hold
_STEP, _STEPS = 40, 24  # gray levels between neighbours, and such neighbours that a strip with writing has


def stores_in(outputs: Sequence[Path]) -> list[Path]:
    """Return the stores among and below `outputs`."""
    found = (about.parent for root in outputs if root.is_dir() for about in sorted(root.rglob("store.json")))
    return [root for root in found if (root / "frames").is_dir()]


def identities_in_store(root: Path, wanted: Identities) -> Iterator[tuple[str, list[str]]]:
    """Yield, for each sampled clip of one store, its shard and the kinds of identity that can be read in it.

    Raises:
        ConfigError: tesseract is not installed.
    """
    require()
    words = words_of(wanted)
    clips = _clips(root)
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(_CLIPS, len(clips))).astype(int)).tolist()
    for number in chosen:
        shard, rows = clips[number]
        pictures = np.load(shard, mmap_mode="r", allow_pickle=False)
        kept = rows[np.unique(np.linspace(0, len(rows) - 1, _FRAMES_PER_CLIP).astype(int))]
        found = {word for strip in text_tiles(pictures[kept].min(axis=0)) for word in read(strip)}
        yield f"{root.name}/frames/{shard.name}", sorted(match(found, words))


def count_clips(root: Path) -> int:
    """Return the number of clips in a store."""
    return len(_clips(root))


def _clips(root: Path) -> list[tuple[Path, npt.NDArray[np.int64]]]:
    """Return each clip's shard and rows in it."""
    import pyarrow.parquet as pq

    found = []
    for table in sorted((root / "frames").glob("*.parquet")):
        names = np.asarray(pq.read_table(table, columns=["clip"])["clip"].to_pylist())
        found += [(table.with_suffix(".npy"), np.flatnonzero(names == name)) for name in dict.fromkeys(names.tolist())]
    return found


def text_tiles(picture: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the strips with edges as sharp and as many as those of a word, each half over the last."""
    for top in range(0, max(1, picture.shape[0] - _STRIP // 2), _STRIP // 2):
        strip = picture[top : top + _STRIP]
        if int((np.abs(np.diff(strip.astype(np.int16), axis=1)) >= _STEP).sum()) >= _STEPS:
            yield strip
