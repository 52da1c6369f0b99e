"""Adds pictures and videos of a hospital to a store, with the key, the ledger and the workers of a DICOM ingest.

Names of files and patients may identify a person. They are replaced by keyed hashes; reports name rows of the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.datasets.load_picture import load_picture
from heart2heart.datasets.manifest import DatasetReport, official_rows
from heart2heart.datasets.picture_labels import ClipLabels, clip_labels
from heart2heart.datasets.picture_lists import ListedPicture, PictureList
from heart2heart.deidentify.clip import PreparedClip
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer, Pseudonyms
from heart2heart.errors import ConfigError
from heart2heart.ingest.executors import run_ordered
from heart2heart.ingest.ledger import open_ledger_writer
from heart2heart.ingest.pipeline import IngestRun, PendingFile, is_site_name, pending_files, require_key, unfinished
from heart2heart.ingest.settings import IngestSettings, Limits
from heart2heart.ingest.source_files import key_fingerprint
from heart2heart.ingest.worker import FileOutcome, file_outcome
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.status import ClipFlag, StatusCode
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.store_files import read_official_splits, write_official_splits

NAME = "pictures"
_SPLIT = "official"  # name of the split of a table


class PictureSettings(IngestSettings):
    """Settings of the frames of a site's pictures; those of a DICOM ingest, so that one site may have both."""

    whole: bool = False
    """Keep the whole picture where no sector is found, for pictures that show the scan alone."""

    def ledger_text(self) -> str:
        """Return the text that the ledger keeps; that of a DICOM ingest unless `whole` is set."""
        changing = {"text", "viewing_copies"}
        return self.model_dump_json(exclude=changing if self.whole else {*changing, "whole"})


@dataclass(frozen=True)
class PictureTask:
    """Prepares the picture at a path and returns its outcome; a faulty file raises no error. Picklable.

    Attributes:
        key: The key of the pseudonyms.
        settings: Settings of the frames.
        known: Content hashes of the files in the store.
    """

    key: Key
    settings: PictureSettings
    known: frozenset[str]

    def __call__(self, path: Path) -> FileOutcome:
        """Prepare one picture."""
        return file_outcome(nullcontext(path), self._load)

    def _load(self, path: Path) -> PreparedClip:
        return load_picture(
            path,
            geometry=self.settings.build_geometry(),
            rule=self.settings.frames,
            pseudonymizer=Pseudonymizer(self.key),
            salvage=self.settings.salvage,
            known=self.known,
            whole=self.settings.whole,
            text_policy=self.settings.text,
            viewing_copy=self.settings.viewing_copies,
        )


