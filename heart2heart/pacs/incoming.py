"""Writes the data set of a C-STORE to the disk fragment by fragment, while it arrives.

pynetdicom would keep a whole data set in memory, however long it is. `InstanceStream` sees every P-DATA-TF (PS3.8
section 9.3.5) first, writes the fragments of data sets to the spool folder, and leaves a short token in their place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from heart2heart.pacs.spool import Spool, SpoolPart

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.pdu import P_DATA_TF

_COMMAND, _LAST = 1, 2  # bits of the message control header, PS3.8 annex E.2
_C_STORE_RQ, _C_ECHO_RQ, _NO_DATA_SET = 0x0001, 0x0030, 0x0101  # PS3.7 annex E
_MAX_COMMAND_BYTES = 2**16
_MAX_UNANSWERED = 8


class ProtocolViolationError(Exception):
    """The caller sends what this receiver does not take, or more than it takes; its association is aborted."""


@dataclass(frozen=True)
class InstanceLimits:
    """Limits of one instance.

    Attributes:
        size: Maximum length of its data set in bytes.
        seconds: Maximum time from its first to its last fragment.
    """

    size: int
    seconds: float


@dataclass
class _Message:
    """A message that is arriving."""

    started: float
    command: bytearray = field(default_factory=bytearray)
    is_command_whole: bool = False
    part: SpoolPart | None = None
    error: OSError | None = None
    size: int = 0


@dataclass(frozen=True)
class Arrived:
    """A data set that has arrived.

    Attributes:
        part: Its file; None if it was not written.
        error: Why it was not written, if the disk is the cause.
    """

    part: SpoolPart | None
    error: OSError | None


class InstanceStream:
    """The messages of one association, in the order in which they arrive.

    Args:
        spool: The spool folder.
        limits: Limits of each instance.
    """

    def __init__(self, spool: Spool, limits: InstanceLimits) -> None:
        self._spool, self._limits = spool, limits
        self._message: _Message | None = None
        self._arrived: dict[bytes, Arrived] = {}
        self._received = self._answered = 0
        self._lock = threading.Lock()
        self.closed = False

    def receive(self, pdu: P_DATA_TF, syntaxes: Mapping[int, str]) -> None:
        """Write the fragments of data sets to the disk, and replace them in `pdu`.

        Args:
            pdu: What arrived, decoded.
            syntaxes: Transfer syntax by presentation context.

        Raises:
            ProtocolViolationError: the caller went beyond a limit, or sent another message than C-STORE and C-ECHO.
        """
        try:
            self._receive(pdu, syntaxes)
        except Exception as error:  # whatever a caller managed to cause; the memory behind it must not get the PDU
            raise ProtocolViolationError("this PDU cannot be taken") from error

    def _receive(self, pdu: P_DATA_TF, syntaxes: Mapping[int, str]) -> None:
        for item in pdu.presentation_data_value_items:
            fragment, context = item.presentation_data_value, item.presentation_context_id
            if not fragment or context is None or context not in syntaxes:
                raise ProtocolViolationError("a fragment without a header, or of an unknown presentation context")
            if self._message is None:
                self._message = _Message(time.monotonic())
            message, is_last = self._message, bool(fragment[0] & _LAST)
            if time.monotonic() - message.started > self._limits.seconds:
                raise ProtocolViolationError("an instance did not arrive in time")
            if fragment[0] & _COMMAND:
                self._add_command(message, fragment[1:], is_last, syntaxes[context])
            else:
                item.presentation_data_value = fragment[:1] + self._add_data(message, fragment[1:], is_last)

    def take(self, token: bytes) -> Arrived:
        """Return the data set of a token; the caller of this function removes its file."""
        with self._lock:
            return self._arrived.pop(token, Arrived(None, None))

    def answered(self) -> None:
        """Count one message as answered."""
        self._answered += 1

    def close(self) -> None:
        """Remove what has not been taken."""
        with self._lock:
            parts = [arrived.part for arrived in self._arrived.values()]
            parts.append(None if self._message is None else self._message.part)
            self._arrived, self._message, self.closed = {}, None, True
        for part in parts:
            if part is not None:
                part.discard()

    def _add_command(self, message: _Message, piece: bytes, is_last: bool, syntax: str) -> None:
        message.command += piece
        if message.is_command_whole or len(message.command) > _MAX_COMMAND_BYTES:
            raise ProtocolViolationError("a command set is too long")
        if not is_last:
            return
        message.is_command_whole = True
        command = _decode_command(bytes(message.command))
        kind, data_set = command.get("CommandField"), command.get("CommandDataSetType")
        if (
            kind not in (_C_STORE_RQ, _C_ECHO_RQ)
            or data_set is None
            or (kind == _C_ECHO_RQ) != (data_set == _NO_DATA_SET)
        ):
            raise ProtocolViolationError("neither C-STORE nor C-ECHO")
        if kind == _C_ECHO_RQ:
            self._count()
            return
        header = _file_header(command, syntax)
        try:
            message.part = self._spool.begin()
            message.part.write(header)
        except OSError as error:
            self._give_up(message, error)

    def _add_data(self, message: _Message, piece: bytes, is_last: bool) -> bytes:
        """Return what stands for the fragment: a token for the last one, else nothing."""
        message.size += len(piece)
        if not message.is_command_whole or message.size > self._limits.size:
            raise ProtocolViolationError("a data set without a command, or one that is too long")
        if message.part is not None:
            try:
                message.part.write(piece)
            except OSError as error:
                self._give_up(message, error)
        if not is_last:
            return b""
        token = f"{self._received:08d}".encode()
        with self._lock:
            self._arrived[token] = Arrived(message.part, message.error)
        self._count()
        return token

    def _count(self) -> None:
        self._message = None
        self._received += 1
        if self._received - self._answered > _MAX_UNANSWERED:
            raise ProtocolViolationError("too many messages before the answer to the first")

    def _give_up(self, message: _Message, error: OSError) -> None:
        """Let the rest of a data set pass without writing it; the caller gets an answer at its end."""
        if message.part is not None:
            message.part.discard()
        message.part, message.error = None, error


def _decode_command(raw: bytes) -> Dataset:
    from pynetdicom.dsutils import decode

    try:
        return decode(BytesIO(raw), True, True)
    except Exception as error:  # pydicom raises whatever a broken data set causes
        raise ProtocolViolationError("a command set that cannot be read") from error


def _file_header(command: Dataset, syntax: str) -> bytes:
    """Return preamble, prefix and file meta information (PS3.10 section 7.1) of a C-STORE request."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import UID
    from pynetdicom.dsutils import create_file_meta

    buffer = DicomBytesIO()
    buffer.write(bytes(128) + b"DICM")
    try:
        meta = create_file_meta(
            sop_class_uid=UID(command.AffectedSOPClassUID),
            sop_instance_uid=UID(command.AffectedSOPInstanceUID),
            transfer_syntax=UID(syntax),
        )
        write_file_meta_info(buffer, meta)
    except Exception as error:  # the UIDs are a caller's, and may be anything
        raise ProtocolViolationError("a C-STORE without usable UIDs") from error
    return buffer.getvalue()
