"""Gets clips from a PACS: fetches them by DICOMweb, or receives them by C-STORE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.stores import key_path
from heart2heart.errors import RemoteError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.pacs.retrieve import RetrieveSummary
    from heart2heart.pacs.storage_scp import ReceiveSettings, ReceiveSummary


@dataclass(frozen=True)
class RetrieveResult:
    """Result of one fetch from a PACS.

    Attributes:
        instances: Instances that the server listed.
        summary: Instances fetched, present before, and refused.
        url: The server.
    """

    instances: int
    summary: RetrieveSummary
    url: str

    def require_whole(self) -> None:
        """Raise RemoteError if the server did not give every instance that it listed."""
        if self.summary.refused:
            remedy = "Run the same command again. If the error stays, ask the administrator of the server"
            what = f"{self.summary.refused} instances were listed, but not sent whole"
            raise RemoteError(what, where=self.url, remedy=remedy)


@audited(AuditAction.PULL, beside="spool", reads=["url"], writes=["spool"])
def retrieve(
    url: str,
    spool: str | Path,
    *,
    query: str | Path | None = None,
    dates: str | None = None,
    credentials: str | Path | None = None,
    ca: str | Path | None = None,
    allow_http: bool = False,
    key: str | Path | None = None,
    instance_bytes: int = 4 * 2**30,
    item_seconds: float = 600.0,
    stage: Stage = silent_stage,
) -> RetrieveResult:
    """Fetch ultrasound from a PACS by DICOMweb; a later call continues where this one stopped.

    Args:
        url: Base address of the DICOMweb service.
        spool: Folder for the files (mode 0700), outside any store; created if missing.
        query: YAML file of the query.
        dates: Study dates, `YYYYMMDD-YYYYMMDD`.
        credentials: YAML file (mode 0600) with user and password, or token. None reads the environment.
        ca: Certificate authority (PEM) of the server.
        allow_http: Permit http to another machine.
        key: Key of the file names, created on first use. None takes `SPOOL.key`.
        instance_bytes: Maximum size of one instance; a larger one is not fetched.
        item_seconds: Maximum time for one instance, or for one page of the search.
        stage: Opens the progress.

    Raises:
        ConfigError: http to another machine without `allow_http`.
        RemoteError: the server cannot be reached, or refuses.

    Examples:
        >>> from heart2heart.api import retrieve
        >>> retrieve("http://pacs.example/dicom-web", "spool")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: http to another machine
    """
    from contextlib import closing

    from heart2heart.pacs.connection import Credentials
    from heart2heart.pacs.dicomweb import DicomWebClient, PacsQuery
    from heart2heart.pacs.retrieve import retrieve
    from heart2heart.pacs.spool import Spool

    parsed_query = PacsQuery() if query is None else PacsQuery.load(Path(query))
    if dates is not None:
        parsed_query = PacsQuery.parse(parsed_query.model_dump() | {"dates": dates}, where="--dates")
    known, folder = Credentials.find(None if credentials is None else Path(credentials)), Path(spool)
    authority = None if ca is None else Path(ca)
    with (
        closing(
            DicomWebClient(
                url,
                credentials=known,
                authority=authority,
                allow_http=allow_http,
                instance_bytes=instance_bytes,
                item_seconds=item_seconds,
            )
        ) as server,  # fmt: skip
        Spool.open(folder, key_path(folder, key)) as opened,
    ):
        instances = server.search(parsed_query)
        with stage("pull", len(instances)) as progress:
            summary = retrieve(server, instances, opened, progress=progress)
    return RetrieveResult(len(instances), summary, url)


@audited(AuditAction.RECEIVE, beside="spool", writes=["spool"])
def receive(
    spool: str | Path,
    *,
    port: int = 11112,
    bind: str = "127.0.0.1",
    ae_title: str = "HEART2HEART",
    allow: Sequence[str] = (),
    key: str | Path | None = None,
    tls_cert: str | Path | None = None,
    tls_key: str | Path | None = None,
    tls_ca: str | Path | None = None,
    allow_plaintext: bool = False,
    per_address: int = 10,
    instance_bytes: int = 4 * 2**30,
    instance_seconds: float = 600.0,
    ready: Callable[[ReceiveSettings, str, int], None] | None = None,
) -> ReceiveSummary:
    """Receive DICOM by C-STORE into a folder until SIGTERM or Ctrl-C; acknowledge only what is on disk.

    Args:
        spool: Folder for the files (mode 0700), outside any store; created if missing.
        port: TCP port; 0 takes a free one.
        bind: Address to listen at.
        ae_title: AE title that callers must use.
        allow: AE titles that may send; needed beyond loopback.
        key: Key of the file names, created on first use. None takes `SPOOL.key`.
        tls_cert: Certificate of the receiver (PEM); callers must then use TLS.
        tls_key: Private key of the certificate (PEM).
        tls_ca: Authority that signs the callers' certificates (PEM).
        allow_plaintext: Permit other machines to connect without TLS.
        per_address: Maximum number of connections of one address at one time.
        instance_bytes: Maximum size of one instance.
        instance_seconds: Maximum time of one instance to arrive.
        ready: Called with the settings, the address and the port when callers are accepted.

    Examples:
        >>> import signal
        >>> from heart2heart.api import receive
        >>> summary = receive("spool", port=0, ready=lambda *_: signal.raise_signal(signal.SIGTERM))
        >>> summary.stored
        0
    """
    import signal

    from heart2heart.pacs.spool import Spool
    from heart2heart.pacs.storage_scp import ReceiveSettings, receive

    content = {
        "bind": bind, "port": port, "ae_title": ae_title, "allow": tuple(allow), "tls_cert": tls_cert,
        "tls_key": tls_key, "tls_ca": tls_ca, "allow_plaintext": allow_plaintext, "per_address": per_address,
        "instance_bytes": instance_bytes, "instance_seconds": instance_seconds,
    }  # fmt: skip
    settings, folder, stop = ReceiveSettings.parse(content, where="heart2heart receive"), Path(spool), Event()
    previous = {kind: signal.signal(kind, lambda *_: stop.set()) for kind in (signal.SIGTERM, signal.SIGINT)}

    def report_ready(address: str, listening_port: int) -> None:
        if ready is not None:
            ready(settings, address, listening_port)

    try:
        with Spool.open(folder, key_path(folder, key)) as opened:
            return receive(opened, settings, stop=stop, ready=report_ready)
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
