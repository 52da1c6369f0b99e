"""Serve the page until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

import uvicorn

from heart2heart.curate.page.app import build
from heart2heart.curate.page.desk import Desk
from heart2heart.curate.page.entry import Entrance
from heart2heart.errors import ConfigError, RemoteError

_PATIENCE_S = 3  # for requests under way, when the page is stopped


class PageServer:
    """One page, listening from its making on.

    Args:
        desk: Who is asked what; its settings say where to listen.

    Raises:
        RemoteError: the address is taken, or not of this machine.
        ConfigError: the certificate cannot be used; the label book has other clips read twice than is asked for.
    """

    def __init__(self, desk: Desk) -> None:
        settings = desk.settings
        self._book = desk.book
        self._socket = _listen(settings.bind, settings.port)
        self.port: int = self._socket.getsockname()[1]
        with ExitStack() as stack:
            stack.callback(self._socket.close)
            entrance = Entrance(settings.raters, self.port)
            self._server = uvicorn.Server(self._config(desk, entrance))
            desk.settle_plan()
            desk.refresh()
            stack.pop_all()

    def _config(self, desk: Desk, entrance: Entrance) -> uvicorn.Config:
        settings = desk.settings
        hosts = settings.hosts(self.port)
        name = settings.names[0] if settings.names else settings.bind
        self.address = f"{settings.scheme}://{f'[{name}]' if ':' in name else name}:{self.port}/"
        config = uvicorn.Config(
            build(desk, entrance, lambda: hosts),
            ssl_certfile=settings.certificate, ssl_keyfile=settings.private_key,
            log_level="error", access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=_PATIENCE_S, proxy_headers=False,
        )  # fmt: skip
        try:
            config.load()
        except OSError as error:  # ssl's own errors are of this kind
            raise ConfigError("this certificate or its key cannot be used", where=settings.certificate) from error
        return config

    def run(self, ready: Callable[[str], None]) -> None:
        """Answer requests until SIGTERM, Ctrl-C or `stop`.

        Args:
            ready: Told the address of the page.
        """
        ready(self.address)
        try:
            with self._book.held_open():
                self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Let `run` return soon; may be called from another thread."""
        self._server.should_exit = True


def _listen(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        return socket.create_server((bind, port), family=family, backlog=256)
    except OSError as error:
        remedy = "Give another --port, or an address of this machine with --bind"
        raise RemoteError(f"cannot listen at port {port}", where=bind, remedy=remedy) from error
