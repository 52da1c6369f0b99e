"""Pairs of frames that a certificate suspects to be copies, and the file in which a person clears false alarms.

Both files hold their own hash: one that was edited is refused. A cleared pair is bound to the pixels of its frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from heart2heart.config import Config
from heart2heart.errors import ConfigError, SplitError
from heart2heart.utils import read_json, sha256_json, write_json

SUSPECTED_FILE = "suspected_pairs.json"
"""Name of the file in the folder of a split; it exists where the certificate suspects a pair."""

MAX_BYTES = 2**26
"""Size of the largest file that is read."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class SuspectedPair(Config):
    """Two frames of different groups that may show the same picture."""

    left: str
    """Name of the one frame."""
    right: str
    """Name of the other frame."""
    correlation: float
    """Correlation of their pixels, or of their local contrast after registration."""
    registered: bool
    """Whether the correlation is that after registration."""
    left_sha256: Sha256
    """Hash of the pixels of the one frame."""
    right_sha256: Sha256
    """Hash of the pixels of the other frame."""

    @property
    def pixels(self) -> frozenset[str]:
        """Hashes of both frames, by which a pair is the same in either order."""
        return frozenset((self.left_sha256, self.right_sha256))


class ClearedPair(SuspectedPair):
    """A pair that a person looked at and judged to be no copy."""

    reviewer: Text
    """Who looked at it."""
    reason: Text
    """Why it is no copy."""
    reviewed: str
    """When, UTC, ISO 8601."""


class _Sealed(Config):
    """Content of a file that holds its own hash."""

    schema_version: int = 1
    """Version of this layout."""

    def digest(self) -> str:
        """Return the hash of the content."""
        return sha256_json(self.model_dump(mode="json"))

    def write(self, path: Path) -> None:
        """Write content and hash."""
        write_json(path, self.model_dump(mode="json") | {"sha256": self.digest()})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file and compare its hash.

        Raises:
            MissingInputError: no such file.
            SplitError: the file is of another kind, or was edited.
        """
        remedy = "Write it again with `heart2heart certify` or `heart2heart clear-pairs`; it is never edited by hand"
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise SplitError("this list of pairs is too large", where=path, remedy=remedy)
        content: Any = read_json(path, what="list of pairs")
        if not isinstance(content, dict):
            raise SplitError("this is no list of pairs", where=path, remedy=remedy)
        stated = content.pop("sha256", None)
        if stated != sha256_json(content):
            raise SplitError("this list of pairs was edited after it was written", where=path, remedy=remedy)
        try:
            return cls.parse(content, where=path)
        except ConfigError as error:
            raise SplitError("this is no list of pairs of this kind", where=path, remedy=remedy) from error


class SuspectedPairs(_Sealed):
    """The pairs that a certificate suspects, the most alike first."""

    split_sha256: str
    """Hash of the split."""
    pairs: tuple[SuspectedPair, ...]
    """Pairs; a reader numbers them from 1."""


class ReviewedPairs(_Sealed):
    """The pairs that persons cleared."""

    pairs: tuple[ClearedPair, ...]
    """Cleared pairs, in the order of their review."""
