"""Atomic file writes, hashes, PNG encoding, and random generators by name.

A reader never sees half of a file. One root seed gives many named streams: adding a stream never shifts another.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import mmap
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from heart2heart.errors import MissingInputError, NoSpaceError, StoreError, UnwritableError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@contextmanager
def atomic_path(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success flush it to disk and rename it onto `path`.

    Args:
        path: Final name. Its folder is made if it is missing.
        mode: File permissions to set before the rename, e.g. 0o600 for a secret. None keeps those of an existing file;
            a new file can be read by its owner alone.

    Raises:
        UnwritableError: nothing can be written there; said before anything is computed within the block.
        NoSpaceError: the disk filled up; `path` is as it was before.
    """
    temporary = _temporary_path(path)
    existing = _mode_of(path) if mode is None else None
    _create_empty(temporary, path, _PRIVATE if mode is None else mode)
    try:
        yield temporary
        with temporary.open("rb") as handle:
            if existing is not None:
                os.fchmod(handle.fileno(), existing)
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        if is_disk_full(error):
            raise no_space(path) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _mode_of(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


_PRIVATE = 0o600


def check_writable(path: Path) -> None:
    """Check that a file can be written, before hours are spent on its content.

    Raises:
        UnwritableError: see `atomic_path`.
        NoSpaceError: see `atomic_path`.
    """
    temporary = _temporary_path(path)
    _create_empty(temporary, path, _PRIVATE)
    temporary.unlink(missing_ok=True)


def _temporary_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")


_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: OSError) -> bool:
    """Return whether `error` says that a disk or a quota is full."""
    return error.errno in _DISK_FULL


def no_space(path: Path) -> NoSpaceError:
    """Return the error of a full disk, with its remedy."""
    remedy = "Free some space and run the same command again"
    return NoSpaceError("no space left on the disk", where=path, remedy=remedy)


def _create_empty(temporary: Path, path: Path, mode: int) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        make_private_folder(path.parent)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    except OSError as error:
        if is_disk_full(error):
            raise no_space(path) from error
        remedy = "Name a file in a folder with write permission"
        raise UnwritableError(f"nothing can be written here ({error.strerror})", where=path, remedy=remedy) from error


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing parents with mode 0700; a folder that exists keeps its mode."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file of mode 0600, for a library that opens files itself; a file that exists keeps its mode."""
    make_private_folder(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, _PRIVATE))


def is_temporary(name: str) -> bool:
    """Return whether `name` is a temporary name of `atomic_path`: an unfinished file."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", name) is not None


def write_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write `text` as UTF-8 under a temporary name, then rename."""
    with atomic_path(path, mode=mode) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_exclusive(path: Path, text: str, *, mode: int) -> bool:
    """Write `text` as UTF-8 to a new file; a file that exists, also one made meanwhile, stays as it is.

    Args:
        path: The file.
        text: Its content.
        mode: File permissions, e.g. 0o600 for a secret.

    Returns:
        Whether this call made the file.

    Raises:
        UnwritableError: see `atomic_path`.
        NoSpaceError: see `atomic_path`.
    """
    temporary = _temporary_path(path)
    _create_empty(temporary, path, mode)
    try:
        temporary.write_text(text, encoding="utf-8")
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        try:
            os.link(temporary, path)  # unlike a rename, fails where the file exists
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            return _write_new(path, text, mode)
    except OSError as error:
        if is_disk_full(error):
            raise no_space(path) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    return True


_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def _write_new(path: Path, text: str, mode: int) -> bool:
    """Write a new file on a file system without hard links, where another process may read the first half of it."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    return True


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON with a stable key order; refuses NaN."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, *, what: str) -> Any:
    """Read a JSON file that must exist.

    Args:
        path: The file.
        what: What the file is, for the error message, e.g. "split manifest".

    Raises:
        MissingInputError: no such file, or it cannot be read.
        StoreError: the file is not JSON, nested too deeply, or holds a number that is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise MissingInputError(f"no {what} here", where=path) from error
    except OSError as error:
        raise MissingInputError(f"this {what} cannot be read ({error.strerror})", where=path) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"this {what} is not readable JSON", where=path, remedy="Restore it from a copy") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        try:
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)  # spares a copy of the bytes
        except (OSError, ValueError):  # an empty file, or one that cannot be mapped
            return hashlib.file_digest(handle, "sha256").hexdigest()
        with mapped:
            return hashlib.sha256(mapped).hexdigest()


def sha256_json(content: Any) -> str:
    """Return the hex SHA-256 of the canonical JSON form of `content`."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return uint8 `(height, width)` or RGB `(height, width, 3)` as the bytes of a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def random_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of the stream called `names` under root `seed`.

    Args:
        seed: The root seed of a run, a split or a simulation.
        names: What the stream is for, e.g. ("hospital", "A", "patient", 3).
    """
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words.tolist()])))
