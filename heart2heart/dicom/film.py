"""The decoded frames of one file, by number, stepping over damaged ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from heart2heart.dicom.decode import Decoder
from heart2heart.dicom.layout import Layout
from heart2heart.dicom.pixels import PixelSource
from heart2heart.errors import DicomError

_BATCH_PIXELS = 2**25  # decoded pixels held at a time, so that memory does not grow with the clip


class Film:
    """Decodes frames when they are asked for.

    Args:
        source: The encoded frames.
        decoder: The pinned decoder of the file's transfer syntax.
        layout: The declared layout.
        strict: Whether one damaged frame fails the clip; else it is left out and `damaged` says so.
    """

    def __init__(self, source: PixelSource, decoder: Decoder, layout: Layout, *, strict: bool) -> None:
        self._source, self._decoder, self._layout = source, decoder, layout
        self._strict = strict
        self.damaged = False

    @property
    def coloured(self) -> bool:
        """Whether the pictures can hold colour at all."""
        return self._layout.coloured

    def __len__(self) -> int:
        """Return the number of frames in the file."""
        return len(self._source)

    def decode(
        self, numbers: npt.NDArray[np.int64], *, gray: bool
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Return the numbers of the sound frames among `numbers`, and their pictures.

        Returns:
            int64 `(n,)`, and uint8 `(n, rows, columns)` if `gray`, else RGB `(n, rows, columns, 3)`.

        Raises:
            DicomError: `failed:decode` when a frame is damaged and that is not tolerated.
        """
        sound, pictures = [], []
        for number in numbers.tolist():
            try:
                frame = self._source.frame(number)
                pictures.append(self._decoder.decode(frame, self._layout, gray=gray))
                sound.append(number)
            except DicomError:
                if self._strict:
                    raise
                self.damaged = True
        if not pictures:
            size = (self._layout.rows, self._layout.columns)
            return np.zeros(0, np.int64), np.zeros((0, *size) if gray else (0, *size, 3), np.uint8)
        return np.asarray(sound, np.int64), np.stack(pictures)

    def batches(self, numbers: npt.NDArray[np.int64]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]]:
        """Yield gray pictures of `numbers` in batches of bounded size, as `decode` returns them."""
        step = max(1, _BATCH_PIXELS // (self._layout.rows * self._layout.columns))
        for start in range(0, len(numbers), step):
            yield self.decode(numbers[start : start + step], gray=True)
