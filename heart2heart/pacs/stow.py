"""Sends instances by STOW-RS (PS3.18 section 10.5), after a QIDO-RS search whether the archive has them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from heart2heart.errors import RemoteError
from heart2heart.pacs.connection import Credentials, silence_network_logs
from heart2heart.pacs.destination import Destination, DestinationSettings, SendOutcome, StoredFile, UnreachableError
from heart2heart.pacs.dicomweb import DicomWebClient, too_slow

if TYPE_CHECKING:
    from requests import Response

_BUSY = (408, 429, 500, 502, 503, 504)
_REFUSED = (401, 403, 404)
_DUPLICATE, _PROCESSING = 0x0111, 0x0110  # failure reasons, PS3.18 table I.2-2
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_JSON = "application/dicom+json"
_PIECE = 2**18  # bytes
_BOUNDARY = "heart2heart-f3b1c2d4a5e697887766554433221100"


class StowDestination(Destination):
    """A DICOMweb service that takes instances."""

    def __init__(self, settings: DestinationSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(settings, sleep)
        self._service = _StowClient(
            settings.address,
            credentials=Credentials.find(settings.credentials),
            authority=settings.ca,
            allow_http=settings.allow_plaintext,
            timeout=settings.timeout,
            attempts=1,
        )

    def send_once(self, file: StoredFile) -> SendOutcome:
        """Send one file, unless the service has an instance of its UID."""
        return SendOutcome.PRESENT if self._service.holds(file) else self._service.store(file)

    def close(self) -> None:
        """Close the connections."""
        self._service.close()


class _StowClient(DicomWebClient):
    def holds(self, file: StoredFile) -> bool:
        """Return whether a search finds the instance; a service that cannot search holds nothing."""
        address = f"{self.url}/studies/{quote(file.study, safe='')}/instances"

        def search() -> Response:
            options: dict[str, Any] = {"params": {"SOPInstanceUID": file.uid}, "headers": {"Accept": _JSON}}
            return self._session.get(address, timeout=self._timeout, **options)

        response = self._attempt(search)
        if response.status_code in _BUSY:
            raise _unreachable(self.url)
        try:
            return response.status_code == 200 and bool(response.json())
        except ValueError:
            return False

    def store(self, file: StoredFile) -> SendOutcome:
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
            "Accept": _JSON,
        }

        def post() -> Response:
            with closing(_MultipartFile(file)) as body:
                return self._session.post(f"{self.url}/studies", data=body, headers=headers, timeout=self._timeout)

        response = self._attempt(post)
        reason = _failure_reason(response)
        if reason == _DUPLICATE:
            return SendOutcome.PRESENT
        if response.status_code in _BUSY or reason == _PROCESSING or reason in _OUT_OF_RESOURCES:
            raise _unreachable(self.url)
        if response.status_code in _REFUSED:
            with self._translate_errors():
                response.raise_for_status()
        if not response.ok or reason is not None:
            code = f"HTTP {response.status_code}" + ("" if reason is None else f", reason {reason:04X}H")
            remedy = "Ask the operator of the archive whether it takes structured reports"
            raise RemoteError(f"this archive refuses the object ({code})", where=self.url, remedy=remedy)
        return SendOutcome.STORED

    def _attempt(self, call: Callable[[], Response]) -> Response:
        from requests.exceptions import ConnectionError as NoConnectionError
        from requests.exceptions import SSLError, Timeout

        watchdog = self._session.watchdog
        with self._translate_errors(), silence_network_logs(), watchdog.limit(self._item_seconds):
            try:
                return call()
            except SSLError:
                raise
            except (NoConnectionError, Timeout):
                raise too_slow(self.url) if watchdog.is_expired else _unreachable(self.url) from None


class _MultipartFile:
    """The body of a request with one part, which is read from its file in pieces; `requests` asks for its length."""

    def __init__(self, file: StoredFile) -> None:
        head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
        self._file = file.path.open("rb")
        self._pieces: list[BinaryIO] = [io.BytesIO(head), self._file, io.BytesIO(tail)]
        self._length = len(head) + file.path.stat().st_size + len(tail)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE):
            yield piece

    def read(self, size: int = -1) -> bytes:
        while self._pieces:
            piece = self._pieces[0].read(size)
            if piece:
                return piece
            self._pieces.pop(0)
        return b""

    def close(self) -> None:
        self._file.close()


def _failure_reason(response: Response) -> int | None:
    """Return the reason why the instance was not stored; None where the answer names none."""
    try:
        failed = response.json()["00081198"]["Value"][0]["00081197"]["Value"][0]
        return int(failed)
    except (ValueError, TypeError, LookupError):
        return None


def _unreachable(url: str) -> UnreachableError:
    remedy = "Nothing is lost: run the same command again when it is up"
    return UnreachableError("this archive does not answer, or has no room at present", where=url, remedy=remedy)
