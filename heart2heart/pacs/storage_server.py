"""The TCP server of the receiver: limits connections before anything of DICOM is read, and checks certificates."""

from __future__ import annotations

import socket
import socketserver
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from heart2heart.pacs.limited_socket import LimitedSocket, LimitedTlsSocket, LimitExceededError, SocketLimits


class CertificateRefusedError(OSError):
    """The caller does not speak TLS, or has no certificate of the authority."""


class StorageServer(ThreadedAssociationServer):
    """Hands a connection to pynetdicom once the header of its A-ASSOCIATE-RQ is there.

    At a limit of number, the oldest connection that has sent no request yet makes room for a new one. So silent
    connections, whatever their number, keep no sender out.

    Args:
        arguments: Those of pynetdicom's server.
        connections: Maximum number in all.
        per_address: Maximum number of one address.
        limits: Limits of each connection.
        tls: Context of the server's certificate, and of the authority of the callers' certificates. None: no TLS.
        on_close: Called with `closed` or `refused` where a limit, or a failed TLS handshake, ends a connection.
        options: Those of pynetdicom's server.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        *arguments: Any,
        connections: int,
        per_address: int,
        limits: SocketLimits,
        tls: ssl.SSLContext | None,
        on_close: Callable[[str], None],
        **options: Any,
    ) -> None:
        self._connections, self._per_address, self._limits, self._tls = connections, per_address, limits, tls
        self._on_close = on_close
        self._open: list[LimitedSocket] = []  # oldest first
        if tls is not None:
            tls.sslsocket_class = LimitedTlsSocket
        super().__init__(*arguments, **options)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection; the TLS handshake is not made here, where it would keep others waiting."""
        assert self.socket is not None
        accepted, address = self.socket.accept()
        opened, connection = time.monotonic(), accepted
        if self._tls is None:
            connection = LimitedSocket(fileno=accepted.detach())
        else:
            connection = self._tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        assert isinstance(connection, LimitedSocket)
        connection.begin(str(address[0]), self._limits, opened)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether there is room for this connection."""
        self._open = [connection for connection in self._open if _is_open(connection)]
        same = [connection for connection in self._open if connection.address == request.address]
        if len(same) >= self._per_address:
            has_room = self._evict(same)
        else:
            has_room = len(self._open) < self._connections or self._evict(self._of_busiest_address())
        if has_room:
            self._open.append(request)
        else:
            self._on_close("closed")
        return has_room

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Check the caller's certificate and wait for its request, then let pynetdicom answer."""
        try:
            if isinstance(request, LimitedTlsSocket):
                _shake_hands(request)
            request.wait_for_request()
        except (OSError, ValueError) as error:  # a caller that hangs up without a word is no event
            if isinstance(error, LimitExceededError):
                self._on_close("closed")
            elif isinstance(error, CertificateRefusedError):
                self._on_close("refused")
            request.close()
        else:
            super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a traceback could quote what a caller sent."""
        self._on_close("closed")

    def shutdown(self) -> None:
        """Accept no further connection."""
        socketserver.BaseServer.shutdown(self)  # pynetdicom's own expects a server that `start_server` made
        self.server_close()

    def _of_busiest_address(self) -> list[LimitedSocket]:
        waiting = [connection for connection in self._open if connection.waiting]
        counts = Counter(connection.address for connection in waiting)
        return [connection for connection in waiting if counts[connection.address] == max(counts.values())]

    def _evict(self, connections: list[LimitedSocket]) -> bool:
        """End the oldest connection without a request; return whether there was one."""
        for connection in connections:
            if connection.waiting:
                connection.evict()
                self._open.remove(connection)
                self._on_close("closed")
                return True
        return False


def _shake_hands(connection: LimitedTlsSocket) -> None:
    try:
        connection.do_handshake()
    except TimeoutError:
        raise LimitExceededError("the TLS handshake did not end in time") from None
    except ssl.SSLError as error:
        raise CertificateRefusedError("no TLS, or no trusted certificate") from error


def _is_open(connection: LimitedSocket) -> bool:
    """Return whether a connection still costs anything: a socket, or the threads of an association."""
    association = connection.association
    if association is not None and association.ident is not None:
        return association.is_alive()
    return connection.fileno() >= 0


def remember_association(event: Event) -> None:
    """Tell the connection of its association; a handler of pynetdicom's EVT_CONN_OPEN."""
    transport = event.assoc.dul.socket
    if transport is not None and isinstance(transport.socket, LimitedSocket):
        transport.socket.association = event.assoc
