"""A connection of the receiver whose PDUs have a maximum length, and of which each must arrive in time.

pynetdicom reads a PDU (PS3.8 section 9.3) by its length field, whatever it says and however long it takes, before it
knows the caller. These sockets apply the limits below pynetdicom, where its reading happens.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pynetdicom.association import Association

_HEADER = 6  # bytes: type, reserved, length
_ASSOCIATE_RQ = 1
_POLL = 0.05  # seconds between two looks at a header that arrives in pieces


@dataclass(frozen=True)
class SocketLimits:
    """Limits of one connection.

    Attributes:
        pdu_bytes: Maximum length of a PDU.
        first_seconds: Time from the connection to the end of its first PDU, TLS included.
        pdu_seconds: Time from the first to the last byte of a later PDU.
    """

    pdu_bytes: int
    first_seconds: float
    pdu_seconds: float


class LimitExceededError(OSError):
    """The caller went beyond a limit of length, number or time; the connection is closed."""


class LimitedSocket(socket.socket):
    """A connection without encryption; call `begin` before anything is read."""

    limits: SocketLimits | None = None
    address = ""
    association: Association | None = None
    waiting = True
    """Whether the first PDU is still to come."""
    _deadline = 0.0
    _header = b""
    _body = 0
    _unread = b""

    def begin(self, address: str, limits: SocketLimits, opened: float) -> None:
        """Start the limits.

        Args:
            address: Address of the caller.
            limits: The limits.
            opened: Time of the connection by `time.monotonic`.
        """
        self.address, self.limits, self._deadline = address, limits, opened + limits.first_seconds
        self.settimeout(limits.first_seconds)

    def wait_for_request(self) -> None:
        """Wait until the header of an A-ASSOCIATE-RQ is there; it stays to be read.

        Raises:
            LimitExceededError: it did not come in time, or says that the PDU is too long.
            ConnectionError: the caller closed the connection, or sent something else.
        """
        while len(header := self._look_ahead()) < _HEADER:
            time.sleep(_POLL)
        if header[0] != _ASSOCIATE_RQ:
            raise ConnectionError("no A-ASSOCIATE-RQ")
        self._check_length(header)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Read at most `buflen` bytes, and never beyond the end of a PDU.

        Raises:
            LimitExceededError: the PDU is too long or too slow. The connection is closed.
        """
        if self.limits is None:
            return super().recv(buflen, flags)
        if not self._deadline:
            self._deadline = time.monotonic() + self.limits.pdu_seconds
        try:
            self.settimeout(self._remaining())
            data = self._read(min(buflen, self._body or _HEADER - len(self._header)))
            if self._body:
                self._body -= len(data)
            else:
                self._header += data
                if len(self._header) == _HEADER:
                    self._check_length(self._header)
                    self._body, self._header = int.from_bytes(self._header[2:]), b""
        except TimeoutError:
            self.close()
            raise LimitExceededError("a PDU did not arrive in time") from None
        except LimitExceededError:
            self.close()
            raise
        if not self._body and not self._header:
            self.waiting, self._deadline = False, 0.0
            self.settimeout(self.limits.pdu_seconds)  # of what is sent
        return data

    def shutdown(self, how: int) -> None:
        """Shut the connection down; no error if the caller did so first, after which pynetdicom would not close it."""
        try:
            super().shutdown(how)
        except OSError:
            return

    def evict(self) -> None:
        """End the connection from another thread; the thread that reads it closes it."""
        try:
            socket.socket.shutdown(self, socket.SHUT_RDWR)
        except OSError:
            return

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise LimitExceededError("a PDU did not arrive in time")
        return remaining

    def _check_length(self, header: bytes) -> None:
        assert self.limits is not None
        if int.from_bytes(header[2:]) > self.limits.pdu_bytes:
            raise LimitExceededError("a PDU is too long")

    def _look_ahead(self) -> bytes:
        """Wait for some bytes, and return the first bytes of the connection without taking them."""
        if not select.select([self], [], [], self._remaining())[0]:
            raise LimitExceededError("no request came in time")
        header = super().recv(_HEADER, socket.MSG_PEEK)
        if not header:
            raise ConnectionError("closed by the caller")
        return header

    def _read(self, size: int) -> bytes:
        return super().recv(size)


class LimitedTlsSocket(LimitedSocket, ssl.SSLSocket):
    """A connection by TLS, made by an `ssl.SSLContext` whose `sslsocket_class` this is."""

    def pending(self) -> int:
        """Return the number of bytes that can be read at once; pynetdicom asks before it reads."""
        return len(self._unread) + super().pending()

    def _look_ahead(self) -> bytes:
        self.settimeout(self._remaining())
        try:
            data = ssl.SSLSocket.recv(self, _HEADER - len(self._unread))
        except TimeoutError:
            raise LimitExceededError("no request came in time") from None
        if not data:
            raise ConnectionError("closed by the caller")
        self._unread += data
        return self._unread

    def _read(self, size: int) -> bytes:
        if self._unread:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        return ssl.SSLSocket.recv(self, size)
