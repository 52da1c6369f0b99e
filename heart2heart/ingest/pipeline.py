"""Ingests folders of DICOM files into a store: finds files, prepares them in parallel, and publishes them in order."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.ingest.executors import run_ordered
from heart2heart.ingest.ledger import Ledger, LedgerWriter, PublishBuffer, open_ledger_writer
from heart2heart.ingest.settings import IngestSettings, IngestSummary, Limits
from heart2heart.ingest.source_files import close_archives, file_id, file_stamp, find_files, key_fingerprint
from heart2heart.ingest.worker import FileOutcome, IngestTask
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.status import StatusCode
from heart2heart.schema.store import LedgerEntry
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.joined_tables import join_tables
from heart2heart.store.viewing_copies import write_viewing_copy

_WINDOW_S = 60.0  # window of the rates; long, because long studies and empty folders alternate
_STEP_S = 1.0  # between two remembered points


class RateMeter:
    """Measures the rates of an ingest, from its construction on.

    Args:
        total: Files to process in this run.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._points = deque([(time.monotonic(), 0, 0)])

    def update(self, done: int, frames: int, codes: Mapping[str, int]) -> str:
        """Return e.g. `12.5 files/s, 840 frames/s; accepted 30, excluded 2; 0:42 left`.

        Rates and time left are computed over the last minute.

        Args:
            done: Files finished in this run.
            frames: Frames of those files.
            codes: Finished files by status code.
        """
        now = time.monotonic()
        while len(self._points) > 1 and self._points[1][0] <= now - _WINDOW_S:
            self._points.popleft()
        since, done_then, frames_then = self._points[0]
        elapsed = max(now - since, 1e-3)
        if now - self._points[-1][0] >= _STEP_S:
            self._points.append((now, done, frames))
        rate = (done - done_then) / elapsed
        kinds: Counter[str] = Counter()
        for code, files in codes.items():
            kinds[code.partition(":")[0]] += files
        ends = ", ".join(f"{kind} {files}" for kind, files in sorted(kinds.items()))
        left = _clock(round((self._total - done) / rate)) if rate > 0 else "unknown time"
        speed = f"{rate:.1f} files/s, {(frames - frames_then) / elapsed:.0f} frames/s"
        return "; ".join(part for part in (speed, ends, f"{left} left") if part)


