"""Receives instances by C-STORE (PS3.4 annex B): an SCP that acknowledges instances once they are on the disk."""

from __future__ import annotations

import errno
import ipaddress
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, NoSpaceError
from heart2heart.pacs.connection import is_loopback, require_extra, silence_network_logs
from heart2heart.pacs.incoming import InstanceLimits, InstanceStream, ProtocolViolationError
from heart2heart.pacs.limited_socket import SocketLimits
from heart2heart.pacs.spool import Spool
from heart2heart.utils import is_disk_full

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.events import Event, EventHandlerType

_SUCCESS, _OUT_OF_RESOURCES, _FAILED = 0x0000, 0xA700, 0x0110  # PS3.4 table B.2-1, PS3.7 annex C
_VERIFICATION = "1.2.840.10008.1.1"  # C-ECHO
_TICK = 0.1  # seconds
_PDU_BYTES = 131_072  # the most that DCMTK sends


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
    associations: int = Field(default=20, ge=1)
    """Maximum number of connections at one time, with or without an association. A connection that has sent no request
    yet makes room for a new one."""
    per_address: int = Field(default=10, ge=1)
    """Maximum number of connections of one address at one time."""
    request_seconds: float = Field(default=10.0, gt=0)
    """Time of a new connection until its association request has arrived, TLS included."""
    idle_seconds: float = Field(default=60.0, gt=0)
    """Time without a message after which an association is aborted, and time of one PDU to arrive."""
    instance_seconds: float = Field(default=600.0, gt=0)
    """Time of one instance to arrive."""
    instance_bytes: int = Field(default=4 * 2**30, ge=1)
    """Maximum size of one instance."""
    tls_cert: Path | None = None
    """Certificate of the receiver (PEM). With it, callers must use TLS, and show a certificate signed by `tls_ca`."""
    tls_key: Path | None = None
    """Private key of the certificate (PEM, without a password)."""
    tls_ca: Path | None = None
    """Certificates of the authorities that sign the callers' certificates (PEM)."""
    allow_plaintext: bool = False
    """Permit connections without TLS from other machines."""
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

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if len({self.tls_cert is None, self.tls_key is None, self.tls_ca is None}) > 1:
            raise ValueError("give the certificate, its key and the authority of the callers together")
        return self


