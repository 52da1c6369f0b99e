"""The page that shows the pairs of frames that a certificate suspects to be copies, laid over one another."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.reporting.writer import render
from heart2heart.schema.reviewed_pairs import SuspectedPair
from heart2heart.store.copy_features import copy_features
from heart2heart.store.copy_search import MIN_SIDE
from heart2heart.store.registration import overlay, register
from heart2heart.utils import encode_png, write_text

Picture = npt.NDArray[np.uint8]

MAX_PAIRS = 200
"""Pairs on a page, at most; the most alike come first."""


@dataclass(frozen=True)
class FrameFacts:
    """What the page says of one frame: name, hospital, role, pseudonym of the patient."""

    frame: str
    site: str
    role: str
    patient: str


@dataclass(frozen=True)
class PairView:
    """One pair of the page.

    Attributes:
        number: Number by which the pair is cleared, from 1.
        pair: The pair.
        left: Facts of the one frame.
        right: Facts of the other frame.
        pictures: Data URIs: left, right, right laid over left, and their difference; empty where text is suspected.
        mirrored: The right frame was mirrored to lie over the left one.
    """

    number: int
    pair: SuspectedPair
    left: FrameFacts
    right: FrameFacts
    pictures: tuple[str, ...] = field(repr=False)
    mirrored: bool


def pair_pictures(left: Picture, right: Picture) -> tuple[tuple[str, ...], bool]:
    """Lay the right frame over the left one, mirrored or not, whichever fits better.

    Args:
        left: uint8 `(N, N)`.
        right: uint8 `(N, N)`.

    Returns:
        Data URIs of left, right, right over left, and the absolute difference; and whether the right one was mirrored.

    Examples:
        >>> import numpy as np
        >>> frame = np.zeros((16, 16), np.uint8)
        >>> uris, mirrored = pair_pictures(frame, frame)
        >>> len(uris), mirrored, uris[0][:21]
        (4, False, 'data:image/png;base64')
    """
    mirrored, laid = False, right
    if len(left) >= MIN_SIDE:
        one, other = copy_features(np.stack([left, left])), copy_features(np.stack([right, right]))
        maps, scores = register(one, other, np.array([False, True]))
        mirrored = bool(scores[1] > scores[0])
        laid = overlay(right, maps[int(mirrored)], mirrored=mirrored)
    difference = np.abs(left.astype(np.int16) - laid.astype(np.int16)).astype(np.uint8)
    return tuple(_uri(picture) for picture in (left, right, laid, difference)), mirrored


def _uri(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode("ascii")


def write_pair_sheet(
    views: Sequence[PairView], out: Path, *, split: str, total: int, synthetic: bool, command: str
) -> Path:
    """Write the page as one self-contained HTML file.

    Args:
        views: The pairs.
        out: HTML file to write.
        split: Name of the split.
        total: Number of suspected pairs, of which the page may show fewer.
        synthetic: Whether every clip is simulated.
        command: The command line that clears a pair.

    Examples:
        >>> write_pair_sheet([], Path("pairs.html"), split="s", total=0, synthetic=True, command="").name
        'pairs.html'
    """
    content = {"views": views, "split": split, "total": total, "synthetic": synthetic, "command": command}
    write_text(out, render("pairs.html.j2", content, escape=True))
    return out
