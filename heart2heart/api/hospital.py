"""Moves clips out of the hospital: fetch from a PACS, receive, de-identify, and search for identities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from heart2heart.api.stores import key_path, path_list
from heart2heart.errors import ConfigError, MissingInputError, RemoteError, UnknownNameError
from heart2heart.progress import Stage, silent_stage

if TYPE_CHECKING:
    from heart2heart.pacs.retrieve import RetrieveSummary
    from heart2heart.pacs.storage_scp import ReceiveSettings, ReceiveSummary
    from heart2heart.verify.check import VerificationResult


@dataclass(frozen=True)
class RetrieveResult:
    """Result of one fetch from a PACS.

    Attributes:
        instances: Instances that the server listed.
        summary: Instances fetched, present before, and refused.
        url: The server.
    """

    instances: int
    summary: RetrieveSummary
    url: str

    def require_whole(self) -> None:
        """Raise RemoteError if the server did not give every instance that it listed."""
        if self.summary.refused:
            remedy = "Run the same command again. If the error stays, ask the administrator of the server"
            what = f"{self.summary.refused} instances were listed, but not sent whole"
            raise RemoteError(what, where=self.url, remedy=remedy)


def retrieve(
    url: str,
    spool: str | Path,
    *,
    query: str | Path | None = None,
    dates: str | None = None,
    credentials: str | Path | None = None,
    ca: str | Path | None = None,
    allow_http: bool = False,
    key: str | Path | None = None,
    stage: Stage = silent_stage,
) -> RetrieveResult:
    """Fetch ultrasound from a PACS by DICOMweb; a later call continues where this one stopped.

    Args:
        url: Base address of the DICOMweb service.
        spool: Folder for the files (mode 0700), outside any store; created if missing.
        query: YAML file of the query.
        dates: Study dates, `YYYYMMDD-YYYYMMDD`.
        credentials: YAML file (mode 0600) with user and password, or token. None reads the environment.
        ca: Certificate authority (PEM) of the server.
        allow_http: Permit http to another machine.
        key: Key of the file names, created on first use. None takes `SPOOL.key`.
        stage: Opens the progress.

    Raises:
        ConfigError: http to another machine without `allow_http`.
        RemoteError: the server cannot be reached, or refuses.

    Examples:
        >>> from heart2heart.api import retrieve
        >>> retrieve("http://pacs.example/dicom-web", "spool")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: http to another machine
    """
    from contextlib import closing

    from heart2heart.pacs.connection import Credentials
    from heart2heart.pacs.dicomweb import DicomWebClient, PacsQuery
    from heart2heart.pacs.retrieve import retrieve
    from heart2heart.pacs.spool import Spool

    parsed_query = PacsQuery() if query is None else PacsQuery.load(Path(query))
    if dates is not None:
        parsed_query = PacsQuery.parse(parsed_query.model_dump() | {"dates": dates}, where="--dates")
    known, folder = Credentials.find(None if credentials is None else Path(credentials)), Path(spool)
    authority = None if ca is None else Path(ca)
    with (
        closing(DicomWebClient(url, credentials=known, authority=authority, allow_http=allow_http)) as server,
        Spool.open(folder, key_path(folder, key)) as opened,
    ):
        instances = server.search(parsed_query)
        with stage("pull", len(instances)) as progress:
            summary = retrieve(server, instances, opened, progress=progress)
    return RetrieveResult(len(instances), summary, url)


def receive(
    spool: str | Path,
    *,
    port: int = 11112,
    bind: str = "127.0.0.1",
    ae_title: str = "HEART2HEART",
    allow: Sequence[str] = (),
    key: str | Path | None = None,
    ready: Callable[[ReceiveSettings, str, int], None] | None = None,
) -> ReceiveSummary:
    """Receive DICOM by C-STORE into a folder until SIGTERM or Ctrl-C; acknowledge only what is on disk.

    Args:
        spool: Folder for the files (mode 0700), outside any store; created if missing.
        port: TCP port; 0 takes a free one.
        bind: Address to listen at.
        ae_title: AE title that callers must use.
        allow: AE titles that may send; needed beyond loopback.
        key: Key of the file names, created on first use. None takes `SPOOL.key`.
        ready: Called with the settings, the address and the port when callers are accepted.

    Examples:
        >>> import signal
        >>> from heart2heart.api import receive
        >>> summary = receive("spool", port=0, ready=lambda *_: signal.raise_signal(signal.SIGTERM))
        >>> summary.stored
        0
    """
    import signal

    from heart2heart.pacs.spool import Spool
    from heart2heart.pacs.storage_scp import ReceiveSettings, receive

    content = {"bind": bind, "port": port, "ae_title": ae_title, "allow": tuple(allow)}
    settings, folder, stop = ReceiveSettings.parse(content, where="heart2heart receive"), Path(spool), Event()
    previous = {kind: signal.signal(kind, lambda *_: stop.set()) for kind in (signal.SIGTERM, signal.SIGINT)}

    def report_ready(address: str, listening_port: int) -> None:
        if ready is not None:
            ready(settings, address, listening_port)

    try:
        with Spool.open(folder, key_path(folder, key)) as opened:
            return receive(opened, settings, stop=stop, ready=report_ready)
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)


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
        text: Text inside the scan: `blank` it, or `refuse` the file.
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

    policies: dict[str, TextPolicy] = {"blank": "blank", "refuse": "refuse"}
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
        result: Files searched and findings.
        identities: Number of identities in the search.
    """

    result: VerificationResult
    identities: int

    def require_clean(self) -> None:
        """Raise IdentityFoundError if an identity was found."""
        from heart2heart.verify.check import IdentityFoundError

        leaking_files = {finding.file for finding in self.result.findings}
        if leaking_files:
            remedy = "Do not pass these files on; see SECURITY.md for how to report it"
            raise IdentityFoundError(f"identities found in {len(leaking_files)} files", remedy=remedy)


def verify_deidentification(
    outputs: str | Path | Sequence[str | Path],
    *,
    planted: str | Path | None = None,
    archive: str | Path | Sequence[str | Path] = (),
    ocr: bool = False,
    stage: Stage = silent_stage,
) -> Verification:
    """Search every byte of what leaves the hospital for identities.

    Args:
        outputs: Stores, label stores, runs, reports, logs, clean DICOM.
        planted: CSV of identities to look for: kind, value.
        archive: The original DICOM; identities in its headers are searched for.
        ocr: Read the margins of DICOM files with tesseract.
        stage: Opens the progress.

    Raises:
        ConfigError: nothing to look for.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.verify_deidentification("store", archive="hospital").result.findings
        ()
    """
    from heart2heart.verify.check import verify
    from heart2heart.verify.identities import Identities, collect_identities, load_planted

    if planted is None and not archive:
        raise ConfigError("nothing to look for", remedy="Give --archive with the originals, or --planted FILE")
    identities = collect_identities(path_list(archive)) if archive else Identities()
    if planted is not None:
        identities.exact |= load_planted(Path(planted)).exact
    roots = path_list(outputs)
    with stage("search for identities", sum(1 for root in roots for _ in root.rglob("*")) or 1) as progress:
        result = verify(roots, identities, read_margins=ocr, progress=progress)
    return Verification(result, len(identities.exact))
