"""Searches of a DICOMweb server (QIDO-RS, PS3.18 section 10.6), page by page, study by study."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from heart2heart.errors import RemoteError

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

_PAGE = 500  # results requested at once
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
MAX_PAGES = 5_000
"""Maximum number of pages of one search."""
MAX_RESULTS = 2_000_000
"""Maximum number of results of all searches of one pull."""
FORM = "The form is https://host[:port]/path-of-the-DICOMweb-service"


@dataclass(frozen=True, order=True)
class InstanceReference:
    """One SOP instance on a server; its UIDs are identity and are never shown.

    An empty UID stands for something that the server listed, but that cannot be asked for.
    """

    study: str = field(repr=False)
    series: str = field(repr=False)
    uid: str = field(repr=False)

    @property
    def is_usable(self) -> bool:
        """Whether the instance can be asked for."""
        return all(map(is_uid, (self.study, self.series, self.uid)))


class UnusableAnswerError(RemoteError):
    """The server answers, but one answer cannot be used; others may."""


def is_uid(value: str) -> bool:
    """Return whether a value can stand as a UID in an address: letters, digits, dots, hyphens and underscores.

    Not only digits and dots, since machines make UIDs that break the rule of PS3.5 chapter 9.
    """
    return re.fullmatch(r"[A-Za-z0-9._-]{1,128}", value) is not None and value.strip(".") != ""


def not_dicomweb(url: str) -> RemoteError:
    """Return the error of a server that speaks another protocol."""
    return UnusableAnswerError("this server does not answer as DICOMweb", where=url, remedy=FORM)


class _Search(Protocol):
    def __call__(self, *, limit: int, offset: int) -> Any: ...


class InstanceSearch:
    """Finds the instances of the series that match a query.

    Args:
        client: Client of the server.
        url: Its address, for errors.
        guarded: Calls a function, with the time limit of one answer and with errors translated.
    """

    def __init__(self, client: DICOMwebClient, url: str, guarded: Callable[[Callable[[], Any]], Any]) -> None:
        self._client, self._url, self._guarded = client, url, guarded
        self._results = 0
        self._was_silent = False

    def find(self, filters: dict[str, str], modality: str) -> Iterator[InstanceReference]:
        """Yield the instances. A study or series that cannot be searched counts as one unusable instance.

        Raises:
            RemoteError: the server does not answer, refuses, or lists without end.
        """
        search_studies = partial(self._client.search_for_studies, search_filters=filters)
        for study in self._uids(search_studies, _STUDY):
            search_series = partial(self._client.search_for_series, study, search_filters={"Modality": modality})
            for series in self._uids_or_none(search_series, _SERIES, is_usable=bool(study)):
                search_instances = partial(self._client.search_for_instances, study, series)
                for uid in self._uids_or_none(search_instances, _INSTANCE, is_usable=bool(series)):
                    yield InstanceReference(study, series, uid)

    def _uids_or_none(self, search: _Search, tag: str, *, is_usable: bool) -> list[str]:
        """Return the UIDs of a search below one study or series; one empty UID if it fails."""
        if not is_usable:
            return [""]
        try:
            uids = self._uids(search, tag)
        except EndlessListError:
            raise
        except UnusableAnswerError:
            uids = [""]
        except RemoteError:
            if self._was_silent:
                raise
            self._was_silent = True
            return [""]
        self._was_silent = False
        return uids

    def _uids(self, search: _Search, tag: str) -> list[str]:
        """Return the UIDs that a search finds, page by page until a page holds no new UID.

        A short page does not end the search, because a server may return fewer results than requested (PS3.18 section
        8.3.4.4). Each result without a usable UID counts as one empty UID.
        """
        uids: dict[str, None] = {}
        unusable = 0
        for _ in range(MAX_PAGES):
            page = self._guarded(partial(search, limit=_PAGE, offset=len(uids) + unusable))
            if not isinstance(page, list):
                raise not_dicomweb(self._url)
            usable = [uid for uid in (_uid_of(item, tag) for item in page) if uid]
            if page and not usable and not uids:
                raise not_dicomweb(self._url)
            before = len(uids)
            uids |= dict.fromkeys(usable)
            unusable += len(page) - len(usable)
            self._results += len(page)
            if self._results > MAX_RESULTS:
                break
            if len(uids) == before:
                return [*uids, *[""] * unusable]
        what = f"this server lists more than {MAX_RESULTS:,} results, or {MAX_PAGES:,} pages for one search"
        remedy = "Search for fewer studies, with --dates or --query"
        raise EndlessListError(what, where=self._url, remedy=remedy)


class EndlessListError(RemoteError):
    """The server lists results without end."""


def _uid_of(item: object, tag: str) -> str:
    """Return the UID of a result, or an empty text for one without a usable UID."""
    element = item.get(tag) if isinstance(item, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    uid = values[0] if isinstance(values, list) and values else None
    return uid if isinstance(uid, str) and is_uid(uid) else ""
