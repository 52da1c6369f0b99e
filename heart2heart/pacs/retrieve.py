"""Fetches instances from a DICOMweb server into a spool folder; after a stop, the next run continues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heart2heart.errors import RemoteError
from heart2heart.pacs.dicomweb import DicomWebClient
from heart2heart.pacs.search import InstanceReference
from heart2heart.pacs.spool import Spool
from heart2heart.progress import NoProgress, Progress


@dataclass(frozen=True)
class RetrieveSummary:
    """Result of one retrieval.

    Attributes:
        fetched: Instances written by this retrieval.
        present: Instances that an earlier retrieval, or a receiver, had written.
        refused: Instances that the server listed but did not send completely.
    """

    fetched: int
    present: int
    refused: int


def retrieve(
    server: DicomWebClient, instances: Sequence[InstanceReference], spool: Spool, *, progress: Progress | None = None
) -> RetrieveSummary:
    """Fetch those of `instances` that are not in the spool folder yet, one file each.

    Args:
        server: The DICOMweb server.
        instances: Result of `DicomWebClient.search`.
        spool: The spool folder.
        progress: Gets the number of finished instances, of `len(instances)`.

    Raises:
        RemoteError: the server does not answer, or refuses the credentials, at two instances in a row (a single
            instance may be the cause). Fetched instances are kept.
        NoSpaceError: the disk is full. Fetched instances are kept.
    """
    progress = progress or NoProgress()
    fetched = present = refused = 0
    silent = False
    for count, instance in enumerate(instances, start=1):
        if spool.path(instance.uid).exists():
            present += 1
        else:
            try:
                complete = _fetch(server, instance, spool)
            except RemoteError:
                if silent:
                    raise
                complete, silent = False, True
            else:
                silent = False
            fetched += complete
            refused += not complete
        progress.update(count, f"{fetched} fetched")
    return RetrieveSummary(fetched, present, refused)


class _InstanceRefusedError(Exception):
    """Leaves the block of an atomic write without writing the file."""


def _fetch(server: DicomWebClient, instance: InstanceReference, spool: Spool) -> bool:
    try:
        with spool.open_writer(spool.path(instance.uid)) as handle:
            if not server.fetch(instance, handle):
                raise _InstanceRefusedError
    except _InstanceRefusedError:
        return False
    return True
