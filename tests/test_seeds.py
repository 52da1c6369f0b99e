"""Named streams: stable, and independent of each other."""

import numpy as np

from heart2heart.seeds import stream


def test_same_name_same_numbers() -> None:
    assert stream(1, "a", 2).integers(1 << 30) == stream(1, "a", 2).integers(1 << 30)


def test_other_names_seeds_or_cuts_give_other_numbers() -> None:
    drawn = [stream(1, "ab"), stream(1, "a", "b"), stream(2, "ab"), stream(1, "ab", 0), stream(1)]
    assert len({int(generator.integers(1 << 62)) for generator in drawn}) == len(drawn)


def test_streams_are_uncorrelated() -> None:
    left, right = (stream(0, "s", number).standard_normal(20_000) for number in (1, 2))
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.03
