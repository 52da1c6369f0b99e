"""Fetch instances from a DICOMweb server into a landing folder; stopped anywhere, run again, it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heart2heart.errors import RemoteError
from heart2heart.pacs.dicomweb import DicomWebClient, InstanceReference
from heart2heart.pacs.spool import Spool
from heart2heart.progress import NoProgress, Progress


@dataclass(frozen=True)
class RetrieveSummary:
    """What one pull did.

    Attributes:
        fetched: Instances written by this pull.
        present: Instances that an earlier pull, or a receiver, had written.
        refused: Instances that the server listed but did not give whole, or at which it broke off.
    """

    fetched: int
    present: int
    refused: int


def retrieve(
    server: DicomWebClient, instances: Sequence[InstanceReference], landing: Spool, *, progress: Progress | None = None
) -> RetrieveSummary:
    """Fetch `instances`, one file each, whatever is not in the landing folder yet.

    Args:
        server: Where they are.
        instances: What `Server.search` found.
        landing: Where they go.
        progress: Told the number of instances done, of `len(instances)`.

    Raises:
        RemoteError: the server is gone, or refuses the credentials, at two instances in a row: one alone may be what
            breaks it. What was fetched stays.
        NoSpaceError: the disk is full; what was fetched stays.
    """
    progress = progress or NoProgress()
    fetched = present = refused = 0
    silent = False
    for number, instance in enumerate(instances, start=1):
        if landing.path(instance.uid).exists():
            present += 1
        else:
            try:
                given = _fetch(server, instance, landing)
            except RemoteError:
                if silent:
                    raise
                given, silent = False, True
            else:
                silent = False
            fetched += given
            refused += not given
        progress.update(number, f"{fetched} fetched")
    return RetrieveSummary(fetched, present, refused)


class _InstanceRefusedError(Exception):
    """Leaves the block of an atomic write without its file."""


def _fetch(server: DicomWebClient, instance: InstanceReference, landing: Spool) -> bool:
    try:
        with landing.open_writer(landing.path(instance.uid)) as handle:
            if not server.fetch(instance, handle):
                raise _InstanceRefusedError
    except _InstanceRefusedError:
        return False
    return True
