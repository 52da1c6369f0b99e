"""Sends instances by C-STORE (PS3.4 annex B), each file byte for byte, unless a C-FIND (annex C) finds the instance."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from heart2heart.errors import ConfigError, RemoteError
from heart2heart.pacs.connection import is_loopback, require_extra, silence_network_logs
from heart2heart.pacs.destination import (
    Destination,
    DestinationSettings,
    SendOutcome,
    StoredFile,
    UnreachableError,
    parse_dicom_address,
)

if TYPE_CHECKING:
    from pynetdicom.association import Association

_SUCCESS, _DUPLICATE = 0x0000, 0x0111
_WARNINGS = (0xB000, 0xB006, 0xB007)  # stored, with elements coerced or discarded
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_PROCESSING = 0x0110
_PENDING = (0xFF00, 0xFF01)
_MOST_MATCHES = 100  # of a search for one instance; an archive that gives more has not understood it
_chunked = threading.Lock()


class StoreDestination(Destination):
    """A storage SCP; one association a file, and one before it for the search."""

    def __init__(self, settings: DestinationSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(settings, sleep)
        self._title, self._host, self._port = parse_dicom_address(settings.address)
        self._tls = _context(settings) if urlsplit(settings.address).scheme == "dicoms" else None
        if self._tls is None and not settings.allow_plaintext and not is_loopback(self._host):
            remedy = "Use dicoms://, or --allow-plaintext on a network where nobody can listen"
            raise ConfigError("identity would go over the network unencrypted", where=self._where, remedy=remedy)
        with require_extra("pynetdicom"):
            import pynetdicom

            assert pynetdicom

    @property
    def _where(self) -> str:
        return f"{self._title} at {self._host}:{self._port}"

    def send_once(self, file: StoredFile) -> SendOutcome:
        """Send one file, unless the archive finds an instance of its UID."""
        return SendOutcome.PRESENT if self.holds(file) else self._store(file)

    def holds(self, file: StoredFile) -> bool:
        """Return whether a C-FIND at the level IMAGE finds the instance.

        An archive that takes no search from us, or fails in it, holds nothing.

        Args:
            file: The file.

        Raises:
            UnreachableError: the archive does not answer.
        """
        from pydicom import Dataset

        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID, query.SOPInstanceUID = file.study, file.series, file.uid
        model = "1.2.840.10008.5.1.4.1.2.2.1"  # Study Root Query/Retrieve Information Model - FIND
        try:
            with silence_network_logs(), self._associated((model, None)) as association:
                for count, (status, match) in enumerate(association.send_c_find(query, model)):
                    if status.get("Status") not in _PENDING:
                        return False
                    if match is not None and str(match.get("SOPInstanceUID", "")) == file.uid:
                        return True
                    if count >= _MOST_MATCHES:
                        return False
        except UnreachableError:
            raise
        except (RemoteError, OSError, ValueError, RuntimeError, AttributeError):
            pass
        return False

    def _store(self, file: StoredFile) -> SendOutcome:
        with (
            silence_network_logs(),
            self._associated((file.sop_class, file.syntax)) as association,
            _send_unchanged(),
        ):
            try:
                response = association.send_c_store(file.path)
            except (OSError, ValueError, RuntimeError, AttributeError):
                raise self._unreachable() from None
        status = response.get("Status") if response else None
        if status in (_SUCCESS, *_WARNINGS):
            return SendOutcome.STORED
        if status == _DUPLICATE:
            return SendOutcome.PRESENT
        if status is None or status in _OUT_OF_RESOURCES or status == _PROCESSING:
            raise self._unreachable()
        remedy = "Ask the operator of the archive whether it takes structured reports from this AE title"
        raise RemoteError(f"this archive refuses the object (status {status:04X}H)", where=self._where, remedy=remedy)

    def close(self) -> None:
        """Do nothing: each file has an association of its own."""

    @contextmanager
    def _associated(self, context: tuple[str, str | None]) -> Iterator[Association]:
        from pynetdicom.ae import ApplicationEntity

        entity = ApplicationEntity(self.settings.calling_aet)
        entity.connection_timeout = entity.acse_timeout = self.settings.timeout
        entity.dimse_timeout = entity.network_timeout = self.settings.timeout
        entity.add_requested_context(*context)
        tls = None if self._tls is None else (self._tls, self._host)
        association = entity.associate(self._host, self._port, ae_title=self._title, tls_args=tls)
        try:
            if association.is_rejected:
                remedy = "Ask its operator to accept this AE title, or correct the one in the address"
                raise RemoteError("this archive refuses the association", where=self._where, remedy=remedy)
            if not association.is_established:
                if association.rejected_contexts:
                    what = "this archive takes no objects of this kind in this transfer syntax"
                    raise RemoteError(what, where=self._where, remedy="Ask its operator to accept them")
                raise self._unreachable()
            yield association
        finally:
            if association.is_established:
                association.release()

    def _unreachable(self) -> UnreachableError:
        remedy = "Nothing is lost: run the same command again when it is up"
        what = "this archive does not answer, or has no room at present"
        return UnreachableError(what, where=self._where, remedy=remedy)


@contextmanager
def _send_unchanged() -> Iterator[None]:
    """Let pynetdicom send the bytes of a file as they are, in pieces; its setting is one for the whole process."""
    from pynetdicom import _config

    with _chunked:
        before = _config.STORE_SEND_CHUNKED_DATASET
        _config.STORE_SEND_CHUNKED_DATASET = True
        try:
            yield
        finally:
            _config.STORE_SEND_CHUNKED_DATASET = before


def _context(settings: DestinationSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        if settings.tls_cert is not None:
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ValueError) as error:
        where = settings.tls_cert or settings.ca
        remedy = "Give PEM files, the key without a password"
        raise ConfigError("this certificate, key or authority cannot be used", where=where, remedy=remedy) from error
    return context
