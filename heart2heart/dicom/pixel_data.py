"""Finds the encoded frames of one file: their number, and the bytes of each.

The fragments of encapsulated pixel data (PS3.5 annex A.4) are scanned item by item, so that a cut file yields the
frames that it holds.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydicom.uid import UID, RLELossless

from heart2heart.dicom.image_pixel import MAX_FRAMES, ImagePixel
from heart2heart.dicom.jpeg_xl import JPEG_XL_STARTS, JPEG_XL_SYNTAXES
from heart2heart.dicom.reader import OpenDicom
from heart2heart.errors import DicomError
from heart2heart.schema.status import ClipFlag, StatusCode

_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0"
CODESTREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")  # JPEG and JPEG-LS; JPEG 2000
_START_BYTES = 12  # the longest start, that of a JPEG XL container

Span = tuple[int, int]
"""Start and end (exclusive) of one fragment's value, bytes from the start of the file."""


@dataclass(frozen=True)
class FragmentScan:
    """The fragments of encapsulated pixel data.

    Attributes:
        fragments: Whole fragments after the first item, in order.
        offsets: The basic offset table; empty if the first item is.
        cut: Whether the data ended, or became unreadable, before the sequence delimiter.
        rest: The available part of a fragment in which the file ends.
    """

    fragments: tuple[Span, ...]
    offsets: tuple[int, ...]
    cut: bool
    rest: Span | None = None


def scan_fragments(data: bytes | mmap.mmap, start: int) -> FragmentScan:
    """Scan the items from `start`, the position after the undefined length of the pixel data element.

    Args:
        data: The file.
        start: Offset of the first item tag.
    """
    spans: list[Span] = []
    rest: Span | None = None
    at, size = start, len(data)
    whole = False
    while at + 8 <= size:
        tag = data[at : at + 4]
        if tag == _SEQUENCE_DELIMITER:
            whole = True
            break
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if tag != _ITEM or end > size:
            rest = (at + 8, size) if tag == _ITEM and spans else None
            break
        spans.append((at + 8, end))
        at = end
    if not spans:
        return FragmentScan((), (), not whole)
    first, last = spans[0]
    table = data[first:last]
    offsets = tuple(int.from_bytes(table[i : i + 4], "little") for i in range(0, len(table) - 3, 4))
    return FragmentScan(tuple(spans[1:]), offsets, not whole, rest)


def group_fragments(
    data: bytes | mmap.mmap,
    scan: FragmentScan,
    declared: int | None,
    *,
    single: bool,
    starts: tuple[bytes, ...] = CODESTREAM_STARTS,
) -> list[tuple[Span, ...]]:
    """Return the fragments of each frame.

    The offset table is used only if each of its offsets is the start of a fragment. Without a valid table, each
    fragment is one frame if the numbers agree; otherwise a frame starts where a codestream starts.

    Args:
        data: The file.
        scan: The fragments of the file.
        declared: Number of frames that the header declares, or None.
        single: Whether the transfer syntax requires one fragment per frame, as RLE does (PS3.5 annex G).
        starts: Bytes with which a codestream of the transfer syntax starts.
    """
    spans = scan.fragments
    if single or len(spans) == declared:
        return [(span,) for span in spans]
    if not spans:
        return []
    origin = spans[0][0] - 8
    item_offsets = [start - 8 - origin for start, _ in spans]
    marks = [bisect_left(item_offsets, offset) for offset in scan.offsets]
    exact = all(
        mark < len(item_offsets) and item_offsets[mark] == offset
        for mark, offset in zip(marks, scan.offsets, strict=True)
    )
    if not (marks and marks[0] == 0 and exact and all(a < b for a, b in pairwise(marks))):
        heads = [data[start : start + _START_BYTES].startswith(starts) for start, _ in spans]
        marks = [index for index, head in enumerate(heads) if head or index == 0]
    return [spans[a:b] for a, b in pairwise([*marks, len(spans)])]


_UNDEFINED = 0xFFFFFFFF
_VIDEO = frozenset(
    f"1.2.840.10008.1.2.4.{kind}{suffix}"
    for kind in range(100, 109)  # MPEG-2, H.264 and HEVC
    for suffix in ("", ".1")  # `.1`: in several fragments
)
_LONG_VR = (b"OB", b"OW", b"UN", b"OV", b"OL", b"OD", b"OF")


