"""One root seed, many named streams: adding a stream never shifts another."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of the stream called `names` under root `seed`.

    Args:
        seed: The root seed of a run, a split or a simulation.
        names: What the stream is for, e.g. ("hospital", "A", "patient", 3).
    """
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words.tolist()])))
