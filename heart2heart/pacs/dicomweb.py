"""Searches a DICOMweb server (QIDO-RS, PS3.18 section 10.6) and fetches instances as stored (WADO-RS, 10.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator

from heart2heart.config import Config
from heart2heart.errors import ConfigError, RemoteError
from heart2heart.pacs.connection import Credentials, is_loopback, require_extra, silence_network_logs
from heart2heart.pacs.multipart import BrokenResponseError, copy_part

if TYPE_CHECKING:
    from requests import Response, Session


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


@dataclass(frozen=True, order=True)
class InstanceReference:
    """One SOP instance on a server; its UIDs are identity and are never shown."""

    study: str = field(repr=False)
    series: str = field(repr=False)
    uid: str = field(repr=False)


_PAGE = 500  # results requested at once
_PIECE = 2**18  # bytes of a response held at once
_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_BUSY = (429, 502, 503, 504)
_UNKNOWN = 401  # 403 may be meant for one patient's study
_REFUSED = (_UNKNOWN, 403)
_FORM = "The form is https://host[:port]/path-of-the-DICOMweb-service"


class DicomWebClient:
    """One DICOMweb service.

    Args:
        url: Its base, as `https://pacs.example/dicom-web`.
        credentials: Sent with every request.
        authority: File of the certificate authority that signed the server's certificate, if the system lacks it.
        allow_http: Permit an unencrypted connection to another machine.
        timeout: Seconds to wait for a connection, and between two bytes of a response.
        attempts: Attempts at a request before the server counts as unreachable.

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
    ) -> None:
        self.url, self._timeout, self._attempts = _checked(url, allow_http=allow_http), timeout, attempts
        if authority is not None and not authority.is_file():
            raise ConfigError("no certificate file here", where=authority)
        with require_extra("dicomweb-client"):
            from dicomweb_client import DICOMwebClient
        self._session = _session(credentials or Credentials(), authority, attempts)
        self._client = DICOMwebClient(self.url, session=self._session, permissive_uid=True, timeout=timeout)
        self._client.set_http_retry_params(retry=False)  # the session retries

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def search(self, query: PacsQuery) -> list[InstanceReference]:
        """Return every instance of the series that match `query`, sorted.

        Raises:
            RemoteError: the server cannot be reached, refuses, or does not speak DICOMweb.
        """
        web, modality = self._client, {"Modality": query.modality}
        instances = []
        with self._translate_errors(), silence_network_logs():
            for study in _search_pages(
                partial(web.search_for_studies, search_filters=query.filters()), _STUDY, self.url
            ):
                in_study = partial(web.search_for_series, study, search_filters=modality)
                for series in _search_pages(in_study, _SERIES, self.url):
                    in_series = partial(web.search_for_instances, study, series)
                    instances += [
                        InstanceReference(study, series, uid) for uid in _search_pages(in_series, _INSTANCE, self.url)
                    ]
        return sorted(instances)

    def fetch(self, instance: InstanceReference, out: BinaryIO) -> bool:
        """Write one instance to `out`, exactly as the server stores it.

        Returns:
            False if the server no longer has it, denies access to it, or cannot send it completely.

        Raises:
            RemoteError: the server does not answer, or refuses the credentials.
        """
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
                    copy_part(response.headers.get("Content-Type", ""), _pieces(response), out)
            except BrokenResponseError:
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

        try:
            yield
        except HTTPError as error:
            raise _refusal(0 if error.response is None else error.response.status_code, self.url) from None
        except SSLError:
            remedy = "Name the authority that signed it with --ca"
            raise RemoteError("the certificate of this server is not trusted", where=self.url, remedy=remedy) from None
        except InvalidJSONError:
            raise _not_dicomweb(self.url) from None
        except RequestException:
            remedy = "Check the address and that the server runs; then run the same command again to go on"
            raise RemoteError(
                "this server does not answer, or closed the connection", where=self.url, remedy=remedy
            ) from None


def _checked(url: str, *, allow_http: bool) -> str:
    """Return the address without a slash at its end."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("this is not the address of a server", remedy=_FORM) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the address of the server holds credentials", remedy="Put them into a file of mode 0600")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError("this is not the address of a server", remedy=_FORM)
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        remedy = "Use https, or --allow-http on a network where nobody can listen"
        raise ConfigError("identity and credentials would go over the network unencrypted", where=url, remedy=remedy)
    return url.rstrip("/")


def _session(credentials: Credentials, authority: Path | None, attempts: int) -> Session:
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    # The Retry-After header of a server is ignored, because it may ask for hours.
    retry = Retry(
        attempts - 1,
        backoff_factor=0.3,
        status_forcelist=_BUSY,
        raise_on_status=False,
        respect_retry_after_header=False,
    )

    class Plain(Session):
        def request(self, method: str, url: str | bytes, *args: Any, **options: Any) -> Response:
            if authority is not None:  # not `session.verify`, before which REQUESTS_CA_BUNDLE goes
                options["verify"] = str(authority)
            # Orthanc 1.10 does not decode a wildcard, and RFC 3986 section 3.4 lets a star stand as it is.
            return super().request(method, str(url).replace("%2A", "*"), *args, **options)

    session = Plain()
    session.auth = credentials.auth()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _pieces(response: Response) -> Iterator[bytes]:
    from requests.exceptions import RequestException

    try:
        yield from response.iter_content(_PIECE)
    except RequestException:
        raise BrokenResponseError("the connection was closed") from None


def _refusal(status: int, url: str) -> RemoteError:
    if status in _REFUSED:
        what = f"this server refuses the credentials, or requires some (HTTP {status})"
        return RemoteError(what, where=url, remedy="Give credentials that may read, with --credentials")
    if status == 404:
        remedy = "The address must lead to the DICOMweb service itself, such as https://host/dicom-web"
        return RemoteError("there is no DICOMweb service here (HTTP 404)", where=url, remedy=remedy)
    remedy = "Ask the operator of the server, then run the same command again"
    return RemoteError(f"this server cannot answer (HTTP {status})", where=url, remedy=remedy)


def _not_dicomweb(url: str) -> RemoteError:
    return RemoteError("this server does not answer as DICOMweb", where=url, remedy=_FORM)


class _Search(Protocol):
    def __call__(self, *, limit: int, offset: int) -> Any: ...


def _search_pages(search: _Search, tag: str, url: str) -> list[str]:
    """Return the UIDs that a search finds, page by page until a page holds no new UID.

    A short page does not end the search, because a server may return fewer results than requested (PS3.18 section
    8.3.4.4).
    """
    uids: dict[str, None] = {}
    while True:
        page = search(limit=_PAGE, offset=len(uids))
        if not isinstance(page, list):
            raise _not_dicomweb(url)
        before = len(uids)
        for item in page:
            values = item.get(tag, {}).get("Value") if isinstance(item, dict) else None
            if not values or not isinstance(values[0], str):
                raise _not_dicomweb(url)
            uids[values[0]] = None
        if len(uids) == before:
            return list(uids)
