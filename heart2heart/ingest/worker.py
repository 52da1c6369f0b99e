"""The task of ingesting one file, and the worker process that runs it."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from heart2heart.deidentify.clip import KnownContentError, PreparedClip, load_clip
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.errors import DicomError, Heart2HeartError, NoSpaceError
from heart2heart.ingest.settings import IngestSettings, Limits
from heart2heart.ingest.source_files import unpacked
from heart2heart.parallel import limit_threads
from heart2heart.schema.status import StatusCode


@dataclass(frozen=True)
class FileOutcome:
    """How one file ended.

    Attributes:
        code: A status code; `accepted` always comes with a clip.
        clip: The prepared clip.
        content: Keyed hash of the file's bytes, if the file is accepted or known.
        manufacturer: Manufacturer of the scanner, if the file names one.
    """

    code: StatusCode
    clip: PreparedClip | None = None
    content: str | None = None
    manufacturer: str | None = None


@dataclass(frozen=True)
class IngestTask:
    """Prepares the file at a path and returns its outcome; a faulty file raises no error. Picklable.

    Attributes:
        key: The hospital's key.
        site: Name of the hospital.
        settings: Settings of the frames.
        known: Content hashes of the files in the store.
        foreign_links: Links that lead out of the folders of the ingest; they are not followed.
    """

    key: Key
    site: str
    settings: IngestSettings
    known: frozenset[str]
    foreign_links: frozenset[Path] = frozenset()

    def __call__(self, path: Path) -> FileOutcome:
        """Prepare one file."""
        if path in self.foreign_links:
            return FileOutcome(StatusCode.EXCLUDED_OUTSIDE_FOLDER)
        return file_outcome(unpacked(path), self._load)

    def _load(self, path: Path) -> PreparedClip:
        return load_clip(
            path,
            geometry=self.settings.build_geometry(),
            rule=self.settings.frames,
            pseudonymizer=Pseudonymizer(self.key),
            site=self.site,
            salvage=self.settings.salvage,
            known=self.known,
            text_policy=self.settings.text,
            viewing_copy=self.settings.viewing_copies,
        )


def file_outcome(opened: AbstractContextManager[Path], load: Callable[[Path], PreparedClip]) -> FileOutcome:
    """Load one file and return its outcome; a faulty file raises no error.

    Args:
        opened: Gives the path at which the content can be read.
        load: Returns the clip at that path, or raises DicomError or another error of a damaged file.
    """
    try:
        with opened as readable:
            before = _file_state(readable)
            clip = load(readable)
            if _file_state(readable) != before:  # still being copied: the hash may not belong to the frames
                return FileOutcome(StatusCode.FAILED_UNREADABLE, manufacturer=clip.facts.manufacturer)
    except KnownContentError as error:
        return FileOutcome(error.code, content=error.content, manufacturer=error.manufacturer)
    except DicomError as error:
        return FileOutcome(error.code, manufacturer=error.manufacturer)
    except NoSpaceError:
        raise
    except MemoryError:
        return FileOutcome(StatusCode.FAILED_MEMORY)
    except DECODE_ERRORS:
        return FileOutcome(StatusCode.FAILED_INTERNAL)
    return FileOutcome(StatusCode.ACCEPTED, clip, clip.content, clip.facts.manufacturer)


def _file_state(path: Path) -> tuple[int, int] | None:
    """Return size and time of change; None for a file that cannot be read, which `load_clip` reports."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


_START_S = 120.0  # to start a process and import what it needs, on a machine under load
_GRACE_S = 5.0  # for a killed process to end; one that hangs in the kernel is abandoned
_STDERR = 2
_STDERR_TAIL_BYTES = 2**16  # last bytes of the standard error of a dead process
_OUT_OF_MEMORY_MESSAGES = (
    b"std::bad_alloc",
    b"memory allocation of",
    b"MemoryError",
    b"out of memory",
    b"Out of memory",
)
"""Messages of the runtimes of C++, Rust and Python, and of the codecs, before they abort for lack of memory."""


