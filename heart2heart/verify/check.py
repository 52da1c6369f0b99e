"""Checks stores, label stores, runs, reports, logs and clean copies for identities."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from heart2heart.errors import MissingInputError
from heart2heart.progress import NoProgress, Progress
from heart2heart.verify.archive import files_below
from heart2heart.verify.headers import profile_available
from heart2heart.verify.identities import Identities
from heart2heart.verify.ocr import require_tesseract
from heart2heart.verify.search_file import FileReport, SearchTask
from heart2heart.verify.spellings import word_boundary
from heart2heart.verify.study_dates import match_dates
from heart2heart.verify.verdict import IdentityFinding, VerificationResult
from heart2heart.verify.workers import search_files


def verify(
    outputs: Sequence[Path],
    identities: Identities,
    *,
    read_pictures: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
) -> VerificationResult:
    """Search every byte of `outputs` for identities.

    Args:
        outputs: Files or folders: stores, label stores, splits, runs, predictions, reports, logs, clean DICOM.
        identities: Identities to search for.
        read_pictures: Read every distinct picture with tesseract: frames of stores and of DICOM files, picture files,
            pictures in pages.
        workers: Processes, each of bounded memory; 0 searches in this process.
        progress: Receives the number of finished files.

    Raises:
        MissingInputError: an output does not exist, or there is no file.
        ConfigError: `read_pictures` without tesseract.

    Examples:
        >>> from pathlib import Path
        >>> from heart2heart.verify import Identities, verify
        >>> identities = Identities()
        >>> identities.add("id", "4711-0815")
        >>> verify([Path("store")], identities).findings
        ()
    """
    progress = progress or NoProgress()
    tasks = [SearchTask(path, name, index) for index, (path, name) in enumerate(_files(outputs), start=1)]
    if not tasks:
        raise MissingInputError("no file to search", where=", ".join(map(str, outputs)))
    if read_pictures:
        require_tesseract()
    total, days = FileReport(), set[datetime.date]()
    copies = with_pictures = 0
    for done, report in enumerate(
        search_files(tasks, identities, read_pictures=read_pictures, workers=workers), start=1
    ):
        total.size += report.size
        total.findings += report.findings
        total.unread += report.unread
        total.pictures += report.pictures
        days |= report.days
        copies += report.is_dicom
        with_pictures += report.holds_pictures
        progress.update(done, f"{len(total.findings)} findings")
    if same := match_dates(days, identities.days):
        total.findings.append(IdentityFinding("(all files together)", "dates", "study dates, not moved", same))
    checks_made, skipped = _checks(identities, copies, with_pictures, total.pictures, read_pictures=read_pictures)
    findings, unread = tuple(total.findings), tuple(total.unread)
    return VerificationResult(
        len(tasks), total.size, findings, unread, tuple(checks_made), tuple(skipped), total.pictures
    )


def _checks(
    identities: Identities, copies: int, with_pictures: int, pictures: int, *, read_pictures: bool
) -> tuple[list[str], list[str]]:
    """Return the checks that were made, and those that were not, with the remedy."""
    checks_made, skipped = ["every byte and every decoded value"], []
    if identities.days:
        checks_made.append("study dates")
    if identities.headers and profile_available() and copies:
        checks_made.append(f"headers against PS3.15 table E.1-1 ({copies} DICOM files)")
    elif copies:
        needs = "needs --archive and pip install 'heart2heart[verify]'"
        skipped.append(f"headers of {copies} DICOM files against PS3.15 table E.1-1: {needs}")
    if read_pictures:
        checks_made.append(f"text by tesseract ({pictures} distinct pictures in {with_pictures} files)")
    elif with_pictures:
        skipped.append(f"text in the pictures of {with_pictures} files: needs --ocr")
    if identities.short:
        skipped.append(f"{len(identities.short)} names or patient identifiers: too short to search for")
    skipped += [f"archive, {count} times: {reason}" for reason, count in sorted(Counter(identities.unread).items())]
    if whole := sum(_is_searched_whole(value) for kind, value in identities.exact if kind == "name"):
        checks_made.append(f"{whole} names as a whole only, since their words are short or words of this project")
    return checks_made, skipped


def _is_searched_whole(name: str) -> bool:
    words = name.replace("=", "^").replace("^", " ").replace(",", " ").split()
    return all(word_boundary(word) is None for word in words)


def _files(outputs: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for root in outputs:
        if not root.exists():
            raise MissingInputError("no such file or folder", where=root)
        for path in files_below(root):
            yield path, root.name if path == root else f"{root.name}/{path.relative_to(root)}"
