"""Adds the files of a manifest to a store: reads in parallel, publishes in order, and then writes the ledger.

As with `ingest`, a run can be stopped at any point, also by `kill -9`, and repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.datasets.manifest import CountCheck, DatasetFile, DatasetManifest, DatasetReport, clip_id
from heart2heart.datasets.prepare import FilePreparer, PreparedFile
from heart2heart.ingest.ledger import Ledger, LedgerWriter, PublishBuffer, open_ledger_writer
from heart2heart.parallel import map_ordered
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.status import StatusCode
from heart2heart.schema.store import LedgerEntry
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.store.store_files import write_official_splits

_PUBLIC_KEY_NOTE = "public data set"  # in place of a hospital's key: the pseudonyms are already public
_CHUNK = 64  # files that are sent to a process together


def add_manifest(
    manifest: DatasetManifest,
    root: Path,
    *,
    size: int = 112,
    rule: str = "all",
    workers: int = 1,
    progress: Progress | None = None,
) -> DatasetReport:
    """Add the files of a data set to a store; every file ends with one code in the store's ledger.

    Args:
        manifest: What the data set holds.
        root: The store; made on first use, of the geometry `tmed2`.
        size: Side of its frames, pixels.
        rule: Frames to keep of a sequence: `all`, `every:N`, `even:K` or `ed_es:K`.
        workers: Processes; a program that asks for more than one must be importable (spawn).
        progress: Told the number of files that are finished, of `len(manifest.files)`.

    Raises:
        StoreError: the store has another geometry, or another process is writing to it.
        ConfigError: the site was added with other settings, or is a hospital that was ingested.
    """
    progress, geometry = progress or NoProgress(), Geometry("tmed2", size)
    settings = json.dumps({"frames": str(FrameRule.parse(rule)), "size": size}, sort_keys=True)
    store = FrameStore.create(root, geometry)
    with open_ledger_writer(root) as ledger:
        store.remove_leftovers()
        ledger.register_site(manifest.source, _PUBLIC_KEY_NOTE, settings)
        contents = dict(zip(store.all_clips["clip"].to_pylist(), store.all_clips["content"].to_pylist(), strict=True))
        ledger.reconcile(set(contents))
        todo = _pending_files(ledger, manifest)
        pending = PublishBuffer(ledger, store)
        done = len(manifest.files) - len(todo)
        work = [(item, contents.get(clip_id(manifest.source, item.key))) for item in todo]
        prepared = map_ordered(FilePreparer(manifest.source, geometry, rule), work, workers, chunk=_CHUNK)
        for index, (item, outcome) in enumerate(zip(todo, prepared, strict=True), start=1):
            _record_outcome(pending, manifest.source, item, outcome)
            progress.update(done + index, f"{pending.frames} frames")
        # A file that was removed from the folder after its frames were added is not missing.
        missing = [key for key in manifest.missing if clip_id(manifest.source, key) not in contents]
        for code, keys in ((StatusCode.FAILED_MISSING, missing), (StatusCode.EXCLUDED_DUPLICATE, manifest.duplicates)):
            for key in keys:
                pending.add_entry(LedgerEntry(_file_id(manifest.source, key), manifest.source, code, ""))
        pending.publish()
        refused = _files_not_in_store(ledger, manifest)
    return _save_report(manifest, root, pending, refused)


def _record_outcome(pending: PublishBuffer, source: str, item: DatasetFile, outcome: PreparedFile) -> None:
    """Record the result of one file."""
    if outcome.clip is not None and outcome.pixels is not None:
        pending.add_clip(outcome.clip, outcome.pixels, outcome.frames)
    accepted = outcome.code == StatusCode.ACCEPTED
    clip = clip_id(source, item.key) if accepted else None
    content = f"{source} {item.key} {outcome.content}" if accepted else None
    digest = None if content is None else hashlib.sha256(content.encode()).hexdigest()
    pending.add_entry(LedgerEntry(_file_id(source, item.key), source, outcome.code, _change_stamp(item), digest, clip))


def _pending_files(ledger: LedgerWriter, manifest: DatasetManifest) -> list[DatasetFile]:
    """Return the files without a final status: new, changed, or with a status that allows another try."""
    settled = ledger.settled_stamps(manifest.source)
    return [item for item in manifest.files if settled.get(_file_id(manifest.source, item.key)) != _change_stamp(item)]


def _all_keys(manifest: DatasetManifest) -> Iterator[str]:
    yield from (item.key for item in manifest.files)
    yield from manifest.missing
    yield from manifest.duplicates


def _files_not_in_store(ledger: LedgerWriter, manifest: DatasetManifest) -> tuple[tuple[str, str], ...]:
    """Return key and code of every file that is not in the store, by the ledger."""
    codes = {file: code for file, (code, _) in ledger.entries(manifest.source).items()}
    coded = ((key, codes[_file_id(manifest.source, key)]) for key in _all_keys(manifest))
    return tuple(sorted((key, code) for key, code in coded if code != StatusCode.ACCEPTED))


def _save_report(
    manifest: DatasetManifest, root: Path, pending: PublishBuffer, refused: tuple[tuple[str, str], ...]
) -> DatasetReport:
    store = FrameStore.open(root)
    clips = store.all_clips.filter(pc.equal(store.all_clips["site"], manifest.source))
    stored = set(clips["clip"].to_pylist())
    official = manifest.official_split.filter(
        pc.is_in(manifest.official_split["clip"], pa.array(sorted(stored), pa.string()))
    )
    write_official_splits(root, manifest.source, official)
    checks = tuple(
        CountCheck(each.what, each.expected, len({name for clip, name in each.names.items() if clip in stored}))
        for each in manifest.published_counts
    )
    labels = {clip_id(manifest.source, item.key): item.view for item in manifest.files if item.view is not None}
    splits: Counter[tuple[str, str, str]] = Counter()
    for row in official.group_by(["split", "role", "view"]).aggregate([([], "count_all")]).to_pylist():
        splits[row["split"], row["role"], row["view"] or ""] += row["count_all"]
    report = DatasetReport(
        source=manifest.source,
        expected=len(manifest.files) + len(manifest.missing),
        found=len(manifest.files),
        codes=Ledger(root).counts(manifest.source).get(manifest.source, {}),
        files_not_in_store=refused,
        clips=pending.clips,
        frames=pending.frames,
        patients=int(pc.count_distinct(clips["patient"]).as_py()),
        count_checks=checks,
        splits=dict(sorted(splits.items())),
        notes=manifest.notes,
        labels={clip: view for clip, view in labels.items() if clip in stored},
    )
    report.save(root)
    return report


def _file_id(source: str, key: str) -> str:
    return hashlib.sha256(f"{source}\x1f{key}\x1ffile".encode()).hexdigest()


def _change_stamp(item: DatasetFile) -> str:
    """Return sizes and times of the file and its companions; empty if they cannot be read."""
    try:
        stats = [path.stat() for path in (item.path, *item.companions)]
    except OSError:
        return ""
    text = " ".join(f"{each.st_size} {each.st_mtime_ns}" for each in stats)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
