"""Changes seeds at random, for machines without atheris and for the short run in the test suite."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from heart2heart.utils import random_stream
from tests.fuzz.findings import collector
from tests.fuzz.seeds import seeds

_VALUES = (0x00, 0x01, 0x7F, 0x80, 0xFF)


def mutations(target: str, seed: int) -> Iterator[bytes]:
    """Yield changed seeds of a target without end; the same seed gives the same inputs."""
    known, draw = seeds(target), random_stream(seed, "fuzz", target)
    while True:
        data = bytearray(known[int(draw.integers(len(known)))])
        for _ in range(int(draw.integers(1, 6))):
            _change(data, known, draw)
        yield bytes(data)


def _change(data: bytearray, known: list[bytes], draw: np.random.Generator) -> None:
    kind, start = int(draw.integers(7)), int(draw.integers(len(data) + 1))
    length = int(draw.integers(1, 9))
    if kind == 0 and start < len(data):
        data[start] ^= 1 << int(draw.integers(8))
    elif kind == 1:
        data[start : start + length] = bytes([_VALUES[int(draw.integers(len(_VALUES)))]]) * length
    elif kind == 2:
        del data[start : start + 4 * length]
    elif kind == 3:
        data[start:start] = data[start : start + 8 * length]
    elif kind == 4:
        other = known[int(draw.integers(len(known)))]
        begin = int(draw.integers(len(other) + 1))
        data[start : start + 8 * length] = other[begin : begin + 8 * length]
    elif kind == 5:
        data[start : start + length] = draw.integers(0, 256, length, np.uint8).tobytes()
    elif kind == 6 and len(data) > 8:
        del data[int(draw.integers(len(data) // 2, len(data))) :]


def fuzz_by_mutation(target: str, seconds: int, findings: Path, seed: int, most: int | None = None) -> int:
    """Give at most `most` changed seeds to a target for a time, keep those that break it, and return their number."""
    until, count, run = time.monotonic() + seconds, 0, collector(target, findings)
    for data in islice(mutations(target, seed), most):
        if time.monotonic() >= until:
            break
        count += 1
        run(data)
    return count
