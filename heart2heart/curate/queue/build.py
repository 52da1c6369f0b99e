"""The queue, from stores, a label book and a run to clips in order with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart import seeds
from heart2heart.curate.events import LabelEvent
from heart2heart.curate.queue.evidence import Evidence, read_tables
from heart2heart.curate.queue.labels import read_already, read_costs, seconds_by_class
from heart2heart.curate.queue.methods import get_method
from heart2heart.curate.queue.pool import Ints, Pool
from heart2heart.curate.queue.repeats import FindSame, same_picture
from heart2heart.curate.queue.settings import QueueSettings
from heart2heart.curate.queue.shortlist import Pick, Shortlist
from heart2heart.errors import ConfigError, MissingInputError, UnknownNameError
from heart2heart.frames.choice import FrameRule
from heart2heart.frames.store import Frames
from heart2heart.progress import Progress
from heart2heart.views import TAXONOMY_VERSION, VIEWS


@dataclass(frozen=True)
class Queue:
    """Clips to be asked for.

    Attributes:
        clips: Pseudonyms of all clips that were looked at.
        sites: Their hospitals.
        pool: What was known of them.
        picks: The picks, in order.
    """

    clips: tuple[str, ...]
    sites: tuple[str, ...]
    pool: Pool
    picks: tuple[Pick, ...]


def build_queue(
    stores: Frames,
    settings: QueueSettings,
    *,
    events: Sequence[LabelEvent] = (),
    evidence: Evidence | None = None,
    cost: str | Path = "equal",
    find_same: FindSame | None = None,
    progress: Progress | None = None,
) -> Queue:
    """Choose what to label next.

    Args:
        stores: The stores with the clips.
        settings: How to choose.
        events: Of the label book, in their order; clips that were read are left out.
        evidence: The run; `random` alone does without.
        cost: `equal`, `time` (seconds that readings of the view took so far), or a file (`labels.read_costs`).
        find_same: Finds frames of the same picture; None takes no clip for a repeat of another.
        progress: Told the frames done.

    Raises:
        UnknownNameError: no such method or rare view.
        ConfigError: the method needs a run, or labels; the budget is larger than what is left; a clip is there twice.
        MissingInputError: no clip is left to be asked for.
        RunError: the run takes other frames, or does not hold what the method needs.
        LabelError: costs that cannot be told.
    """
    method = get_method(settings.by)
    needs = set(method.needs) | ({"probabilities"} if cost == "time" else set())
    if needs and evidence is None:
        asks = "the method " + settings.by if method.needs else "the cost by time"
        raise ConfigError(f"{asks} asks a model", remedy="Give a finished run: --run RUN")
    if evidence is not None:
        needs |= {"probabilities"}  # the queue says what the model thinks, for who looks at it later
        _check_taxonomy(evidence)
    classes = evidence.classes if evidence is not None else tuple(VIEWS)
    clips, sites, patient, rows, owner = _clips(stores, settings)
    # What refuses the costs is said before the frames are read, which takes minutes.
    told = None if cost in ("equal", "time") else read_costs(Path(cost), clips)
    if cost == "time":
        seconds_by_class(np.array([-1]), classes, events)
    asked, target = read_already(clips, classes, events)
    pool = Pool(
        patient=patient,
        asked=asked,
        target=target,
        cost=np.ones(len(clips)) if told is None else told,
        picture=np.arange(len(clips)),
        classes=classes,
        rare=tuple(_class_of(view, classes) for view in settings.rare),
    )
    _refuse_more_than_left(pool, settings, "before near-duplicates are looked for")
    if method.labels and not len(pool.labeled):
        remedy = "Name the label book (--labels), or begin with --by typiclust or --by core_set"
        raise ConfigError(f"the method {settings.by} needs clips labeled with a view of the run", remedy=remedy)
    if find_same is not None:
        pool = replace(pool, picture=_pictures(stores, rows, owner, len(clips), find_same))
        _refuse_more_than_left(pool, settings, "near-duplicates counted once")
    if evidence is not None:
        per_frame = needs | ({"embeddings"} if "unlike" in needs else set())
        tables = read_tables(evidence, stores, rows, owner, len(clips), per_frame - {"unlike"}, progress)
        if "unlike" in needs:
            tables["unlike"] = evidence.unlike_labeled(tables["embeddings"], asked, settings.seed)
        pool = replace(pool, tables=tables)
    if cost == "time":
        pool = replace(pool, cost=seconds_by_class(pool.table("probabilities").argmax(1), classes, events))
    return Queue(tuple(clips), tuple(sites), pool, choose(pool, settings))


def choose(pool: Pool, settings: QueueSettings) -> tuple[Pick, ...]:
    """Pick among the clips of a pool.

    Raises:
        UnknownNameError: no such method.
        ConfigError: the limits do not let as many clips be picked as the budget says.
    """
    shortlist = Shortlist(
        pool, settings.budget, per_patient=settings.per_patient, spread=settings.spread, spend=settings.spend
    )
    get_method(settings.by).pick(pool, shortlist, seeds.stream(settings.seed, "queue", settings.by))
    picked = len(shortlist.picks)
    if settings.spend is None and picked < settings.budget:
        most = settings.per_patient
        bound = f"only {picked} are left" if most is None else f"at most {most} of a patient are {picked}"
        remedy = f"Ask for {picked}" + ("" if most is None else ", or raise --per-patient")
        raise ConfigError(f"a budget of {settings.budget} clips, but {bound}", where="--budget", remedy=remedy)
    if not picked:
        raise ConfigError("no clip costs as little as may be spent", where="--spend", remedy="Raise it")
    return tuple(shortlist.picks)


def _check_taxonomy(evidence: Evidence) -> None:
    foreign = sorted(set(evidence.classes) - set(VIEWS))
    if foreign:
        what = f"this run tells views that taxonomy {TAXONOMY_VERSION} does not have: {', '.join(foreign)}"
        raise UnknownNameError(what, remedy="Name a run of this taxonomy")


def _class_of(view: str, classes: tuple[str, ...]) -> int:
    if view not in classes:
        raise UnknownNameError.among("view of the run", view, list(classes))
    return classes.index(view)


def _clips(stores: Frames, settings: QueueSettings) -> tuple[list[str], list[str], Ints, Ints, Ints]:
    """Return clips, hospitals, patients by number, and the frames looked at: rows and the clip that each is of."""
    table = stores.clips.select(["clip", "site", "patient", "mode"])
    table = table.filter(pc.is_in(table["mode"], pa.array(settings.modes, pa.string()))).sort_by("clip")
    if not len(table):
        what = f"the stores hold no clip of {', '.join(settings.modes)}"
        raise MissingInputError(what, remedy="Name other stores, or other modes with --mode")
    clips = table["clip"].to_pylist()
    if len(set(clips)) < len(clips):
        what = f"{len(clips) - len(set(clips))} clips are in several of these stores"
        raise ConfigError(what, remedy="Name each store once, and none that repeats another")
    frames = stores.frames.select(["clip", "index", "row"])
    place = pc.fill_null(pc.index_in(frames["clip"], table["clip"].combine_chunks()), -1).to_numpy().astype(np.int64)
    order = np.lexsort((frames["index"].to_numpy(), place))
    order = order[place[order] >= 0]
    owner, rows = place[order], frames["row"].to_numpy().astype(np.int64)[order]
    counts = np.bincount(owner, minlength=len(clips))
    rule = FrameRule.parse(settings.frames)
    starts = np.cumsum(counts) - counts
    chosen = np.concatenate([start + rule.choose(n) for start, n in zip(starts.tolist(), counts.tolist(), strict=True)])
    _, patient = np.unique(
        np.char.add(np.char.add(table["site"].to_pylist(), "\x1f"), table["patient"].to_pylist()), return_inverse=True
    )
    return clips, table["site"].to_pylist(), patient.astype(np.int64), rows[chosen], owner[chosen]


def _pictures(stores: Frames, rows: Ints, owner: Ints, count: int, find_same: FindSame) -> Ints:
    table = stores.frames
    place = np.empty(int(table["row"].to_numpy().max()) + 1, np.int64)
    place[table["row"].to_numpy()] = np.arange(len(table))
    hashes = table["dhash"].to_numpy().astype(np.uint64)[place[rows]]
    return same_picture(owner, find_same(hashes, owner, rows, stores)[0], count)


def _refuse_more_than_left(pool: Pool, settings: QueueSettings, when: str) -> None:
    if pool.left == 0:
        what = f"no clip is left to be asked for: {int(pool.asked.sum())} of {len(pool)} were read ({when})"
        raise MissingInputError(what, remedy="Ingest more, or name other modes with --mode")
    if settings.budget > pool.left and settings.spend is None:
        what = f"a budget of {settings.budget} clips, but only {pool.left} are left ({when})"
        raise ConfigError(what, where="--budget", remedy=f"Ask for {pool.left} at most")
