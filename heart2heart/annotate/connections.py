"""Limits of the page's connections: their number, and the time of a request to arrive.

A request that never ends must not keep others out. At the limit of number, the connection that has been silent for the
longest time makes room for a new one, also while a TLS handshake is open. A browser opens a new connection by itself.
"""

from __future__ import annotations

import asyncio
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 256
REQUEST_SECONDS = 10.0
"""Time from the first byte of a request, or from the connection, to the last byte of its body."""


class Connection(socket.socket):
    """One accepted connection."""

    last_used = 0.0

    def end(self) -> None:
        """Shut the connection down; the event loop closes it."""
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


class BoundedListener(socket.socket):
    """A listening socket with at most `limit` open connections."""

    limit = MAX_CONNECTIONS
    _open: dict[Any, weakref.ref[Connection]]

    @classmethod
    def of(cls, listening: socket.socket, limit: int = MAX_CONNECTIONS) -> BoundedListener:
        """Return the listener that takes the place of a plain listening socket."""
        listener = cls(fileno=listening.detach())
        listener.limit, listener._open = limit, {}
        return listener

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and end the one that was silent longest if there are too many."""
        accepted, address = super().accept()
        connection = Connection(fileno=accepted.detach())
        connection.setblocking(False)
        connection.last_used = time.monotonic()
        still_open = self.connections()
        if len(still_open) >= self.limit:
            peer = min(still_open, key=lambda known: still_open[known].last_used)
            still_open.pop(peer).end()
        self._open = {known: weakref.ref(item) for known, item in still_open.items()} | {
            address: weakref.ref(connection)
        }
        return connection, address

    def connections(self) -> dict[Any, Connection]:
        """Return the open connections by the address of their caller."""
        connections = {peer: reference() for peer, reference in self._open.items()}
        return {peer: item for peer, item in connections.items() if item is not None and item.fileno() >= 0}

    def touch(self, address: Any) -> None:
        """Note that a connection brought a whole request."""
        reference = self._open.get(address)
        connection = None if reference is None else reference()
        if connection is not None:
            connection.last_used = time.monotonic()


def timed_protocol(touch: Callable[[Any], None], seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with a time limit for each request.

    Args:
        touch: Called with the address of a caller whose request is whole.
        seconds: The limit, of which `REQUEST_SECONDS` is the usual one.
    """

    class TimedProtocol(H11Protocol):
        timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast(asyncio.Transport, transport))
            self._watch()

        def data_received(self, data: bytes) -> None:
            if self.timer is None:
                self._watch()
            super().data_received(data)
            if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
                self._stop()
                touch(self.transport.get_extra_info("peername"))

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _watch(self) -> None:
            self.timer = asyncio.get_running_loop().call_later(seconds, self._close_if_unfinished)

        def _stop(self) -> None:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None

        def _close_if_unfinished(self) -> None:
            self.timer = None
            self.transport.abort()

    return TimedProtocol
