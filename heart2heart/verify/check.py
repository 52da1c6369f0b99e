"""Checks stores, label stores, runs, reports, logs and clean copies for identities.

Clean copies are also compared with the table of PS3.15 annex E (2026c) in the package dicom-anonymizer: a tag that the
Basic Profile removes, empties or replaces (X, Z, D, U and their combinations) must not carry a value that the same tag
has in a file of the archive. Values that an option in (0012,0064) retains are left out: patient characteristics under
113108, and dates under 113107, which `verify.patterns` checks.
"""

from __future__ import annotations

import datetime
import importlib.util
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from heart2heart.errors import ConfigError, Heart2HeartError, MissingInputError
from heart2heart.progress import NoProgress, Progress
from heart2heart.verify.artefacts import Artefact, read_artefacts
from heart2heart.verify.identities import Identities
from heart2heart.verify.ocr import count_clips, identities_in_margins, identities_in_store, stores_in
from heart2heart.verify.patterns import PatternSearcher, build_patterns, match_dates, scan_dates

_PACKAGE = "dicomanonymizer"
_TABLE = f"{_PACKAGE}.dicom_anonymization_databases.dicomfields_2026c"
_ACTIONS = ("D", "Z", "X", "U", "Z_D", "X_Z", "X_D", "X_Z_D", "X_Z_U_STAR")
_CHARACTERISTICS = {0x00100040, 0x00101010, 0x00101020, 0x00101030}  # sex, age, size, weight
_DATE_VRS = ("DA", "DT", "TM")