class WorkerProcess:
    """A process that works on one file at a time.

    Args:
        work: Called with each path.
        limits: Limits of one file.

    Attributes:
        pipe: Becomes readable when the process sends a message or dies.
        files: Numbers of the submitted files, the current one first.
        ready: Whether the process has started.
        deadline: Time by `time.monotonic` at which the current file, or the start, is overdue.
    """

    def __init__(self, work: Callable[[Path], FileOutcome], limits: Limits) -> None:
        self.files: deque[int] = deque()
        self.ready = False
        self.deadline = time.monotonic() + _START_S
        self._seconds = limits.seconds
        # Spawned, not forked: the parent holds an open ledger and threads of its libraries.
        context = multiprocessing.get_context("spawn")
        self.pipe, child_pipe = context.Pipe()
        self._stderr = _StderrFile()
        self._process = context.Process(target=_serve, args=(child_pipe, self._stderr, work, limits), daemon=True)
        self._process.start()
        child_pipe.close()

    def submit(self, number: int, path: Path) -> None:
        """Submit a file, which the process works on after earlier ones; `receive` reports a dead process."""
        self.files.append(number)
        with suppress(OSError):
            self.pipe.send(path)
        if len(self.files) == 1:
            self._start_clock()

    def receive(self) -> tuple[int, FileOutcome] | None:
        """Return the number and outcome of a file, or None when the process reports its start.

        Raises:
            EOFError: the process died; `OSError` if it died in the middle of a message.
            Heart2HeartError: an error that `work` raised, such as a full disk.
        """
        message = self.pipe.recv()
        number = self.files.popleft() if self.ready else None
        self.ready = True
        self._start_clock()
        if isinstance(message, Heart2HeartError):
            raise message
        return None if number is None else (number, message)

    def _start_clock(self) -> None:
        if self.ready:
            self.deadline = time.monotonic() + self._seconds if self.files else math.inf

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.join(_GRACE_S)
        self.pipe.close()
        self._stderr.close()

    def exit_reason(self) -> StatusCode:
        """Return the status of the current file of a process that died by itself."""
        self._process.join(_GRACE_S)
        output = self._stderr.read()
        return (
            StatusCode.FAILED_MEMORY
            if any(words in output for words in _OUT_OF_MEMORY_MESSAGES)
            else StatusCode.FAILED_CRASHED
        )


class _StderrFile:
    """A nameless file that receives the standard error of a process; the parent reads it after the process dies.

    It also keeps the messages of codecs off the terminal. Each spawned process gets its own handle.
    """

    def __init__(self) -> None:
        self._handle, name = mkstemp()
        Path(name).unlink()

    def __reduce__(self) -> tuple[object, ...]:
        return _InheritedStderr, (reduction.DupFd(self._handle),)

    def read(self) -> bytes:
        """Return the last bytes that were written."""
        size = os.fstat(self._handle).st_size
        return os.pread(self._handle, _STDERR_TAIL_BYTES, max(0, size - _STDERR_TAIL_BYTES))

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class _InheritedStderr:
    """The end of `_StderrFile` in the worker process."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def redirect(self) -> None:
        """Redirect standard error of this process to the file."""
        os.dup2(self._handle.detach(), _STDERR)

    def truncate(self) -> None:
        """Drop the messages about the previous file."""
        os.lseek(_STDERR, 0, os.SEEK_SET)
        os.ftruncate(_STDERR, 0)


def _serve(pipe: Connection, stderr: _InheritedStderr, work: Callable[[Path], FileOutcome], limits: Limits) -> None:
    """Process the paths from the pipe until the parent ends; the parent handles interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stderr.redirect()
    limits.limit_memory()
    limit_threads()
    try:
        pipe.send(None)
        while True:
            path = pipe.recv()
            stderr.truncate()
            try:
                reply: FileOutcome | Heart2HeartError = work(path)
            except MemoryError:
                reply = FileOutcome(StatusCode.FAILED_MEMORY)
            except Heart2HeartError as error:
                reply = error
            pipe.send(reply)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