def add_pictures(
    listed: PictureList,
    root: Path,
    *,
    key: Path,
    site: str = NAME,
    vocabulary: str = "heart2heart",
    settings: PictureSettings | None = None,
    workers: int = 0,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> DatasetReport:
    """Add pictures and videos to a store; every file ends with one code in the store's ledger.

    The run may be stopped at any point and repeated.

    Args:
        listed: The pictures.
        root: The store; made on first use.
        key: Key of the pseudonyms; made on first use.
        site: Hospital of the pictures that name none.
        vocabulary: A name of `views.VOCABULARIES`, or `own` for labels that are no views.
        settings: How pictures become frames.
        workers: Processes; 0 works in this process, where `limits` do not hold.
        limits: Time and memory of one file.
        progress: Told the number of files that are finished, of `len(listed.pictures)`.

    Raises:
        ConfigError: the site is not valid, or its key or settings differ from those of its first ingest.
        MissingInputError: the key of a known site is gone.
        UnknownNameError: no such vocabulary.
        StoreError: the store has another geometry, or another process is writing to it.
    """
    settings, progress = settings or PictureSettings(), progress or NoProgress()
    if not is_site_name(site):
        raise ConfigError("the site is not valid", remedy="A site is 1 to 64 letters, digits, blanks, dots or dashes")
    pictures = [replace(picture, site=picture.site or site) for picture in listed.pictures]
    sites = sorted({str(picture.site) for picture in pictures})
    for each in sites:
        require_key(key, root, each)
    secret = Key.open(key, outside=root)
    store = FrameStore.create(root, settings.build_geometry())
    with open_ledger_writer(root) as ledger:
        store.remove_leftovers()
        for each in sites:
            ledger.register_site(each, key_fingerprint(secret), settings.ledger_text())
        clips = store.all_clips
        ledger.reconcile(set(clips["clip"].to_pylist()))
        known = dict(zip(clips["content"].to_pylist(), clips["clip"].to_pylist(), strict=True))
        entries = [pending_files(secret, str(picture.site), [picture.path])[0] for picture in pictures]
        by_file = {entry.file: picture for entry, picture in zip(entries, pictures, strict=True)}
        held = {file for each in sites for file in ledger.contents(each)}
        todo = [entry for entry in unfinished(ledger, entries) if not _is_gone(by_file[entry.file], entry, held)]
        run = IngestRun(ledger, store, secret, known)
        task = PictureTask(secret, settings, frozenset(known))
        outcomes = _outcomes(task, todo, by_file, workers, limits)
        for count, (entry, outcome) in enumerate(zip(todo, outcomes, strict=True), start=1):
            run.record(entry, _with_pseudonyms(outcome, by_file[entry.file], Pseudonymizer(secret)))
            progress.update(len(entries) - len(todo) + count, f"{run.pending.frames} frames")
        run.pending.publish()
        statuses = {each: ledger.entries(each) for each in sites}
        contents = {each: ledger.contents(each) for each in sites}
    codes = [statuses[entry.site][entry.file][0] for entry in entries]
    in_store = [contents[entry.site].get(entry.file) for entry in entries]
    clip_of = [None if content is None else run.known.get(content) for content in in_store]
    labels = clip_labels(pictures, clip_of, vocabulary)
    _write_splits(root, sites, labels, {clip for clip in clip_of if clip is not None})
    return _save_report(listed, root, sites, pictures, codes, labels, run)


def _is_gone(picture: ListedPicture, entry: PendingFile, held: Set[str]) -> bool:
    """Return whether a file was removed after its frames were added; it is not missing."""
    return picture.refused == StatusCode.FAILED_MISSING and entry.file in held


def _outcomes(
    task: PictureTask,
    todo: Sequence[PendingFile],
    by_file: dict[str, ListedPicture],
    workers: int,
    limits: Limits | None,
) -> Iterator[FileOutcome]:
    """Yield the outcome of each file; those that the list refuses are not opened."""
    refused = [by_file[entry.file].refused for entry in todo]
    read = run_ordered(
        task, [entry.path for entry, code in zip(todo, refused, strict=True) if code is None], workers, limits
    )
    for code in refused:
        yield next(read) if code is None else FileOutcome(code)


def _with_pseudonyms(outcome: FileOutcome, picture: ListedPicture, pseudonymizer: Pseudonymizer) -> FileOutcome:
    """Return the outcome with the pseudonyms of the picture's patient; one without a patient is its own."""
    if outcome.clip is None:
        return outcome
    site, content = str(picture.site), outcome.clip.content
    name = f"content {content}" if picture.patient is None else f"{NAME} {site} {picture.patient}"
    study = pseudonymizer.uid(name)
    patient = pseudonymizer.patient(site, picture.patient or f"study {pseudonymizer.unrotated.uid(name)}")
    flags = () if picture.patient else (ClipFlag.NO_PATIENT_ID,)
    return replace(outcome, clip=replace(outcome.clip, pseudonyms=Pseudonyms(patient, study, flags=flags)))


def _write_splits(root: Path, sites: Sequence[str], labels: ClipLabels, clips: Set[str]) -> None:
    """Write the official split of each site; rows of clips that are not listed now, but were before, stay."""
    store = FrameStore.open(root).all_clips
    stored = dict(zip(store["clip"].to_pylist(), store["site"].to_pylist(), strict=True))
    for site in sites:
        before = read_official_splits(root, site)
        kept = before.filter(pc.invert(pc.is_in(before["clip"], pa.array(sorted(clips), pa.string()))))
        rows = [row for row in labels.official if stored.get(row[0]) == site]
        columns = zip(*rows, strict=True) if rows else ((), (), ())
        write_official_splits(root, site, pa.concat_tables([kept, official_rows(_SPLIT, *map(list, columns))]))


def _save_report(
    listed: PictureList,
    root: Path,
    sites: Sequence[str],
    pictures: Sequence[ListedPicture],
    codes: Sequence[str],
    labels: ClipLabels,
    run: IngestRun,
) -> DatasetReport:
    store = FrameStore.open(root)
    stored = dict(zip(store.all_clips["clip"].to_pylist(), store.all_clips["site"].to_pylist(), strict=True))
    splits = Counter(
        (f"{stored[clip]}:{_SPLIT}", str(role), view or "") for clip, role, view in labels.official if clip in stored
    )
    nameless = sum(picture.patient is None for picture, code in zip(pictures, codes, strict=True) if code == "accepted")
    notes = [*listed.notes, *labels.notes]
    if nameless:
        notes.append(
            f"{nameless} files name no patient; each counts as a patient of its own, so pictures of one person may "
            "come into several parts of a split"
        )
    listing = zip(pictures, codes, strict=True)
    here = store.all_clips.filter(pc.is_in(store.all_clips["site"], pa.array(list(sites), pa.string())))
    report = DatasetReport(
        source=NAME,
        expected=len(pictures),
        found=sum(code != StatusCode.FAILED_MISSING for code in codes),
        codes=dict(Counter(codes)),
        files_not_in_store=tuple((picture.where, code) for picture, code in listing if code != StatusCode.ACCEPTED),
        clips=run.pending.clips,
        frames=run.pending.frames,
        patients=int(pc.count_distinct(here["patient"]).as_py()),
        splits=dict(sorted(splits.items())),
        notes=tuple(notes),
        labels=labels.views,
    )
    report.save(root)
    return report
