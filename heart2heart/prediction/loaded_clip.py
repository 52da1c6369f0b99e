"""One file, or one clip of a store, that is ready to be classified; and the task that reads a file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from heart2heart.datasets.load_picture import load_file
from heart2heart.errors import DicomError
from heart2heart.ingest.source_files import unpacked
from heart2heart.ingest.worker import FileOutcome, file_outcome
from heart2heart.prediction.clip_parts import quality_parts
from heart2heart.schema.clip_answer import HashedContent, QualityParts
from heart2heart.schema.enums import ClipMode
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.store.geometry import Geometry
from heart2heart.utils import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heart2heart.deidentify.clip import PreparedClip


@dataclass(frozen=True)
class LoadedClip:
    """A file that was read: its frames, or the status code that says why it has none.

    Attributes:
        file: Path below the folder that was searched, with `/`; of a store, the key of the clip.
        pixels: uint8 `(n, size, size)`; None for a file without frames.
        code: Status of a file without frames; None for others.
        sha256: Hash of the content; None where it could not be read.
        hash_of: What the hash covers.
        mode: Mode of the clip; None for a file without frames.
        flags: What a reader of the clip should know.
        quality: Mean quality of the frames, 0 to 1; None for a file without frames.
        parts: What the quality of the frames consists of; None for a file without frames.
    """

    file: str
    pixels: npt.NDArray[np.uint8] | None = field(repr=False)
    code: StatusCode | None = None
    sha256: str | None = None
    hash_of: HashedContent = HashedContent.FILE
    mode: ClipMode | None = None
    flags: tuple[ClipFlag, ...] = ()
    quality: float | None = None
    parts: QualityParts | None = None

    def __post_init__(self) -> None:
        """Check that there are frames or a code, and not both."""
        assert (self.pixels is None) == (self.code is not None)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return 0 if self.pixels is None else len(self.pixels)

    @classmethod
    def from_outcome(cls, file: str, outcome: FileOutcome) -> LoadedClip:
        """Return the clip of a file that `PredictionTask` read.

        Args:
            file: Name of the file in its answer.
            outcome: Its outcome; `content` is the hash of the file.
        """
        clip = outcome.clip
        if clip is None:
            return cls(file, None, code=outcome.code, sha256=outcome.content)
        return cls(
            file=file,
            pixels=clip.pixels,
            sha256=outcome.content,
            mode=clip.facts.mode,
            flags=tuple(clip.facts.flags),
            quality=mean_quality([frame["quality"] for frame in clip.frames]),
            parts=quality_parts(clip.pixels),
        )


def mean_quality(qualities: list[Any]) -> float | None:
    """Return the mean quality of frames, 0 to 1; None without frames."""
    return float(np.clip(np.mean(qualities), 0, 1)) if qualities else None


@dataclass(frozen=True)
class PredictionTask:
    """Reads the file at a path and returns its outcome; a faulty file raises no error. Picklable.

    Attributes:
        geometry: Geometry of the frames that the model takes.
        rule: Frames to read: `all`, `every:N`, `even:K` or `ed_es:K`.
        foreign_links: Links that lead out of the folders; they are not followed.
    """

    geometry: Geometry
    rule: str = "all"
    foreign_links: frozenset[Path] = frozenset()

    def __call__(self, path: Path) -> FileOutcome:
        """Read one file; `content` of the outcome is the hash of its bytes."""
        if path in self.foreign_links:
            return FileOutcome(StatusCode.EXCLUDED_OUTSIDE_FOLDER)
        hashes: list[str] = []
        outcome = file_outcome(_hashed(path, hashes), self._load)
        return replace(outcome, content=hashes[0] if hashes else None)

    def _load(self, path: Path) -> PreparedClip:
        return load_file(path, geometry=self.geometry, rule=self.rule)


@contextmanager
def _hashed(path: Path, hashes: list[str]) -> Iterator[Path]:
    """Yield the path at which the content can be read, and append the hash of its bytes to `hashes`."""
    with unpacked(path) as readable:
        if readable.is_file():  # a pipe would block, and a folder that cannot be listed is reported below
            try:
                hashes.append(sha256_file(readable))
            except OSError:
                raise DicomError("this file cannot be read", code=StatusCode.FAILED_UNREADABLE) from None
        yield readable