@dataclass(frozen=True)
class ReceiveSummary:
    """Result of one receiver.

    Attributes:
        stored: Instances written and acknowledged.
        again: Instances acknowledged that the folder already held with the same bytes.
        failed: Instances not acknowledged, because the disk was full or could not be written.
        refused: Callers refused by AE title, or by TLS.
        closed: Connections closed at a limit of number, size or time, or for what they sent.
    """

    stored: int
    again: int
    failed: int
    refused: int
    closed: int = 0


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
        ConfigError: everybody on a network could send, or listen; a certificate cannot be used; or the address and port
            are not available.
    """
    tls = _check_doors(settings)
    with require_extra("pynetdicom"):
        from pynetdicom import evt

        from heart2heart.pacs.storage_server import StorageServer, remember_association
    receiver, entity = _Receiver(spool, settings), _application_entity(settings)
    handlers: list[EventHandlerType] = [
        (evt.EVT_CONN_OPEN, remember_association),
        (evt.EVT_PDU_RECV, receiver.on_pdu),
        (evt.EVT_C_STORE, receiver.on_store),
        (evt.EVT_DIMSE_SENT, receiver.on_answer),
        (evt.EVT_REJECTED, receiver.on_rejection),
        (evt.EVT_CONN_CLOSE, receiver.on_close),
    ]
    limits = SocketLimits(_PDU_BYTES, settings.request_seconds, settings.idle_seconds)
    with silence_network_logs():
        try:
            server = entity.make_server(
                (settings.bind, settings.port), evt_handlers=handlers, server_class=StorageServer, limits=limits,
                tls=tls, connections=settings.associations, per_address=settings.per_address, on_close=receiver.count,
            )  # fmt: skip
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, "unknown")
            where = f"{settings.bind}:{settings.port}"
            raise ConfigError(f"this address and port are not available ({reason})", where=where) from error
        assert isinstance(server, StorageServer)
        accepting = threading.Thread(target=server.serve_forever, args=(_TICK,), daemon=True)
        accepting.start()
        try:
            ready(str(server.server_address[0]), int(server.server_address[1]))
            stop.wait()
        finally:
            server.shutdown()
            until = time.monotonic() + settings.grace
            while entity.active_associations and time.monotonic() < until:
                time.sleep(_TICK)
            entity.shutdown()
            receiver.close()
    return receiver.summary()


def _check_doors(settings: ReceiveSettings) -> ssl.SSLContext | None:
    """Return the context of TLS, or None for a receiver without."""
    if not is_loopback(settings.bind) and not settings.allow:
        remedy = "Name the senders with --allow, or listen at 127.0.0.1"
        raise ConfigError("anybody on the network could send", where=settings.bind, remedy=remedy)
    if settings.tls_cert is None or settings.tls_key is None or settings.tls_ca is None:
        if not is_loopback(settings.bind) and not settings.allow_plaintext:
            remedy = (
                "Give --tls-cert, --tls-key and --tls-ca, or --allow-plaintext on a network where nobody can listen"
            )
            raise ConfigError("identity would go over the network unencrypted", where=settings.bind, remedy=remedy)
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 or later
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: "")
        context.load_verify_locations(settings.tls_ca)
    except OSError as error:  # ssl's own errors are of this kind
        remedy = "Give PEM files; the key must have no password"
        raise ConfigError(
            "this certificate, key or authority cannot be used", where=settings.tls_cert, remedy=remedy
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class _Receiver:
    """The handlers of pynetdicom's events."""

    def __init__(self, spool: Spool, settings: ReceiveSettings) -> None:
        self._spool, self._limits = spool, InstanceLimits(settings.instance_bytes, settings.instance_seconds)
        self._counts: Counter[str] = Counter()
        self._streams: dict[Association, InstanceStream] = {}
        self._lock = threading.Lock()

    def count(self, kind: str) -> None:
        with self._lock:
            self._counts[kind] += 1

    def summary(self) -> ReceiveSummary:
        return ReceiveSummary(
            **{kind: self._counts[kind] for kind in ("stored", "again", "failed", "refused", "closed")}
        )

    def on_pdu(self, event: Event) -> None:
        from pynetdicom.pdu import P_DATA_TF

        if not isinstance(event.pdu, P_DATA_TF):
            return
        with self._lock:
            stream = self._streams.setdefault(event.assoc, InstanceStream(self._spool, self._limits))
        try:
            if not stream.closed:
                accepted = event.assoc.accepted_contexts
                syntaxes = {context.context_id or 0: str(context.transfer_syntax[0]) for context in accepted}
                stream.receive(event.pdu, syntaxes)
                return
        except ProtocolViolationError:
            self.count("closed")
            stream.close()
        event.pdu.presentation_data_value_items.clear()
        event.assoc.abort()

    def on_store(self, event: Event) -> int:
        from pynetdicom.dimse_primitives import C_STORE

        stream, request = self._streams.get(event.assoc), event.request
        if stream is None or not isinstance(request, C_STORE) or request.DataSet is None:
            return _FAILED
        arrived = stream.take(request.DataSet.getvalue())
        try:
            if arrived.part is None:
                raise arrived.error or OSError(errno.EIO, "nothing arrived")
            new = self._spool.keep(arrived.part, str(request.AffectedSOPInstanceUID))
        except NoSpaceError:
            self.count("failed")
            return _OUT_OF_RESOURCES
        except OSError as error:
            self.count("failed")
            return _OUT_OF_RESOURCES if is_disk_full(error) else _FAILED
        self.count("stored" if new else "again")
        return _SUCCESS

    def on_answer(self, event: Event) -> None:
        stream = self._streams.get(event.assoc)
        if stream is not None:
            stream.answered()

    def on_rejection(self, event: Event) -> None:
        self.count("refused")

    def on_close(self, event: Event) -> None:
        with self._lock:
            stream = self._streams.pop(event.assoc, None)
        if stream is not None:
            stream.close()
        event.assoc.dul.kill_dul()  # else its threads stay until the idle time is over

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()


def _application_entity(settings: ReceiveSettings) -> ApplicationEntity:
    """Return the AE: every storage class in every transfer syntax, since `ingest` gives each file its status."""
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

    entity = AE(settings.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(settings.allow)
    entity.maximum_associations = settings.associations + 1  # the server has closed what is beyond
    entity.maximum_pdu_size = _PDU_BYTES
    entity.acse_timeout = settings.request_seconds
    entity.network_timeout = settings.idle_seconds
    for context in AllStoragePresentationContexts:
        if context.abstract_syntax is not None:
            entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    entity.add_supported_context(_VERIFICATION)
    return entity