def profile_available() -> bool:
    """Return whether the table is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


@cache
def basic_profile_actions() -> dict[int, str]:
    """Return the Basic Profile's action for each tag, by tag number.

    Raises:
        ConfigError: the package is not installed.
    """
    if not profile_available():
        remedy = "Run: pip install 'heart2heart[verify]'"
        raise ConfigError("the table of tags to remove is not installed", remedy=remedy)
    fields = importlib.import_module(_TABLE)
    return {
        group << 16 | element: action
        for action in _ACTIONS
        for group, element, *mask in getattr(fields, f"{action}_TAGS")
        if not mask  # repeating groups are curves and overlays, which hold no text
    }


def unchanged_tags(path: Path, originals: dict[int, set[str]]) -> Iterator[str]:
    """Yield the tags of a clean copy that still carry a value which the profile removes or replaces.

    Args:
        path: A DICOM file.
        originals: Values of each tag in the archive, `Identities.headers`.
    """
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path, force=True, stop_before_pixels=True)
        options = {str(item.get("CodeValue", "")) for item in dataset.get("DeidentificationMethodCodeSequence") or ()}
        for element in dataset.iterall():
            tag = int(element.tag)
            retained = ("113108" in options and tag in _CHARACTERISTICS) or (
                "113107" in options and str(element.VR) in _DATE_VRS
            )
            if tag in basic_profile_actions() and not retained and element.VR != "SQ":
                value = str(element.value)
                if value and value in originals.get(tag, ()):
                    yield f"{element.tag}, action {basic_profile_actions()[tag]}"


class IdentityFoundError(Heart2HeartError, ValueError):
    """An output still identifies a patient."""


@dataclass(frozen=True)
class IdentityFinding:
    """One kind of identity at one location, without the identity itself.

    Attributes:
        file: The output file; if its name is itself a finding, its number in the order of the search.
        location: Where in the file.
        kind: Kind of identity.
        count: Number of occurrences.
    """

    file: str
    location: str
    kind: str
    count: int


@dataclass(frozen=True)
class VerificationResult:
    """The searched files, and the findings.

    Attributes:
        files: Number of files.
        size: Their bytes.
        findings: Empty when clean.
        checks_made: Checks that were made.
        checks_skipped: Checks that were not made, and why.
    """

    files: int
    size: int
    findings: tuple[IdentityFinding, ...]
    checks_made: tuple[str, ...]
    checks_skipped: tuple[str, ...]


def verify(
    outputs: Sequence[Path], identities: Identities, *, read_margins: bool = False, progress: Progress | None = None
) -> VerificationResult:
    """Search every byte of `outputs` for identities.

    Args:
        outputs: Files or folders: stores, label stores, splits, runs, predictions, reports, logs, clean DICOM.
        identities: Identities to search for.
        read_margins: Read the margins of DICOM files, and a sample of the pictures of stores, with tesseract.
        progress: Receives the number of finished files.

    Raises:
        MissingInputError: an output does not exist, or there is no file.
        ConfigError: `read_margins` without tesseract.
    """
    progress = progress or NoProgress()
    files = list(_files(outputs))
    if not files:
        raise MissingInputError("no file to search", where=", ".join(map(str, outputs)))
    compare = bool(identities.headers) and profile_available()
    searcher, findings = PatternSearcher(build_patterns(identities)), list[IdentityFinding]()
    size, copies = 0, 0
    days: set[datetime.date] = set()
    for count, (path, name) in enumerate(files, start=1):
        size += path.stat().st_size
        shown = _displayed_name(searcher, name, count)
        for artefact in read_artefacts(path, name):
            blocks = scan_dates(artefact.blocks, days) if identities.days and not artefact.binary else artefact.blocks
            findings += _search(searcher, artefact, blocks, shown)
        if _is_dicom(path):
            copies += 1
            kept = Counter(unchanged_tags(path, identities.headers)) if compare else Counter[str]()
            findings += [IdentityFinding(shown, tag, "unchanged header value", times) for tag, times in kept.items()]
            seen = Counter(identities_in_margins(path, identities)) if read_margins else Counter[str]()
            findings += [
                IdentityFinding(shown, "margin of the picture", f"{kind}, legible", n) for kind, n in seen.items()
            ]
        progress.update(count, f"{len(findings)} findings")
    stores = stores_in(outputs) if read_margins else []
    pictures = [read for root in stores for read in identities_in_store(root, identities)]
    for shard, kinds in pictures:
        findings += [IdentityFinding(shard, "a kept picture", f"{kind}, legible", 1) for kind in kinds]
    if same := match_dates(days, identities.days):
        findings.append(IdentityFinding("(all files together)", "dates", "study dates, not moved", same))
    done, skipped = _list_checks(identities, copies, compare=compare, read_margins=read_margins)
    if stores:
        done = (*done, f"kept pictures by tesseract ({len(pictures)} of {sum(map(count_clips, stores))} clips)")
    return VerificationResult(len(files), size, tuple(findings), done, skipped)


def _list_checks(
    identities: Identities, copies: int, *, compare: bool, read_margins: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    done, skipped = ["every byte and every decoded value"], []
    if identities.days:
        done.append("study dates")
    for performed, name, requirement in (
        (compare, "headers against PS3.15 table E.1-1", "needs --archive and pip install 'heart2heart[verify]'"),
        (read_margins, "margins by tesseract", "needs --ocr"),
    ):
        if performed and copies:
            done.append(f"{name} ({copies} DICOM files)")
        else:
            skipped.append(f"{name}: {requirement if copies else 'no DICOM file among the outputs'}")
    return tuple(done), tuple(skipped)


def _files(outputs: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for root in outputs:
        if not root.exists():
            raise MissingInputError("no such file or folder", where=root)
        if root.is_file():
            yield root, root.name
        else:
            paths = sorted(path for path in root.rglob("*") if path.is_file())
            yield from ((path, f"{root.name}/{path.relative_to(root)}") for path in paths)


def _search(
    searcher: PatternSearcher, artefact: Artefact, blocks: Iterable[bytes], shown: str
) -> Iterator[IdentityFinding]:
    counts = searcher.search(blocks, binary=artefact.binary)
    if counts:
        hidden = searcher.search([artefact.location.encode()], binary=False)
        location = "(name withheld)" if hidden else artefact.location
        yield from (IdentityFinding(shown, location, kind, times) for kind, times in sorted(counts.items()))


def _displayed_name(searcher: PatternSearcher, name: str, number: int) -> str:
    raw = name.encode("utf-8", "surrogateescape")
    return f"file {number} (name withheld)" if searcher.search([raw], binary=False) else name


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"
