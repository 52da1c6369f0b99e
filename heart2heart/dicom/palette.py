"""Palette colour (PS3.3 section C.7.6.3.1.5 and C.7.9): three tables, plain or segmented, of 8 or 16 bits.

Read here rather than by pydicom 3.0, which takes the tables of a big-endian file in the wrong byte order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from heart2heart.dicom.faults import DAMAGE
from heart2heart.errors import DicomError

_COLOURS = ("Red", "Green", "Blue")


def read_palette(technical: Dataset, *, bits: int, signed: bool, big_endian: bool) -> npt.NDArray[np.uint8]:
    """Read the palette of a technical dataset.

    Args:
        technical: The dataset.
        bits: Bits allocated to a pixel, 8 or 16.
        signed: Whether pixels are two's complement.
        big_endian: Byte order of the file.

    Returns:
        uint8 `(2**bits, 3)`: the colour of every stored bit pattern. Values beyond the table take its first or last.

    Raises:
        DicomError: `failed:layout` when a table is missing or contradicts its descriptor.
    """
    try:
        descriptor = [int(value) for value in technical["RedPaletteColorLookupTableDescriptor"].value]
        tables = [_table(technical, colour, descriptor, big_endian=big_endian) for colour in _COLOURS]
    except DAMAGE:
        raise DicomError("the colour palette is missing or damaged", code="failed:layout") from None
    first = descriptor[1] - 65536 if signed and descriptor[1] >= 32768 else descriptor[1]
    values = np.arange(2**bits)
    values = np.where(values >= 2 ** (bits - 1), values - 2**bits, values) if signed else values
    whole: npt.NDArray[np.uint8] = np.stack(tables, axis=1)
    palette: npt.NDArray[np.uint8] = whole[np.clip(values - first, 0, len(whole) - 1)]
    return palette


def _table(technical: Dataset, colour: str, descriptor: list[int], *, big_endian: bool) -> npt.NDArray[np.uint8]:
    entries, bits = descriptor[0] or 65536, descriptor[2]
    name = f"{colour}PaletteColorLookupTableData"
    segmented = name not in technical
    raw = bytes(technical[f"Segmented{name}" if segmented else name].value)
    if big_endian:  # OW values are 16-bit words whatever they hold
        raw = np.frombuffer(raw[: len(raw) // 2 * 2], "<u2").byteswap().tobytes()
    if segmented:
        values = _expand(np.frombuffer(raw, "<u2" if bits == 16 else "u1").astype(np.int64), entries)
    else:
        bits = 16 if len(raw) >= 2 * entries else 8
        values = np.frombuffer(raw, "<u2" if bits == 16 else "u1")[:entries].astype(np.int64)
    if len(values) != entries:
        raise ValueError("the table has another length than its descriptor")
    # Some writers keep 8-bit colours in 16-bit entries.
    return (values >> 8 if bits == 16 and values.max(initial=0) > 255 else values).astype(np.uint8)


def _expand(code: npt.NDArray[np.int64], entries: int) -> npt.NDArray[np.int64]:
    """Expand a segmented table: discrete, linear and indirect segments (PS3.3 section C.7.9.2)."""
    out: list[int] = []

    def segment(at: int, depth: int) -> int:
        kind, length = int(code[at]), int(code[at + 1])
        if kind == 0:
            out.extend(code[at + 2 : at + 2 + length].tolist())
            return at + 2 + length
        if kind == 1:
            start, end = out[-1], int(code[at + 2])
            out.extend(np.rint(start + (end - start) * np.arange(1, length + 1) / length).astype(int).tolist())
            return at + 3
        if kind != 2 or depth:
            raise ValueError("an unknown or nested segment")
        place = int(code[at + 2]) | int(code[at + 3]) << 16
        for _ in range(length):
            place = segment(place, depth + 1)
        return at + 4

    position = 0
    while position + 1 < len(code) and len(out) < entries:
        position = segment(position, 0)
    return np.asarray(out, np.int64)
