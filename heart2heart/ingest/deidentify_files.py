"""Writes clean DICOM copies of many files, for sharing: `heart2heart deidentify`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heart2heart import __version__
from heart2heart.deidentify.clean_copy import TextPolicy, clean_copy
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.dicom.header_values import DECODE_ERRORS, silence_warnings
from heart2heart.errors import ConfigError, DicomError, ExistsError, NoSpaceError
from heart2heart.ingest.executors import run_ordered
from heart2heart.ingest.source_files import find_files, key_fingerprint, unpacked
from heart2heart.ingest.worker import FileOutcome
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.status import StatusCode
from heart2heart.utils import atomic_path, read_json, write_json

_NOTE_FILE = "deidentified.json"


@dataclass(frozen=True)
class DeidentifySummary:
    """Result of one run: files by status code, and the number of clean copies that the folder now holds."""

    codes: dict[str, int]
    copies: int


@dataclass(frozen=True)
class _CleanCopyTask:
    """Writes the clean copy of one file; picklable for worker processes."""

    key: Key
    site: str
    out: Path
    text: TextPolicy

    def __call__(self, path: Path) -> FileOutcome:
        """Copy one file and return its outcome; a faulty file raises no error."""
        try:
            with unpacked(path) as readable:
                copy = clean_copy(readable, pseudonymizer=Pseudonymizer(self.key), site=self.site, text=self.text)
            target = self.out / copy.pseudonyms.patient / f"{copy.content[:24]}.dcm"
            with silence_warnings(), atomic_path(target) as temporary:
                copy.dataset.save_as(temporary, enforce_file_format=True)
        except DicomError as error:
            return FileOutcome(error.code)
        except NoSpaceError:
            raise
        except DECODE_ERRORS:
            return FileOutcome(StatusCode.FAILED_INTERNAL)
        return FileOutcome(StatusCode.ACCEPTED, content=copy.content)


def deidentify_files(
    paths: Sequence[Path],
    *,
    out: Path,
    key: Path,
    site: str,
    text: TextPolicy = "blank",
    workers: int = 1,
    progress: Progress | None = None,
) -> DeidentifySummary:
    """Write clean DICOM of every clip as `<out>/<patient's pseudonym>/<clip's pseudonym>.dcm`.

    The same key gives the same pseudonyms, UIDs and shifted dates as `ingest`. The run may be stopped and repeated.

    Args:
        paths: Files or folders.
        out: Folder for the copies; made if missing.
        key: The key file; made on first use with mode 0600. It may not lie inside `out`.
        site: Name of the hospital, to which patient identifiers belong.
        text: How to treat text inside the scan; see `clean_copy`.
        workers: Number of processes.
        progress: Receives the number of finished files.

    Raises:
        MissingInputError: a path does not exist, or there is no file.
        ConfigError: the key lies in `out`, or the folder was written with another key, site or option.
        ExistsError: the folder holds something else.
        NoSpaceError: the disk is full; run the same again when it is not.
    """
    progress = progress or NoProgress()
    if re.fullmatch(r"[\w][\w .-]{0,63}", site) is None:
        raise ConfigError(
            "the name of the site is not valid", remedy="A site is 1 to 64 letters, digits, blanks, dots or dashes"
        )
    links: set[Path] = set()
    files = [path for path in find_files(paths, outside=out, foreign_links=links) if path not in links]
    secret = Key.open(key, outside=out)
    _open_output_folder(
        out, {"site": site, "key_check": key_fingerprint(secret), "text": text, "code_version": __version__}
    )
    codes: Counter[str] = Counter({StatusCode.EXCLUDED_OUTSIDE_FOLDER: len(links)} if links else {})
    seen: set[str] = set()
    for count, outcome in enumerate(run_ordered(_CleanCopyTask(secret, site, out, text), files, workers), start=1):
        again = outcome.content is not None and outcome.content in seen
        codes[StatusCode.EXCLUDED_DUPLICATE if again else outcome.code] += 1
        seen |= {outcome.content} if outcome.content is not None else set()
        progress.update(count, f"{len(seen)} clean copies")
    return DeidentifySummary(dict(sorted(codes.items())), sum(1 for _ in out.glob("*/*.dcm")))


def _open_output_folder(out: Path, note: dict[str, str]) -> None:
    """Write the note on a new folder, or refuse a folder with another note."""
    if not (out / _NOTE_FILE).exists():
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise ExistsError("this folder is not empty", where=out, remedy="Name another folder")
        write_json(out / _NOTE_FILE, note)
    elif read_json(out / _NOTE_FILE, what="note on a de-identified folder") != note:
        what = "this folder was written with another key, site, option or version"
        raise ConfigError(what, where=out, remedy="Use the same, or name another folder")
