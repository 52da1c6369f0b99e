"""Receives instances by C-STORE (PS3.4 annex B): an SCP that acknowledges instances once they are on the disk."""

from __future__ import annotations

import errno
import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, NoSpaceError
from heart2heart.pacs.connection import is_loopback, require_extra, silence_network_logs
from heart2heart.pacs.spool import Spool

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.events import Event, EventHandlerType

_SUCCESS, _OUT_OF_RESOURCES, _FAILED = 0x0000, 0xA700, 0x0110  # PS3.4 table B.2-1, PS3.7 annex C
_VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
_TICK = 0.1  # seconds


class ReceiveSettings(Config):
    """Address of the receiver, and the callers that it accepts."""

    bind: str = "127.0.0.1"
    """Address to listen at; `0.0.0.0` is all of this machine. Beyond loopback, `allow` must name the callers."""
    port: int = 11112
    """TCP port; 0 chooses a free one."""
    ae_title: str = "HEART2HEART"
    """AE title of the receiver; a caller that names another is refused."""
    allow: tuple[str, ...] = ()
    """AE titles of the accepted callers; empty, on loopback only, accepts every caller."""
    associations: int = 10
    """Maximum number of callers at one time. One instance of each is in memory while it arrives."""
    grace: float = 10.0
    """Seconds that the receiver waits for open associations when it is stopped."""

    @field_validator("ae_title", "allow")
    @classmethod
    def _titles(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for title in (value,) if isinstance(value, str) else value:
            if not (1 <= len(title.strip()) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):
                raise ValueError("an AE title is 1 to 16 plain characters")
        return value

    @field_validator("bind")
    @classmethod
    def _address(cls, value: str) -> str:
        return value if value == "localhost" else str(ipaddress.ip_address(value))


@dataclass(frozen=True)
class ReceiveSummary:
    """Result of one receiver.

    Attributes:
        stored: Instances written and acknowledged.
        again: Instances acknowledged that the folder already held with the same bytes.
        failed: Instances not acknowledged, because the disk was full or could not be written.
        refused: Callers refused by AE title.
    """

    stored: int
    again: int
    failed: int
    refused: int


def receive(
    spool: Spool,
    settings: ReceiveSettings,
    *,
    stop: threading.Event,
    ready: Callable[[str, int], None],
) -> ReceiveSummary:
    """Listen and write incoming instances undecoded until `stop` is set; then wait for callers, at most the grace time.

    Args:
        spool: The spool folder.
        settings: Address to listen at, and accepted callers.
        stop: Set it to stop, for instance from a signal handler.
        ready: Called with address and port once callers are served.

    Raises:
        ConfigError: everybody on a network could send, or the address and port are not available.
    """
    if not is_loopback(settings.bind) and not settings.allow:
        remedy = "Name the senders with --allow, or listen at 127.0.0.1"
        raise ConfigError("anybody on the network could send", where=settings.bind, remedy=remedy)
    with require_extra("pynetdicom"):
        from pynetdicom import evt
    counts: Counter[str] = Counter()

    def store(event: Event) -> int:
        try:
            new = spool.store(str(event.file_meta.MediaStorageSOPInstanceUID), event.encoded_dataset())
        except NoSpaceError:
            counts["failed"] += 1
            return _OUT_OF_RESOURCES
        except OSError:
            counts["failed"] += 1
            return _FAILED
        counts["stored" if new else "again"] += 1
        return _SUCCESS

    def refuse(event: Event) -> None:
        counts["refused"] += 1

    entity = _application_entity(settings)
    with silence_network_logs():
        try:
            handlers: list[EventHandlerType] = [(evt.EVT_C_STORE, store), (evt.EVT_REJECTED, refuse)]
            server = entity.start_server((settings.bind, settings.port), block=False, evt_handlers=handlers)
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, "unknown")
            where = f"{settings.bind}:{settings.port}"
            raise ConfigError(f"this address and port are not available ({reason})", where=where) from error
        assert server is not None  # it is None for a blocking server only
        try:
            ready(str(server.server_address[0]), int(server.server_address[1]))
            stop.wait()
        finally:
            server.shutdown()
            until = time.monotonic() + settings.grace
            while entity.active_associations and time.monotonic() < until:
                time.sleep(_TICK)
            entity.shutdown()
    return ReceiveSummary(counts["stored"], counts["again"], counts["failed"], counts["refused"])


def _application_entity(settings: ReceiveSettings) -> ApplicationEntity:
    """Return the AE: every storage class in every transfer syntax, since `ingest` gives each file its status."""
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

    entity = AE(settings.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(settings.allow)
    entity.maximum_associations = settings.associations
    for context in AllStoragePresentationContexts:
        if context.abstract_syntax is not None:
            entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    entity.add_supported_context(_VERIFICATION)
    return entity
