"""Rules that choose the frames of a clip to keep, each with a name that is recorded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError

_REMEDY = (
    "Write all, every:N (each N-th frame from the first), even:K (K frames evenly spaced, e.g. even:8), or ed_es:K "
    "(the frames named end-diastolic or end-systolic, in a clip that names none even:K)"
)


@dataclass(frozen=True)
class FrameRule:
    """One rule for choosing frames.

    Attributes:
        name: `all`, `every`, `even` or `ed_es`.
        number: The N of `every:N`, the K of `even:K` or `ed_es:K`; 1 for `all`.
    """

    name: str
    number: int = 1

    @classmethod
    def parse(cls, text: str) -> FrameRule:
        """Read `all`, `every:N`, `even:K` or `ed_es:K`.

        Raises:
            ConfigError: anything else, or a number below 1.
        """
        if text == "all":
            return cls("all")
        name, _, number = text.partition(":")
        known = name in ("every", "even", "ed_es")
        if not known or not (number.isascii() and number.isdecimal()) or len(number) > 9:
            raise ConfigError(f"frame rule {text!r} is not known", remedy=_REMEDY)
        if int(number) < 1:
            raise ConfigError(f"frame rule {text!r} keeps no frame", remedy=_REMEDY)
        return cls(name, int(number))

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return "all" if self.name == "all" else f"{self.name}:{self.number}"

    def choose(self, n: int, tagged: Collection[int] = ()) -> npt.NDArray[np.int64]:
        """Return the positions to keep in a clip of `n` frames, int64, ascending, at least one if `n` is above zero.

        `even:K` divides the clip into K equal parts and takes the middle of each, because the first and last frames are
        often frozen or doubled. A clip of at most K frames is kept whole. `ed_es:K`
        keeps all tagged frames; a clip without any is treated as `even:K`.

        Args:
            n: Frames in the clip.
            tagged: Positions of the end-diastolic and end-systolic frames that the file names, all below `n`.
        """
        if self.name == "every":
            return np.arange(0, n, self.number, dtype=np.int64)
        if self.name == "ed_es" and tagged:
            return np.array(sorted(set(tagged)), np.int64)
        if self.name == "all" or n <= self.number:
            return np.arange(n, dtype=np.int64)
        return ((2 * np.arange(self.number, dtype=np.int64) + 1) * n) // (2 * self.number)