def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def ingest(
    paths: Sequence[Path],
    *,
    site: str,
    store: Path,
    key: Path,
    settings: IngestSettings | None = None,
    workers: int = 0,
    limits: Limits | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """De-identify DICOM files and append their frames to a store; every file ends with one code in the ledger.

    The ingest may be stopped at any point, also by `kill -9`, and run again. Published frames stay, and the remaining
    files are ingested. The store's digest and the ledger's counts are then those of a run that was never stopped,
    whatever the number of workers.

    Args:
        paths: Files and folders.
        site: Name of the hospital, as it may appear in a report.
        store: The frame store; made on first use.
        key: The key file; made on first use with mode 0600. It may not lie inside the store.
        settings: How files become frames.
        workers: Number of worker processes; they are spawned, so the calling program must be importable. 0 ingests in
            this process, where `limits` do not hold and a codec that crashes ends the run.
        limits: Time and memory that one file may take in a worker; by default `Limits()`.
        dask: Address of a Dask scheduler, or its scheduler file, whose workers replace `workers`.
        progress: Receives the number of finished files, of `len(find_files(paths, foreign_links=set()))`.

    Raises:
        MissingInputError: a path does not exist, there is no file, or the site's key file is gone.
        ConfigError: the key or the settings differ from those of the site's first ingest, or others can read the key.
        StoreError: the store has another geometry, or another ingest is writing to it.
        NoSpaceError: the disk is full; run the same again when it is not.
        RemoteError: the Dask cluster cannot be reached or stopped; run the same again when it is back.
    """
    started = time.monotonic()
    settings, progress = settings or IngestSettings(), progress or NoProgress()
    if not is_site_name(site) or workers < 0:
        remedy = "A site is 1 to 64 letters, digits, blanks, dots or dashes; workers are at least 0"
        raise ConfigError("the site or the number of workers is not valid", remedy=remedy)
    links: set[Path] = set()
    files = find_files(paths, outside=store, foreign_links=links)
    require_key(key, store, site)
    secret = Key.open(key, outside=store)
    frames = FrameStore.create(store, settings.build_geometry())
    with open_ledger_writer(store) as ledger:
        frames.remove_leftovers()
        ledger.register_site(site, key_fingerprint(secret), settings.ledger_text())
        clips = frames.all_clips
        ledger.reconcile(set(clips["clip"].to_pylist()))
        known = dict(zip(clips["content"].to_pylist(), clips["clip"].to_pylist(), strict=True))
        todo = unfinished(ledger, pending_files(secret, site, files))
        unchanged = len(files) - len(todo)
        run = IngestRun(ledger, frames, secret, known)
        worker, rate_meter = (
            IngestTask(secret, site, settings, frozenset(known), frozenset(links)),
            RateMeter(len(todo)),
        )
        outcomes = _outcomes(worker, [entry.path for entry in todo], workers, dask, limits)
        for count, (entry, outcome) in enumerate(zip(todo, outcomes, strict=True), start=1):
            run.record(entry, outcome)
            progress.update(unchanged + count, rate_meter.update(count, run.pending.frames, run.codes))
        run.pending.publish()
    close_archives()
    join_tables(store)
    total = Ledger(store).counts(site).get(site, {})
    seconds = time.monotonic() - started
    return IngestSummary(
        site, dict(sorted(run.codes.items())), total, unchanged, run.pending.clips, run.pending.frames, seconds
    )


def is_site_name(site: str) -> bool:
    """Return whether a name can be a site's: 1 to 64 letters, digits, blanks, dots or dashes."""
    return re.fullmatch(r"[\w][\w .-]{0,63}", site) is not None


def require_key(key: Path, store: Path, site: str) -> None:
    """Refuse to make a new key for a site that has one: the ledger would refuse it later, after the file is written."""
    try:
        inside = key.resolve().is_relative_to(store.resolve())  # `Key.open` refuses a key inside the store
        known = not inside and not key.exists() and site in Ledger(store).sites()
    except MissingInputError:
        return
    if known:
        remedy = "Restore the key file from your copy, or ingest the site into a new store"
        raise MissingInputError(f"the key file of site {site} is gone", where=key, remedy=remedy)


def _outcomes(
    worker: IngestTask, paths: Sequence[Path], workers: int, dask: str | None, limits: Limits | None
) -> Iterator[FileOutcome]:
    if dask is None:
        return run_ordered(worker, paths, workers, limits)
    try:
        from heart2heart.ingest.dask_executor import run_on_dask
    except ModuleNotFoundError as error:
        remedy = "Run: pip install 'heart2heart[dask]'"
        raise ConfigError("distributed is not installed", remedy=remedy) from error
    return run_on_dask(worker, paths, dask, limits)


@dataclass(frozen=True)
class PendingFile:
    """A file to be ingested, with its site, and its name and stamp in the ledger."""

    path: Path
    site: str
    file: str
    stamp: str


def pending_files(key: Key, site: str, files: Sequence[Path]) -> list[PendingFile]:
    """Return the files of a site as the ledger names them."""
    return [PendingFile(path, site, file_id(key, site, path), file_stamp(key, path)) for path in files]


def unfinished(ledger: LedgerWriter, files: Sequence[PendingFile]) -> list[PendingFile]:
    """Return the files without a final entry: new ones, changed ones, and those whose status is retried."""
    settled = {site: ledger.settled_stamps(site) for site in {entry.site for entry in files}}
    return [entry for entry in files if settled[entry.site].get(entry.file) != entry.stamp]


class IngestRun:
    """The state of an ingest in the parent process: the file of each content, and the entries to be published.

    Args:
        ledger: Writer of the ledger.
        store: The store.
        key: The key of the pseudonyms.
        known: Clip by content, of the clips in the store.
    """

    def __init__(self, ledger: LedgerWriter, store: FrameStore, key: Key, known: dict[str, str]) -> None:
        self.known = known
        self._root = store.root
        self.pending = PublishBuffer(ledger, store)
        self.owners = ledger.accepted()
        self.pseudonymizer = Pseudonymizer(key)
        self.codes: Counter[str] = Counter()

    def record(self, entry: PendingFile, outcome: FileOutcome) -> None:
        """Record the outcome of one file; files come in their order."""
        code, content = outcome.code, outcome.content
        clip: str | None = None
        if content is not None:
            clip = self.known.get(content)
            code = (
                StatusCode.ACCEPTED
                if self.owners.setdefault(content, entry.file) == entry.file
                else StatusCode.EXCLUDED_DUPLICATE
            )
            if clip is None and outcome.clip is not None:
                clip = self.known[content] = self.pseudonymizer.clip(content)
                write_viewing_copy(self._root, clip, outcome.clip.viewing)
                self.pending.add_clip(outcome.clip.row(entry.site, clip), outcome.clip.pixels, outcome.clip.frames)
        self.codes[code] += 1
        accepted_clip = clip if code == StatusCode.ACCEPTED else None
        self.pending.add_entry(
            LedgerEntry(entry.file, entry.site, code, entry.stamp, content, accepted_clip, outcome.manufacturer)
        )
