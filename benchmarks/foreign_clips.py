"""Clips that no echocardiography model should answer: simulated ones, photographs, and real clips of other organs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, zoom

from heart2heart.datasets.load_picture import load_file
from heart2heart.errors import Heart2HeartError
from heart2heart.store.geometry import Geometry

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Generator = np.random.Generator


def speckle(shape: tuple[int, int], generator: Generator, grain: float = 0.7) -> Floats:
    """Return fully developed speckle: the envelope of filtered complex noise, mean 1 `(height, width)`."""
    parts = [gaussian_filter(generator.standard_normal(shape), grain) for _ in range(2)]
    envelope = np.hypot(*parts)
    return np.asarray(envelope / envelope.mean(), np.float64)


def _compress(echo: Floats) -> Floats:
    """Return gray levels of an envelope with a dynamic range of 50 dB."""
    return np.asarray(np.clip(255 * (1 + 20 * np.log10(np.maximum(echo, 1e-6)) / 50), 0, 255), np.float64)


def _noise(clip: Pixels, generator: Generator) -> Floats:
    return np.stack([generator.uniform(0, 255, clip.shape[1:]) for _ in clip])


def _uniform(clip: Pixels, generator: Generator) -> Floats:
    return np.full(clip.shape, generator.uniform(60, 200))


def _speckle(clip: Pixels, generator: Generator) -> Floats:
    level = generator.uniform(0.2, 0.6)
    return np.stack([_compress(level * speckle(each.shape, generator)) for each in clip])


def _layers(clip: Pixels, generator: Generator) -> Floats:
    """Muscle, fascia and vessels: layers across the picture, as of a linear or abdominal probe."""
    _, height, width = clip.shape
    borders = np.sort(generator.uniform(0, height, 5))
    levels = 10 ** generator.uniform(-1.6, 0, 6)
    depth = np.arange(height)[:, None] + generator.uniform(1, 3) * np.sin(np.linspace(0, 6, width))[None]
    echo = levels[np.searchsorted(borders, depth.ravel())].reshape(height, width)
    return np.stack([_compress(echo * speckle((height, width), generator)) for _ in clip])


def _cysts(clip: Pixels, generator: Generator) -> Floats:
    """An organ with cysts or follicles, such as a thyroid or a kidney: dark ellipses that do not beat."""
    _, height, width = clip.shape
    rows, columns = np.mgrid[:height, :width]
    echo = np.full((height, width), generator.uniform(0.2, 0.5))
    for _ in range(int(generator.integers(1, 6))):
        y, x = generator.uniform(0.15, 0.85, 2) * (height, width)
        a, b = generator.uniform(0.05, 0.25, 2) * height
        echo[((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1] = 10 ** generator.uniform(-2.5, -1)
    echo = gaussian_filter(echo, 0.6)
    return np.stack([_compress(echo * speckle((height, width), generator)) for _ in clip])


def _upside_down(clip: Pixels, generator: Generator) -> Floats:
    del generator
    return clip[:, ::-1].astype(np.float64)


SIMULATED: Mapping[str, Callable[[Pixels, Generator], Floats]] = {
    "white noise": _noise,
    "uniform gray": _uniform,
    "speckle alone": _speckle,
    "layers": _layers,
    "cysts": _cysts,
    "upside down": _upside_down,
}
"""Kinds of foreign clips: from a clip in scope, whose sector they fill, and a generator to gray levels."""


def simulate_foreign(kind: str, clip: Pixels, generator: Generator) -> Pixels:
    """Return a foreign clip in the sector of another: uint8 `(n, size, size)`.

    Args:
        kind: A name of `SIMULATED`.
        clip: The clip whose sector and number of frames it takes.
        generator: Source of randomness.
    """
    filled = SIMULATED[kind](clip, generator)
    inside = np.ones(clip.shape[1:], bool) if kind == "upside down" else clip.max(0) > 0
    return np.where(inside, np.clip(filled, 0, 255), 0).astype(np.uint8)


def photographs(path: Path, count: int, size: int, generator: Generator) -> Iterator[Pixels]:
    """Yield photographs of CIFAR-10 as clips of one gray frame.

    Args:
        path: Parquet file with a column `jpeg` of encoded pictures.
        count: Number of photographs.
        size: Side of the frames.
        generator: Chooses them.
    """
    import io

    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(path)
    for index in np.sort(generator.choice(len(table), count, replace=False)).tolist():
        data = table["jpeg"][index].as_py()
        gray = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float64)
        yield np.clip(zoom(gray, size / len(gray), order=1), 0, 255).astype(np.uint8)[None]


def real_clips(folder: Path, geometry: Geometry, rule: str = "even:4") -> Iterator[tuple[str, str, Pixels | None]]:
    """Yield name, mode and frames of the clips in a folder; frames are None for a file that ingest refuses."""
    for path in sorted(folder.iterdir()):
        try:
            clip = load_file(path, geometry=geometry, rule=rule)
        except Heart2HeartError:
            yield path.name, "", None
        else:
            yield path.name, str(clip.facts.mode), clip.pixels
