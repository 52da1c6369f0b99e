"""Searches a DICOMweb server (QIDO-RS, PS3.18 section 10.6) and fetches instances as stored (WADO-RS, 10.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, RemoteError
from heart2heart.pacs.connection import Credentials, is_loopback, require_extra, silence_network_logs
from heart2heart.pacs.multipart import BrokenResponseError, copy_part
from heart2heart.pacs.search import FORM, InstanceReference, InstanceSearch, UnusableAnswerError, not_dicomweb

if TYPE_CHECKING:
    from requests import Response


class PacsQuery(Config):
    """Which studies and series to fetch.

    Put identifiers of patients into a file of this form, not on the command line, where every user of the machine can
    read them.
    """

    modality: str = "US"
    """Modality of the series (0008,0060)."""
    dates: str | None = None
    """Study dates, `20240101` or `20240101-20240331`; either side of the dash may be left out."""
    match: dict[str, str] = Field(default_factory=dict)
    """Further study attributes by DICOM keyword (`PatientID: ...`), with the wildcards that the server allows."""

    @field_validator("modality")
    @classmethod
    def _modality_code(cls, value: str) -> str:
        if re.fullmatch(r"[A-Z0-9_]{2,16}", value) is None:
            raise ValueError("a modality is two or more capital letters, such as US")
        return value

    @field_validator("dates")
    @classmethod
    def _date_range(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"\d{8}|\d{8}-(\d{8})?|-\d{8}", value) is None:
            raise ValueError("dates are YYYYMMDD, YYYYMMDD-YYYYMMDD, YYYYMMDD- or -YYYYMMDD")
        return value

    @field_validator("match")
    @classmethod
    def _keywords(cls, value: dict[str, str]) -> dict[str, str]:
        from pydicom.datadict import tag_for_keyword

        if any(tag_for_keyword(keyword) is None for keyword in value):
            raise ValueError("a name is not a DICOM keyword")
        return value

    def filters(self) -> dict[str, str]:
        """Return the query parameters of a study search (PS3.18 section 8.3.4)."""
        dates = {} if self.dates is None else {"StudyDate": self.dates}
        return {"ModalitiesInStudy": self.modality} | dates | self.match


_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_ENVELOPE = 2**17  # bytes of a response around its part
_UNKNOWN = 401  # 403 may be meant for one patient's study
_REFUSED = (_UNKNOWN, 403)


class DicomWebClient:
    """One DICOMweb service.

    Args:
        url: Its base, as `https://pacs.example/dicom-web`.
        credentials: Sent with every request.
        authority: File of the certificate authority that signed the server's certificate, if the system lacks it.
        allow_http: Permit an unencrypted connection to another machine.
        timeout: Seconds to wait for a connection, and between two bytes of a response.
        attempts: Attempts at a request before the server counts as unreachable.
        item_seconds: Seconds for one instance, or one page of a search, however steadily it arrives.
        instance_bytes: Maximum size of one instance.

    Raises:
        ConfigError: the address is invalid, holds credentials, or leads over an unencrypted network.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        authority: Path | None = None,
        allow_http: bool = False,
        timeout: float = 60.0,
        attempts: int = 4,
        item_seconds: float = 600.0,
        instance_bytes: int = 4 * 2**30,
    ) -> None:
        self.url, self._timeout, self._attempts = _checked(url, allow_http=allow_http), timeout, attempts
        self._item_seconds, self._instance_bytes = item_seconds, instance_bytes
        if authority is not None and not authority.is_file():
            raise ConfigError("no certificate file here", where=authority)
        with require_extra("dicomweb-client"):
            from dicomweb_client import DICOMwebClient

            from heart2heart.pacs.http_session import BoundedSession
        self._session = BoundedSession(self.url, credentials or Credentials(), authority, attempts)
        self._client = DICOMwebClient(self.url, session=self._session, permissive_uid=True, timeout=timeout)
        self._client.set_http_retry_params(retry=False)  # the session retries

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def search(self, query: PacsQuery) -> list[InstanceReference]:
        """Return every instance of the series that match `query`, sorted.

        What the server lists but does not let search, such as a study without a usable UID, is one reference that
        `fetch` refuses.

        Raises:
            RemoteError: the server cannot be reached, refuses, does not speak DICOMweb, or lists without end.
        """
        search = InstanceSearch(self._client, self.url, self._guarded)
        return sorted(search.find(query.filters(), query.modality))

    def _guarded(self, call: Callable[[], Any]) -> Any:
        with self._translate_errors(), silence_network_logs(), self._session.watchdog.limit(self._item_seconds):
            try:
                return call()
            except (ValueError, RecursionError) as error:  # of a JSON that is no JSON, too deep, or with huge numbers
                from requests.exceptions import RequestException

                if isinstance(error, RequestException):
                    raise
                raise not_dicomweb(self.url) from None

    def fetch(self, instance: InstanceReference, out: BinaryIO) -> bool:
        """Write one instance to `out`, exactly as the server stores it.

        Returns:
            False if the server no longer has it, denies access to it, or cannot send it completely; or if it is larger
            than permitted.

        Raises:
            RemoteError: the server does not answer in time, or refuses the credentials.
        """
        if not instance.is_usable:
            return False
        from heart2heart.pacs.http_session import TooLargeError

        try:
            with self._session.watchdog.limit(self._item_seconds):
                return self._fetch(instance, out)
        except (TooLargeError, UnusableAnswerError):
            return False

    def _fetch(self, instance: InstanceReference, out: BinaryIO) -> bool:
        from heart2heart.pacs.http_session import TooLargeError, iterate_body

        parts = ("studies", instance.study, "series", instance.series, "instances", instance.uid)
        address = "/".join((self.url, *(quote(part, safe="") for part in parts)))
        for _ in range(self._attempts):
            out.seek(0)
            out.truncate()
            try:
                with self._translate_errors(), silence_network_logs(), self._get(address) as response:
                    if not response.ok and response.status_code != _UNKNOWN:
                        return False
                    response.raise_for_status()
                    kind = response.headers.get("Content-Type", "")
                    pieces = iterate_body(response, self._instance_bytes + _ENVELOPE)
                    copy_part(kind, pieces, out)
                    if sum(map(len, pieces)) > _ENVELOPE:  # reads to the end, which shows a body that was cut
                        raise TooLargeError("much behind the closing boundary")
            except TooLargeError:
                raise
            except BrokenResponseError:
                if self._session.watchdog.is_expired:
                    raise too_slow(self.url) from None
                continue
            out.seek(128)
            return out.read(4) == b"DICM"
        return False

    def _get(self, address: str) -> Response:
        return self._session.get(address, headers={"Accept": _STORED}, stream=True, timeout=self._timeout)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate the errors of `requests`, whose messages quote addresses with UIDs."""
        from requests.exceptions import HTTPError, InvalidJSONError, RequestException, SSLError

        from heart2heart.pacs.http_session import ForeignRedirectError, UnusableResponseError

        try:
            yield
        except HTTPError as error:
            raise _refusal(0 if error.response is None else error.response.status_code, self.url) from None
        except SSLError:
            remedy = "Name the authority that signed it with --ca"
            raise RemoteError("the certificate of this server is not trusted", where=self.url, remedy=remedy) from None
        except InvalidJSONError:
            raise not_dicomweb(self.url) from None
        except ForeignRedirectError:
            remedy = "Give the address to which it redirects, if you trust it; credentials go to no other"
            raise RemoteError("this server redirects to another address", where=self.url, remedy=remedy) from None
        except UnusableResponseError:
            if self._session.watchdog.is_expired:
                raise too_slow(self.url) from None
            what = "this server sends an answer that is too large, or not readable"
            raise UnusableAnswerError(what, where=self.url, remedy="Search for fewer studies, with --dates") from None
        except RequestException:
            if self._session.watchdog.is_expired:
                raise too_slow(self.url) from None
            remedy = "Check the address and that the server runs; then run the same command again to go on"
            raise RemoteError(
                "this server does not answer, or closed the connection", where=self.url, remedy=remedy
            ) from None


def too_slow(url: str) -> RemoteError:
    """Return the error of a server whose answer takes too long."""
    remedy = "Run the same command again to go on"
    return RemoteError("this server takes too long for one answer", where=url, remedy=remedy)


def _checked(url: str, *, allow_http: bool) -> str:
    """Return the address without a slash at its end."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("this is not the address of a server", remedy=FORM) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the address of the server holds credentials", remedy="Put them into a file of mode 0600")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError("this is not the address of a server", remedy=FORM)
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        remedy = "Use https, or --allow-http on a network where nobody can listen"
        raise ConfigError("identity and credentials would go over the network unencrypted", where=url, remedy=remedy)
    return url.rstrip("/")


def _refusal(status: int, url: str) -> RemoteError:
    if status in _REFUSED:
        what = f"this server refuses the credentials, or requires some (HTTP {status})"
        kind = RemoteError if status == _UNKNOWN else UnusableAnswerError
        return kind(what, where=url, remedy="Give credentials that may read, with --credentials")
    if status == 404:
        remedy = "The address must lead to the DICOMweb service itself, such as https://host/dicom-web"
        return UnusableAnswerError("there is no DICOMweb service here (HTTP 404)", where=url, remedy=remedy)
    remedy = "Ask the operator of the server, then run the same command again"
    return UnusableAnswerError(f"this server cannot answer (HTTP {status})", where=url, remedy=remedy)
