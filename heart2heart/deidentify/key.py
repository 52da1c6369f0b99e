"""The secret from which every pseudonym and date shift is derived."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.utils import write_text

_BYTES = 32


@dataclass(frozen=True)
class Key:
    """32 random bytes; who holds them can repeat the pseudonyms, who does not cannot.

    Attributes:
        secret: The bytes. Never shown: not by `repr`, not in an error.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _BYTES:
            raise ConfigError(f"a key has {_BYTES} bytes, this one {len(self.secret)}")

    @classmethod
    def open(cls, path: Path, *, outside: Path | None = None) -> Key:
        """Read the key file, or make it on first use with permissions 0600.

        Args:
            path: The key file: 64 hexadecimal digits.
            outside: A store; a key that lay in it would travel with what it protects, and is refused.

        Raises:
            ConfigError: the key lies inside `outside`, others may read it, or it is not a key.
        """
        if outside is not None and path.resolve().is_relative_to(outside.resolve()):
            remedy = "Name a file outside the store, kept where only you can read it"
            raise ConfigError("the key lies inside the store that it protects", where=path, remedy=remedy)
        if not path.exists():
            write_text(path, secrets.token_hex(_BYTES) + "\n", mode=0o600)
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Key:
        """Read a key file that must exist; see `open`."""
        try:
            with path.open(encoding="ascii") as handle:
                mode = os.fstat(handle.fileno()).st_mode
                text = handle.read(_BYTES * 2 + 16).strip()
        except FileNotFoundError as error:
            raise MissingInputError("no key file here", where=path) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("this key file cannot be read", where=path) from error
        if stat.S_IMODE(mode) & 0o077:
            remedy = f"Run: chmod 600 {path}"
            raise ConfigError("the key file can be read or changed by others", where=path, remedy=remedy)
        try:
            return cls(bytes.fromhex(text))
        except ValueError as error:
            remedy = "It holds 64 hexadecimal digits; restore it from your copy"
            raise ConfigError("this is not a key file", where=path, remedy=remedy) from error

    def digest(self, *parts: str) -> bytes:
        """Return HMAC-SHA256 of `parts`, kept apart so that ("ab", "c") and ("a", "bc") differ."""
        message = b"".join(len(raw).to_bytes(8, "big") + raw for raw in (part.encode() for part in parts))
        return hmac.digest(self.secret, message, hashlib.sha256)
