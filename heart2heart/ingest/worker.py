"""The task of ingesting one file, in this process or in a worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heart2heart.deidentify.clip import KnownContentError, PreparedClip, load_clip
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.dicom.header_values import DECODE_ERRORS
from heart2heart.errors import DicomError, NoSpaceError
from heart2heart.ingest.archives import unpacked
from heart2heart.ingest.settings import IngestSettings
from heart2heart.schema.status import StatusCode


@dataclass(frozen=True)
class FileOutcome:
    """How one file ended.

    Attributes:
        code: A status code; `accepted` always comes with a clip.
        clip: The prepared clip.
        content: Keyed hash of the file's bytes, if the file is accepted or known.
        manufacturer: Manufacturer of the scanner, if the file names one.
    """

    code: StatusCode
    clip: PreparedClip | None = None
    content: str | None = None
    manufacturer: str | None = None


@dataclass(frozen=True)
class IngestTask:
    """Prepares the file at a path and returns its outcome; a faulty file raises no error. Picklable.

    Attributes:
        key: The hospital's key.
        site: Name of the hospital.
        settings: How files become frames.
        known: Content hashes of the files that are in the store already.
    """

    key: Key
    site: str
    settings: IngestSettings
    known: frozenset[str]

    def __call__(self, path: Path) -> FileOutcome:
        """Prepare one file."""
        try:
            with unpacked(path) as readable:
                before = _file_state(readable)
                clip = load_clip(
                    readable,
                    geometry=self.settings.build_geometry(),
                    rule=self.settings.frames,
                    pseudonymizer=Pseudonymizer(self.key),
                    site=self.site,
                    salvage=self.settings.salvage,
                    known=self.known,
                )
                if _file_state(readable) != before:  # still being copied: the hash may not belong to the frames
                    return FileOutcome(StatusCode.FAILED_UNREADABLE, manufacturer=clip.facts.manufacturer)
        except KnownContentError as error:
            return FileOutcome(error.code, content=error.content, manufacturer=error.manufacturer)
        except DicomError as error:
            return FileOutcome(error.code, manufacturer=error.manufacturer)
        except NoSpaceError:
            raise
        except MemoryError:
            return FileOutcome(StatusCode.FAILED_MEMORY)
        except DECODE_ERRORS:
            return FileOutcome(StatusCode.FAILED_INTERNAL)
        return FileOutcome(StatusCode.ACCEPTED, clip, clip.content, clip.facts.manufacturer)


def _file_state(path: Path) -> tuple[int, int] | None:
    """Return size and time of change; None for a file that cannot be read, which `load_clip` reports."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
