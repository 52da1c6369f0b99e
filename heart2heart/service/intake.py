"""Where clips arrive: a spool folder with limits, whose files are the truth about what came in.

The name of a clip is a keyed hash of its SOP Instance UID, so the same instance, by whatever way it comes, is one clip.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.dicom.header_values import DECODE_ERRORS, silence_warnings
from heart2heart.pacs.spool import Spool, SpoolPart
from heart2heart.schema.service import ClipState
from heart2heart.service.queue import ServiceQueue
from heart2heart.service.settings import ServiceLimits
from heart2heart.utils import sha256_file

SUFFIX = ".dcm"


@dataclass(frozen=True)
class KeptUpload:
    """A file that was uploaded.

    Attributes:
        name: Name of its clip.
        uid: Its SOP Instance UID.
    """

    name: str
    uid: str = field(repr=False)


class ServiceSpool(Spool):
    """A spool folder that takes nothing while `accepts` returns False."""

    accepts: Callable[[], bool] | None = None

    def begin(self) -> SpoolPart:
        """Return a new unfinished file.

        Raises:
            OSError: the service takes no further clip at present; C-STORE answers "out of resources".
        """
        if self.accepts is not None and not self.accepts():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().begin()

    def keep_upload(self, part: SpoolPart) -> KeptUpload | None:
        """Write a whole file to the disk for good; None, and removed: no DICOM file with a SOP Instance UID.

        Args:
            part: The file.

        Raises:
            NoSpaceError: the disk is full.
        """
        part.sync()
        uid = _instance_uid(part.path)
        if not uid:
            part.discard()
            return None
        self.keep(part, uid)
        return KeptUpload(self.path(uid).stem, uid)


def _instance_uid(path: Path) -> str:
    from pydicom.filereader import read_file_meta_info

    try:
        with silence_warnings():
            uid = str(read_file_meta_info(path).MediaStorageSOPInstanceUID)
    except DECODE_ERRORS:
        return ""
    return uid if len(uid) <= 64 and uid.replace(".", "").isdecimal() else ""


class Intake:
    """Finds what arrived, and refuses more than the limits allow.

    Args:
        spool: The spool folder.
        queue: The queue.
        limits: The limits.
    """

    def __init__(self, spool: ServiceSpool, queue: ServiceQueue, limits: ServiceLimits) -> None:
        self._spool, self._queue, self._limits = spool, queue, limits
        self._known = queue.states()
        self._lock = threading.Lock()  # no file is removed while a scan looks at it
        self.scanned_at = 0.0
        spool.accepts = self.has_room

    def has_room(self) -> bool:
        """Return whether the service takes a further clip."""
        if shutil.disk_usage(self._spool.folder).free < self._limits.free_bytes:
            return False
        return self._queue.count(ClipState.WAITING) < self._limits.waiting_clips

    def scan(self) -> int:
        """Record the files that are new, and return their number.

        A file of a clip that is done is removed if its content is that of the clip; with other content it is a new
        clip. Afterwards `scanned_at` is the time, seconds since 1970, before which every arrival is in the queue.
        """
        now = time.time()
        with self._lock:
            files = [path for path in self._spool.folder.iterdir() if path.suffix == SUFFIX]
            arrivals = {path.stem: min(now, path.stat().st_mtime) for path in files if path.stem not in self._known}
            for path in files:
                if self._known.get(path.stem) == ClipState.DONE:
                    self._settle_again(path)
            if arrivals:
                self._queue.add(arrivals)
                self._known.update(dict.fromkeys(arrivals, ClipState.WAITING))
        self.scanned_at = now
        return len(arrivals)

    def _settle_again(self, path: Path) -> None:
        content = sha256_file(path)
        if content == self._queue.content(path.stem):
            path.unlink()
            self._queue.count_event("clips_again")
        else:  # the next scan takes it as a clip of its own
            path.replace(path.with_name(f"{path.stem}-{hashlib.sha256(content.encode()).hexdigest()[:8]}{SUFFIX}"))

    def path(self, name: str) -> Path:
        """Return the file of a clip."""
        return self._spool.folder / f"{name}{SUFFIX}"

    def remove(self, names: Sequence[str]) -> None:
        """Remove the files of clips that are done in the queue."""
        with self._lock:
            for name in names:
                self._known[name] = ClipState.DONE
                self.path(name).unlink(missing_ok=True)

    def forget(self) -> None:
        """Read the states again, after old ones were removed from the queue."""
        self._known = self._queue.states()


def keyed_name(key: Key, kind: str, *parts: str) -> str:
    """Return 32 hexadecimal digits that stand for an identifier.

    Args:
        key: The key of the service.
        kind: What is named, such as `study`.
        parts: The identifiers.
    """
    return key.digest(f"service {kind}", *parts).hex()[:32]
