"""De-identifies the files of a hospital, and searches what leaves it for identities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.stores import path_list
from heart2heart.errors import ConfigError, MissingInputError, UnknownNameError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.verify.verdict import VerificationResult


@dataclass(frozen=True)
class DeidentifyResult:
    """Result of de-identifying the files of a hospital.

    Attributes:
        rows: Status, number of files and meaning.
        copies: Clean copies in the folder.
        site: The hospital.
    """

    rows: list[tuple[str, int, str]]
    copies: int
    site: str

    def require_copies(self) -> None:
        """Raise MissingInputError unless a file became a clean copy."""
        if not self.copies:
            remedy = "The page Status codes of the documentation explains each status"
            raise MissingInputError("no file of this hospital became a clean copy", where=self.site, remedy=remedy)


@audited(AuditAction.DEIDENTIFY, beside="out", reads=["paths"], writes=["out"], site="site")
def deidentify_files(
    paths: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    key: str | Path,
    site: str,
    text: str = "blank",
    workers: int = 2,
    stage: Stage = silent_stage,
) -> DeidentifyResult:
    """Write clean DICOM for sharing: a new header from an allow-list, and black pixels outside the scan.

    Args:
        paths: DICOM files or folders.
        out: Folder for the clean copies; created if missing.
        key: Key of the pseudonyms, created on first use (mode 0600), outside `out`.
        site: Name of the hospital.
        text: Text inside the scan: `blank` it, but refuse a file whose text cannot be bounded; `refuse` every file with
            text; or `best_effort`, which blanks what was found.
        workers: Processes.
        stage: Opens the progress.

    Raises:
        UnknownNameError: another value of `text`.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.deidentify_files("clip.dcm", out="clean", key="clean.key", site="A", workers=1).copies
        1
    """
    from heart2heart.deidentify.clean_copy import TextPolicy
    from heart2heart.ingest.deidentify_files import deidentify_files
    from heart2heart.ingest.source_files import find_files
    from heart2heart.schema.status import CODES, StatusCode

    policies: dict[str, TextPolicy] = {"blank": "blank", "refuse": "refuse", "best_effort": "best_effort"}
    if text not in policies:
        raise UnknownNameError.among("way with text inside the scan", text, list(policies))
    roots, target = path_list(paths), Path(out)
    with stage(f"deidentify {site}", len(find_files(roots, outside=target))) as progress:
        summary = deidentify_files(
            roots, out=target, key=Path(key), site=site, text=policies[text], workers=workers, progress=progress
        )
    meanings = {code: CODES[code].meaning for code in summary.codes} | {
        StatusCode.ACCEPTED: "A clean copy was written.",
        StatusCode.EXCLUDED_DUPLICATE: "The same bytes were copied already, from another path.",
    }
    rows = [(code, count, meanings[code]) for code, count in summary.codes.items()]
    return DeidentifyResult(rows, summary.copies, site)


@dataclass(frozen=True)
class Verification:
    """Result of a search for identities.

    Attributes:
        result: Verdict, files searched, findings, and what was not read.
        identities: Number of identities in the search.
    """

    result: VerificationResult
    identities: int

    def summary(self) -> str:
        """Return the verdict, and its reason in one clause."""
        result = self.result
        leaking_files = len({finding.file for finding in result.findings})
        reason = {
            "clean": "no identity was found, and everything was read",
            "found": f"identities in {leaking_files} of {result.files} files",
            "incomplete": f"no identity was found, but {len(result.unread)} contents were not read and "
            f"{len(result.checks_skipped)} checks not made",
        }[result.verdict]
        return f"{result.verdict}: {reason}"

    def require_clean(self) -> None:
        """Raise an error unless the verdict is `clean`.

        Raises:
            IdentityFoundError: an identity was found (exit code 3).
            IncompleteVerificationError: something was not read or not searched for (exit code 4).
        """
        from heart2heart.verify.verdict import IdentityFoundError, IncompleteVerificationError, Verdict

        if self.result.verdict is Verdict.FOUND:
            leaking_files = {finding.file for finding in self.result.findings}
            remedy = "Do not pass these files on; see SECURITY.md for how to report it"
            raise IdentityFoundError(f"identities found in {len(leaking_files)} files", remedy=remedy)
        if self.result.verdict is Verdict.INCOMPLETE:
            remedy = "The output lists what was not done. Do it, or judge it yourself"
            raise IncompleteVerificationError("no identity was found, but not everything was read", remedy=remedy)


@audited(AuditAction.VERIFY_DEID, beside="outputs", reads=["outputs", "archive"])
def verify_deidentification(
    outputs: str | Path | Sequence[str | Path],
    *,
    planted: str | Path | None = None,
    archive: str | Path | Sequence[str | Path] = (),
    ocr: bool = False,
    workers: int = 0,
    stage: Stage = silent_stage,
) -> Verification:
    """Search every byte of what leaves the hospital for identities.

    Args:
        outputs: Stores, label stores, runs, reports, logs, clean DICOM.
        planted: CSV of identities to look for: kind, value.
        archive: The original DICOM, also in zip files; identities in its headers are searched for.
        ocr: Read every distinct picture with tesseract: frames of stores and DICOM files, pictures in pages.
        workers: Processes, each of bounded memory; 0 searches in this process.
        stage: Opens the progress.

    Raises:
        ConfigError: nothing to look for.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.verify_deidentification("store", archive="hospital").result.findings
        ()
    """
    from heart2heart.verify.archive import collect_identities
    from heart2heart.verify.check import verify
    from heart2heart.verify.identities import Identities, load_planted

    if planted is None and not archive:
        raise ConfigError("nothing to look for", remedy="Give --archive with the originals, or --planted FILE")
    identities = collect_identities(path_list(archive)) if archive else Identities()
    if planted is not None:
        identities.exact |= load_planted(Path(planted)).exact
    roots = path_list(outputs)
    with stage("search for identities", sum(1 for root in roots for _ in root.rglob("*")) or 1) as progress:
        result = verify(roots, identities, read_pictures=ocr, workers=workers, progress=progress)
    return Verification(result, len(identities.exact))