@dataclass(frozen=True)
class EncodedFrames:
    """The encoded frames of one file; the bytes stay on disk.

    Attributes:
        opened: The file.
        spans: The fragments of each frame.
        flags: `salvaged` when the file was cut and its complete frames were kept; `frame_count` when the number of
            frames in the header was missing or wrong.
    """

    opened: OpenDicom
    spans: tuple[tuple[Span, ...], ...]
    flags: tuple[ClipFlag, ...]

    @property
    def video(self) -> bool:
        """Whether all frames are one stream, the only entry of `spans`."""
        return self.opened.syntax in _VIDEO

    def __len__(self) -> int:
        """Return the number of complete frames; 1 for a video stream."""
        return len(self.spans)

    def frame(self, index: int) -> bytes:
        """Return the encoded bytes of frame `index`."""
        return b"".join(self.opened.data[start:end] for start, end in self.spans[index])


def find_frames(opened: OpenDicom, image_pixel: ImagePixel) -> EncodedFrames:
    """Find and count the frames without relying on the number that the header declares.

    Raises:
        DicomError: `failed:no_pixels`, `failed:truncated` when no frame is complete, `failed:layout` when the pixel
            data is shorter than one declared frame, or `failed:bounds`.
    """
    start, length = _locate_value(opened)
    known = UID(opened.syntax)
    encapsulated = known.is_encapsulated if known.is_transfer_syntax else length == _UNDEFINED
    if encapsulated:
        if length != _UNDEFINED:
            raise DicomError("compressed pixel data is not encapsulated", code=StatusCode.FAILED_LAYOUT)
        scan = scan_fragments(opened.data, start)
        if opened.syntax in _VIDEO and (scan.fragments or scan.rest):
            parts = scan.fragments if scan.rest is None else (*scan.fragments, scan.rest)
            return EncodedFrames(opened, (parts,), (ClipFlag.SALVAGED,) if scan.cut else ())
        starts = JPEG_XL_STARTS if opened.syntax in JPEG_XL_SYNTAXES else CODESTREAM_STARTS
        single = known == RLELossless
        spans = group_fragments(opened.data, scan, image_pixel.declared_frames, single=single, starts=starts)
        cut = scan.cut
        if cut and spans and not _last_frame_is_whole(opened, spans[-1]):
            spans.pop()
    else:
        size, available = image_pixel.frame_bytes, len(opened.data) - start
        length = available if length == _UNDEFINED else length
        cut = length > available
        count = min(length, available) // size
        if count > MAX_FRAMES:
            raise DicomError(f"the pixel data holds more than {MAX_FRAMES} frames", code=StatusCode.FAILED_BOUNDS)
        if not count and not cut:
            raise DicomError("the pixel data is shorter than one declared frame", code=StatusCode.FAILED_LAYOUT)
        spans = [((start + size * i, start + size * (i + 1)),) for i in range(count)]
    if not spans:
        raise DicomError("the file ends before its first frame is complete", code=StatusCode.FAILED_TRUNCATED)
    if len(spans) > MAX_FRAMES:
        raise DicomError(f"the pixel data holds more than {MAX_FRAMES} frames", code=StatusCode.FAILED_BOUNDS)
    flags = []
    if cut and len(spans) != image_pixel.declared_frames:
        flags.append(ClipFlag.SALVAGED)
    elif (image_pixel.declared_frames or 1) != len(spans):
        flags.append(ClipFlag.FRAME_COUNT)
    return EncodedFrames(opened, tuple(spans), tuple(flags))


def _locate_value(opened: OpenDicom) -> tuple[int, int]:
    """Return the offset of the value of (7FE0,0010), and its declared length."""
    at, data = opened.pixel_data_offset, opened.data
    order: Literal["big", "little"] = "big" if opened.big_endian else "little"
    tag = b"\x7f\xe0\x00\x10" if opened.big_endian else b"\xe0\x7f\x10\x00"
    head = data[at : at + 12]
    if head[:4] != tag:
        raise DicomError("the file holds no pixel data", code=StatusCode.FAILED_NO_PIXELS)
    if opened.explicit_vr and head[4:6] in _LONG_VR:
        return at + 12, int.from_bytes(head[8:12], order)
    return at + 8, int.from_bytes(head[4:8], order)


def _last_frame_is_whole(opened: OpenDicom, spans: tuple[Span, ...]) -> bool:
    """Return whether the last frame of a cut file is complete; a JPEG codestream, also of 2000, has an end marker."""
    start, end = spans[0]
    if not opened.data[start : start + 4].startswith(CODESTREAM_STARTS):
        return True
    start, end = spans[-1]
    return b"\xff\xd9" in opened.data[max(start, end - 4) : end]
