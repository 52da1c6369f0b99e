"""Opens an archive for sending, by STOW-RS or C-STORE as its address says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from heart2heart.pacs.destination import Destination, DestinationSettings
from heart2heart.pacs.store_scu import StoreDestination
from heart2heart.pacs.stow import StowDestination


@contextmanager
def open_destination(
    settings: DestinationSettings, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Destination]:
    """Open an archive for sending; nothing is connected before the first file.

    Args:
        settings: The archive.
        sleep: Waits for some seconds.

    Raises:
        ConfigError: the address is invalid, leads over an unencrypted network, or an extra is not installed.

    Examples:
        >>> with open_destination(DestinationSettings(address="dicom://PACS@127.0.0.1:11112")) as destination:
        ...     destination.settings.attempts
        5
    """
    if urlsplit(settings.address).scheme in ("http", "https"):
        destination: Destination = StowDestination(settings, sleep)
    else:
        destination = StoreDestination(settings, sleep)
    try:
        yield destination
    finally:
        destination.close()
