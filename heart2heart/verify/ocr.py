"""Reads the margins of clean copies, and a sample of a store's pictures, with tesseract.

Stores are read straight from their shards, without the store's own code. The least level over a clip's frames is
read: text does not move, and moving tissue is dark in it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError
from heart2heart.verify.identities import Identities

_BANDS = 10  # a strip above or below is this part of the picture's height
_SIDE = 4  # a strip at the side is this part of the picture's width
_ENLARGED = 3
_FRAMES_PER_FILE = 5  # whose median shows what does not move
_LIT = 60  # gray level that a strip with text reaches
_LONG = 6  # letters from which a word may differ in one and still be the word


def tesseract_available() -> bool:
    """Return whether tesseract is installed."""
    return shutil.which("tesseract") is not None


def require_tesseract() -> None:
    """Raise ConfigError when tesseract is not installed."""
    if not tesseract_available():
        remedy = "Install it (Debian: apt-get install tesseract-ocr), or leave --ocr out"
        raise ConfigError("tesseract is not installed", remedy=remedy)


def identities_in_margins(path: Path, identities: Identities) -> Iterator[str]:
    """Yield the kind of each identity that can be read in the margins of one DICOM file.

    Raises:
        ConfigError: tesseract is not installed.
    """
    require_tesseract()
    words = identity_words(identities)
    for strip in margin_tiles(still_picture(path)):
        yield from sorted(match_words(read_words(strip), words))


def still_picture(path: Path) -> npt.NDArray[np.uint8]:
    """Return uint8 `(rows, columns)`: the median of up to five frames, in which static text is sharp."""
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = int(dcmread(path, stop_before_pixels=True).get("NumberOfFrames", 1))
        chosen = np.unique(np.linspace(0, count - 1, _FRAMES_PER_FILE).astype(int)).tolist()
        frames = np.stack([pixel_array(path, index=index) for index in chosen])
    still = np.median(frames, axis=0)
    if still.ndim == 3:
        still = still.max(axis=2)
    picture: npt.NDArray[np.uint8] = still.astype(np.uint8)
    return picture


def margin_tiles(picture: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the margin strips that hold anything bright: above, below, left and right, with half overlap."""
    rows, columns = picture.shape
    tall, wide = max(24, rows // _BANDS), max(48, columns // _SIDE)
    tops = [0, tall // 2, tall, rows - tall, rows - tall - tall // 2, rows - 2 * tall]
    boxes = [(max(0, top), 0, tall, columns) for top in tops]
    boxes += [(top, left, tall, wide) for top in range(0, rows, tall // 2) for left in (0, max(0, columns - wide))]
    for top, left, height, width in boxes:
        strip = picture[top : top + height, left : left + width]
        if strip.size and strip.max() >= _LIT:
            yield strip


def read_words(strip: npt.NDArray[np.uint8]) -> set[str]:
    """Return the words that tesseract reads in a strip, letters and digits only, in capitals."""
    from PIL import Image

    size = (strip.shape[1] * _ENLARGED, strip.shape[0] * _ENLARGED)
    dark_on_light = Image.fromarray(np.subtract(255, strip, dtype=np.uint8)).resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    dark_on_light.save(buffer, "PNG")
    command = ["tesseract", "stdin", "stdout", "--psm", "6", "-l", "eng"]
    # One thread: on strips this small tesseract's own threads only wait for each other.
    alone = os.environ | {"OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=True, env=alone)
    return split_words(done.stdout.decode("utf-8", "replace"))


def identity_words(identities: Identities) -> dict[str, str]:
    """Return the words that identify somebody, with the kind of identity of each."""
    return {
        word: kind
        for kind, value in identities.exact
        if kind in ("name", "id", "date", "text")
        for word in split_words(value) | {re.sub(r"[^0-9A-Z]", "", value.upper())}
    }


def match_words(words_read: set[str], words: dict[str, str]) -> set[str]:
    """Return the kinds of identity among the words that were read; a long word may have one misread letter."""
    return {kind for word, kind in words.items() if any(_within_one_edit(word, other) for other in words_read)}


def split_words(text: str) -> set[str]:
    """Return the words of four and more letters or digits, in capitals."""
    return set(re.findall(r"[0-9A-Z]{4,}", text.upper()))


def _within_one_edit(word: str, other: str) -> bool:
    """Return whether the two words differ in at most one letter that is replaced, added or missing."""
    if word == other:
        return True
    short, long = sorted((word, other), key=len)
    if len(word) < _LONG or len(long) - len(short) > 1:
        return False
    at = next((index for index, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return short[at + (len(short) == len(long)) :] == long[at + 1 :]


_CLIPS = 60  # of one store, evenly spread; each strip takes tesseract about a fifth of a second
_FRAMES_PER_CLIP = 5
_TILE_HEIGHT = 28  # pixels, twice the height of the tallest letters that a picture of 112 pixels may hold
_STEP, _STEPS = 40, 24  # gray levels between neighbours, and such neighbours that a strip with writing has


def stores_in(outputs: Sequence[Path]) -> list[Path]:
    """Return the stores among and below `outputs`."""
    roots = (marker.parent for root in outputs if root.is_dir() for marker in sorted(root.rglob("store.json")))
    return [root for root in roots if (root / "frames").is_dir()]


def identities_in_store(root: Path, identities: Identities) -> Iterator[tuple[str, list[str]]]:
    """Yield, for each sampled clip of one store, its shard and the kinds of identity that can be read in it.

    Raises:
        ConfigError: tesseract is not installed.
    """
    require_tesseract()
    words = identity_words(identities)
    clips = _clips(root)
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(_CLIPS, len(clips))).astype(int)).tolist()
    for number in chosen:
        shard, rows = clips[number]
        pictures = np.load(shard, mmap_mode="r", allow_pickle=False)
        kept = rows[np.unique(np.linspace(0, len(rows) - 1, _FRAMES_PER_CLIP).astype(int))]
        words_read = {word for strip in text_tiles(pictures[kept].min(axis=0)) for word in read_words(strip)}
        yield f"{root.name}/frames/{shard.name}", sorted(match_words(words_read, words))


def count_clips(root: Path) -> int:
    """Return the number of clips in a store."""
    return len(_clips(root))


def _clips(root: Path) -> list[tuple[Path, npt.NDArray[np.int64]]]:
    """Return each clip's shard and rows in it."""
    import pyarrow.parquet as pq

    clips = []
    for table in sorted((root / "frames").glob("*.parquet")):
        names = np.asarray(pq.read_table(table, columns=["clip"])["clip"].to_pylist())
        clips += [(table.with_suffix(".npy"), np.flatnonzero(names == name)) for name in dict.fromkeys(names.tolist())]
    return clips


def text_tiles(picture: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the strips whose edges are as sharp and as many as those of a word, with half overlap."""
    for top in range(0, max(1, picture.shape[0] - _TILE_HEIGHT // 2), _TILE_HEIGHT // 2):
        strip = picture[top : top + _TILE_HEIGHT]
        if int((np.abs(np.diff(strip.astype(np.int16), axis=1)) >= _STEP).sum()) >= _STEPS:
            yield strip
