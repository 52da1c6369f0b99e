"""Judges whether burned-in letters can still be read after blanking: by their ink, and by tesseract."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.burned_variants import KINDS, BurnedVariant

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
CODES = frozenset(kind.name for kind in KINDS if kind.code)
DIFFERS = 20  # gray levels by which ink must differ from its surroundings to be seen
LEFT = 0.5  # share of the ink of a letter, or of the area of a code, with which it may be read
BAR_ROW = 0.9  # share of one row of a bar code with which it may be read
FRAMES = 4  # frames that are judged
_MARGIN = 4  # pixels around a letter that are its surroundings
_HEIGHT = 36  # pixels of the letters that tesseract gets


def template_letters(variant: BurnedVariant, shown: Bytes, blanked: Mask) -> tuple[int, int]:
    """Return the letters that could be read before the blanking, and of these the ones that can be read after it.

    A letter can be read while half of its ink is left that differs from the surroundings by 20 gray levels, in any
    judged frame. A code counts as one letter.

    Args:
        variant: What was burned in.
        shown: uint8, its frames as they were coded and decoded.
        blanked: bool `(height, width)` or `(n, height, width)`: pixels that are black in the copy.
    """
    before: set[int] = set()
    after: set[int] = set()
    for number in judged_frames(variant):
        glyphs, gone = variant.glyphs[number], blanked if blanked.ndim == 2 else blanked[number]
        for letter in range(1, int(glyphs.max()) + 1):
            part = _around(glyphs == letter)
            if part is None:
                continue
            ink = glyphs[part] == letter
            if variant.name in CODES:
                before.add(letter)
                kept = ~gone[part]
                rows = kept[ink.any(axis=1)][:, ink.any(axis=0)].mean(axis=1)
                left = rows.max() >= BAR_ROW if variant.name == "bar code" else kept[ink].mean() >= LEFT
                after |= {letter} if left else set()
                continue
            differs = _difference(shown[number][part], glyphs[part] == 0) >= DIFFERS
            if differs[ink].mean() >= LEFT:
                before.add(letter)
                after |= {letter} if (differs & ~gone[part])[ink].mean() >= LEFT else set()
    return len(before), len(after)


def ocr_letters(variant: BurnedVariant, shown: Bytes, blanked: Mask) -> int:
    """Return the letters that tesseract reads, in their order, after the blanking, in the frame with the most ink left.

    Args:
        variant: What was burned in.
        shown: uint8, its frames as they were coded and decoded.
        blanked: See `template_letters`.

    Raises:
        FileNotFoundError: tesseract is not installed.
    """
    if shutil.which("tesseract") is None:
        raise FileNotFoundError("tesseract is not installed (Debian package tesseract-ocr)")
    gone = np.broadcast_to(blanked, variant.ink.shape)
    numbers = judged_frames(variant)
    left = [int((variant.ink[number] & ~gone[number]).sum()) for number in numbers]
    number = numbers[int(np.argmax(left))]
    part = _around(variant.ink[number])
    if part is None or max(left) < 0.03 * variant.ink[number].sum():
        return 0
    seen = _difference(shown[number][part], ~variant.ink[number][part]) * ~gone[number][part]
    picture = Image.fromarray((255 - np.clip(2.0 * seen, 0, 255)).astype(np.uint8))
    scale = max(0.3, _HEIGHT / variant.size)
    picture = picture.rotate(-variant.angle, expand=True, fillcolor=255)
    picture = picture.resize((round(scale * picture.width) + 1, round(scale * picture.height) + 1))
    framed = Image.new("L", (picture.width + 40, picture.height + 40), 255)
    framed.paste(picture, (20, 20))
    buffer = BytesIO()
    framed.save(buffer, "PNG")
    command = ["tesseract", "stdin", "stdout", "--psm", "7"]
    done = subprocess.run(command, input=buffer.getvalue(), capture_output=True, env={"OMP_THREAD_LIMIT": "1"})
    return _common(_plain(variant.text), _plain(done.stdout.decode(errors="replace")))


def judged_frames(variant: BurnedVariant) -> list[int]:
    """Return up to `FRAMES` frames, spread over those that show the text."""
    shown = np.flatnonzero(variant.ink.any(axis=(1, 2)))
    return [int(shown[index]) for index in np.unique(np.linspace(0, len(shown) - 1, FRAMES).round().astype(int))]


def _around(mask: Mask) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(0, int(rows[0]) - _MARGIN), int(rows[-1]) + 1 + _MARGIN),
        slice(max(0, int(columns[0]) - _MARGIN), int(columns[-1]) + 1 + _MARGIN),
    )


def _difference(picture: Bytes, surroundings: Mask) -> npt.NDArray[np.float64]:
    """Return the distance of each pixel from the median of the surroundings, the largest over the channels."""
    channels = picture.astype(np.float64).reshape(*picture.shape[:2], -1)
    level = np.median(channels[surroundings], axis=0) if surroundings.any() else np.zeros(channels.shape[2])
    difference: npt.NDArray[np.float64] = np.abs(channels - level).max(axis=2)
    return difference


def _plain(text: str) -> str:
    return "".join(letter for letter in text.upper() if letter.isalnum())


def _common(first: str, second: str) -> int:
    """Return the length of the longest common subsequence."""
    lengths = [0] * (len(second) + 1)
    for letter in first:
        diagonal = 0
        for index, other in enumerate(second, start=1):
            diagonal, lengths[index] = (
                lengths[index],
                diagonal + 1 if letter == other else max(lengths[index], lengths[index - 1]),
            )
    return lengths[-1]
