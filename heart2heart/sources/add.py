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

from heart2heart.frames.choice import FrameRule
from heart2heart.frames.geometry import Geometry
from heart2heart.frames.official import write_official
from heart2heart.frames.store import FrameStore
from heart2heart.ingest.ledger import Book, Ledger, Line, write_book
from heart2heart.ingest.pending import Pending
from heart2heart.parallel import map_ordered
from heart2heart.progress import Progress, Silent
from heart2heart.sources.plan import Item, Plan, clip_id
from heart2heart.sources.prepare import Prepared, Preparer
from heart2heart.sources.report import Known, SourceReport

_NO_KEY = "public data set"  # stands where a hospital's key is noted: its pseudonyms are already public
_CHUNK = 64  # files that travel to a process together


def add_plan(
    plan: Plan, root: Path, *, size: int = 112, rule: str = "all", workers: int = 1, progress: Progress | None = None
) -> SourceReport:
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
    progress, geometry = progress or Silent(), Geometry("tmed2", size)
    settings = json.dumps({"frames": str(FrameRule.parse(rule)), "size": size}, sort_keys=True)
    store = FrameStore.create(root, geometry)
    with write_book(root) as book:
        store.sweep()
        book.enter_site(plan.source, _NO_KEY, settings)
        known = dict(zip(store.clips["clip"].to_pylist(), store.clips["content"].to_pylist(), strict=True))
        book.reconcile(set(known))
        todo = _unfinished(book, plan)
        pending = Pending(book, store)
        done = len(plan.items) - len(todo)
        work = [(item, known.get(clip_id(plan.source, item.key))) for item in todo]
        prepared = map_ordered(Preparer(plan.source, geometry, rule), work, workers, chunk=_CHUNK)
        for number, (item, outcome) in enumerate(zip(todo, prepared, strict=True), start=1):
            _take(pending, plan.source, item, outcome)
            progress.update(done + number, f"{pending.frames} frames")
        # A file that is gone from the folder, but whose frames were taken before, is not missing.
        missing = [key for key in plan.missing if clip_id(plan.source, key) not in known]
        for code, keys in (("failed:missing", missing), ("excluded:duplicate", plan.repeated)):
            for key in keys:
                pending.add_line(Line(_file(plan.source, key), plan.source, code, ""))
        pending.publish()
        refused = _refused(book, plan)
    return _account(plan, root, pending, refused)


def _take(pending: Pending, source: str, item: Item, outcome: Prepared) -> None:
    """Account for one file."""
    if outcome.clip is not None and outcome.pixels is not None:
        pending.add_clip(outcome.clip, outcome.pixels, outcome.frames)
    accepted = outcome.code == "accepted"
    clip = clip_id(source, item.key) if accepted else None
    content = f"{source} {item.key} {outcome.content}" if accepted else None
    digest = None if content is None else hashlib.sha256(content.encode()).hexdigest()
    pending.add_line(Line(_file(source, item.key), source, outcome.code, _stamp(item), digest, clip))


def _unfinished(book: Book, plan: Plan) -> list[Item]:
    """Return the files without a line that stands: new, changed since, or of a kind that is worth another try."""
    standing = book.standing(plan.source)
    return [item for item in plan.items if standing.get(_file(plan.source, item.key)) != _stamp(item)]


def _keys(plan: Plan) -> Iterator[str]:
    yield from (item.key for item in plan.items)
    yield from plan.missing
    yield from plan.repeated


def _refused(book: Book, plan: Plan) -> tuple[tuple[str, str], ...]:
    """Return key and code of every file that is not in the store, by the ledger."""
    codes = {file: code for file, (code, _) in book.lines(plan.source).items()}
    found = ((key, codes[_file(plan.source, key)]) for key in _keys(plan))
    return tuple(sorted((key, code) for key, code in found if code != "accepted"))


def _account(plan: Plan, root: Path, pending: Pending, refused: tuple[tuple[str, str], ...]) -> SourceReport:
    store = FrameStore.open(root)
    mine = store.clips.filter(pc.equal(store.clips["site"], plan.source))
    there = set(mine["clip"].to_pylist())
    official = plan.official.filter(pc.is_in(plan.official["clip"], pa.array(sorted(there), pa.string())))
    write_official(root, plan.source, official)
    knowns = tuple(
        Known(each.what, each.number, len({name for clip, name in each.names.items() if clip in there}))
        for each in plan.expectations
    )
    labels = {clip_id(plan.source, item.key): item.view for item in plan.items if item.view is not None}
    splits: Counter[tuple[str, str, str]] = Counter()
    for row in official.group_by(["split", "role", "view"]).aggregate([([], "count_all")]).to_pylist():
        splits[row["split"], row["role"], row["view"] or ""] += row["count_all"]
    report = SourceReport(
        source=plan.source,
        expected=len(plan.items) + len(plan.missing),
        found=len(plan.items),
        codes=Ledger(root).counts(plan.source).get(plan.source, {}),
        refused=refused,
        clips=pending.clips,
        frames=pending.frames,
        patients=int(pc.count_distinct(mine["patient"]).as_py()),
        knowns=knowns,
        splits=dict(sorted(splits.items())),
        notes=plan.notes,
        labels={clip: view for clip, view in labels.items() if clip in there},
    )
    report.save(root)
    return report


def _file(source: str, key: str) -> str:
    return hashlib.sha256(f"{source}\x1f{key}\x1ffile".encode()).hexdigest()


def _stamp(item: Item) -> str:
    """Return what changes when the file or a companion does; empty for a file that cannot be asked."""
    try:
        found = [path.stat() for path in (item.path, *item.companions)]
    except OSError:
        return ""
    told = " ".join(f"{each.st_size} {each.st_mtime_ns}" for each in found)
    return hashlib.sha256(told.encode()).hexdigest()[:32]
