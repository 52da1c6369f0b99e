"""From a plan to a store: read in parallel, publish in order, and only then write the ledger.

The manner is that of `ingest`: a run can be stopped at any point, also by `kill -9`, and repeated.
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
from heart2heart.ingest.ledger import Ledger, LedgerEntry, LedgerWriter, open_ledger_writer
from heart2heart.ingest.publish_buffer import PublishBuffer
from heart2heart.parallel import map_ordered
from heart2heart.progress import NoProgress, Progress
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry
from heart2heart.store.official_splits import write_official_splits

_PUBLIC_KEY_NOTE = "public data set"  # stands where a hospital's key is noted: its pseudonyms are already public
_CHUNK = 64  # files that travel to a process together


def add_manifest(
    plan: DatasetManifest,
    root: Path,
    *,
    size: int = 112,
    rule: str = "all",
    workers: int = 1,
    progress: Progress | None = None,
) -> DatasetReport:
    """Add the files of a data set to a store; every file ends with one code in the store's ledger.

    Args:
        plan: What the data set holds.
        root: The store; made on first use, of the geometry `tmed2`.
        size: Side of its frames, pixels.
        rule: Frames to keep of a sequence: `all`, `every:N`, `even:K` or `ed_es:K`.
        workers: Processes; a program that asks for more than one must be importable (spawn).
        progress: Told the number of files that are finished, of `len(plan.items)`.

    Raises:
        StoreError: the store has another geometry, or another process is writing to it.
        ConfigError: the site was added with other settings, or is a hospital that was ingested.
    """
    progress, geometry = progress or NoProgress(), Geometry("tmed2", size)
    settings = json.dumps({"frames": str(FrameRule.parse(rule)), "size": size}, sort_keys=True)
    store = FrameStore.create(root, geometry)
    with open_ledger_writer(root) as book:
        store.remove_leftovers()
        book.register_site(plan.source, _PUBLIC_KEY_NOTE, settings)
        known = dict(zip(store.clips["clip"].to_pylist(), store.clips["content"].to_pylist(), strict=True))
        book.reconcile(set(known))
        todo = _pending_files(book, plan)
        pending = PublishBuffer(book, store)
        done = len(plan.files) - len(todo)
        work = [(item, known.get(clip_id(plan.source, item.key))) for item in todo]
        prepared = map_ordered(FilePreparer(plan.source, geometry, rule), work, workers, chunk=_CHUNK)
        for number, (item, outcome) in enumerate(zip(todo, prepared, strict=True), start=1):
            _record_outcome(pending, plan.source, item, outcome)
            progress.update(done + number, f"{pending.frames} frames")
        # A file that is gone from the folder, but whose frames were taken before, is not missing.
        missing = [key for key in plan.missing if clip_id(plan.source, key) not in known]
        for code, keys in (("failed:missing", missing), ("excluded:duplicate", plan.duplicates)):
            for key in keys:
                pending.add_entry(LedgerEntry(_file_id(plan.source, key), plan.source, code, ""))
        pending.publish()
        refused = _files_not_in_store(book, plan)
    return _save_report(plan, root, pending, refused)


def _record_outcome(pending: PublishBuffer, source: str, item: DatasetFile, outcome: PreparedFile) -> None:
    """Account for one file."""
    if outcome.clip is not None and outcome.pixels is not None:
        pending.add_clip(outcome.clip, outcome.pixels, outcome.frames)
    accepted = outcome.code == "accepted"
    clip = clip_id(source, item.key) if accepted else None
    content = f"{source} {item.key} {outcome.content}" if accepted else None
    digest = None if content is None else hashlib.sha256(content.encode()).hexdigest()
    pending.add_entry(LedgerEntry(_file_id(source, item.key), source, outcome.code, _change_stamp(item), digest, clip))


def _pending_files(book: LedgerWriter, plan: DatasetManifest) -> list[DatasetFile]:
    """Return the files without a line that stands: new, changed since, or of a kind that is worth another try."""
    standing = book.settled_stamps(plan.source)
    return [item for item in plan.files if standing.get(_file_id(plan.source, item.key)) != _change_stamp(item)]


def _all_keys(plan: DatasetManifest) -> Iterator[str]:
    yield from (item.key for item in plan.files)
    yield from plan.missing
    yield from plan.duplicates


def _files_not_in_store(book: LedgerWriter, plan: DatasetManifest) -> tuple[tuple[str, str], ...]:
    """Return key and code of every file that is not in the store, by the ledger."""
    codes = {file: code for file, (code, _) in book.entries(plan.source).items()}
    found = ((key, codes[_file_id(plan.source, key)]) for key in _all_keys(plan))
    return tuple(sorted((key, code) for key, code in found if code != "accepted"))


def _save_report(
    plan: DatasetManifest, root: Path, pending: PublishBuffer, refused: tuple[tuple[str, str], ...]
) -> DatasetReport:
    store = FrameStore.open(root)
    mine = store.clips.filter(pc.equal(store.clips["site"], plan.source))
    there = set(mine["clip"].to_pylist())
    official = plan.official_split.filter(pc.is_in(plan.official_split["clip"], pa.array(sorted(there), pa.string())))
    write_official_splits(root, plan.source, official)
    knowns = tuple(
        CountCheck(each.what, each.expected, len({name for clip, name in each.names.items() if clip in there}))
        for each in plan.published_counts
    )
    labels = {clip_id(plan.source, item.key): item.view for item in plan.files if item.view is not None}
    splits: Counter[tuple[str, str, str]] = Counter()
    for row in official.group_by(["split", "role", "view"]).aggregate([([], "count_all")]).to_pylist():
        splits[row["split"], row["role"], row["view"] or ""] += row["count_all"]
    report = DatasetReport(
        source=plan.source,
        expected=len(plan.files) + len(plan.missing),
        found=len(plan.files),
        codes=Ledger(root).counts(plan.source).get(plan.source, {}),
        files_not_in_store=refused,
        clips=pending.clips,
        frames=pending.frames,
        patients=int(pc.count_distinct(mine["patient"]).as_py()),
        count_checks=knowns,
        splits=dict(sorted(splits.items())),
        notes=plan.notes,
        labels={clip: view for clip, view in labels.items() if clip in there},
    )
    report.save(root)
    return report


def _file_id(source: str, key: str) -> str:
    return hashlib.sha256(f"{source}\x1f{key}\x1ffile".encode()).hexdigest()


def _change_stamp(item: DatasetFile) -> str:
    """Return what changes when the file or a companion does; empty for a file that cannot be asked."""
    try:
        found = [path.stat() for path in (item.path, *item.companions)]
    except OSError:
        return ""
    told = " ".join(f"{each.st_size} {each.st_mtime_ns}" for each in found)
    return hashlib.sha256(told.encode()).hexdigest()[:32]
