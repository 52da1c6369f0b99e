"""Builds the queue: from stores, a label store and a run to clips in order, each with the reason for its selection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from heart2heart import utils
from heart2heart.active_learning.budgeted_selection import BudgetedSelection, SelectedClip
from heart2heart.active_learning.model_outputs import ModelOutputs, read_tables
from heart2heart.active_learning.pool import (
    ClipPool,
    FindDuplicates,
    Ints,
    duplicate_groups,
    expected_seconds,
    labeled_clips,
    read_annotation_costs,
)
from heart2heart.active_learning.strategies import get_strategy
from heart2heart.config import Config
from heart2heart.errors import ConfigError, MissingInputError, UnknownNameError
from heart2heart.labels.events import LabelEvent
from heart2heart.progress import Progress
from heart2heart.schema.enums import POOL_MODES, ClipMode
from heart2heart.schema.flags_rule import ClipUse, FlagsRule, usual_rule
from heart2heart.schema.views import TAXONOMY_VERSION, VIEWS
from heart2heart.store.clip_uses import excluded_clips
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.frame_store import Frames


class QueueSettings(Config):
    """How the clips of a queue are selected."""

    by: str
    """Name of the strategy, one of `STRATEGIES`."""
    budget: int = Field(ge=1)
    """Maximum number of clips."""
    spend: float | None = Field(None, gt=0)
    """Maximum cost of all selected clips; null sets no limit."""
    per_patient: int | None = Field(None, ge=1)
    """Maximum number of clips of one patient; null sets no limit."""
    spread: bool = False
    """Select a second clip of a patient only when every patient has one, and so on."""
    frames: str = "even:8"
    """Frames of each clip that the model reads: `all`, `every:N` or `even:K`."""
    modes: tuple[ClipMode, ...] = Field(POOL_MODES, min_length=1)
    """Modes of the clips to select from."""
    rare: tuple[str, ...] = ()
    """Rare views for the strategy `similar`; empty takes the views with fewer labels than an equal share."""
    seed: int = Field(0, ge=0)
    """Seed of random draws."""

    @field_validator("frames")
    @classmethod
    def _frames(cls, value: str) -> str:
        FrameRule.parse(value)
        return value

    @model_validator(mode="after")
    def _rare_is_used(self) -> Self:
        if self.rare and self.by != "similar":
            raise ValueError("only the method similar takes rare views")
        return self


@dataclass(frozen=True)
class LabelingQueue:
    """The selected clips, and the pool that they were selected from.

    Attributes:
        clips: Pseudonyms of all clips of the pool.
        sites: Hospital of each clip of the pool.
        pool: Labels, costs and model outputs of the clips.
        selected: The selected clips, in order.
    """

    clips: tuple[str, ...]
    sites: tuple[str, ...]
    pool: ClipPool
    selected: tuple[SelectedClip, ...]


def build_queue(
    stores: Frames,
    settings: QueueSettings,
    *,
    events: Sequence[LabelEvent] = (),
    model_outputs: ModelOutputs | None = None,
    cost: str | Path = "equal",
    find_duplicates: FindDuplicates | None = None,
    flags: FlagsRule | None = None,
    views: Collection[str] = VIEWS.keys(),
    progress: Progress | None = None,
) -> LabelingQueue:
    """Select the clips to label next.

    Args:
        stores: The stores with the clips.
        settings: How to select.
        events: Events of the label store, in their order; clips that were read are left out.
        model_outputs: Outputs of the run; `random` and `audit` need none.
        cost: `equal`, `time` (median seconds of earlier readings of the view), or a file; see `read_annotation_costs`.
        find_duplicates: Finds frames of the same picture; None treats no clip as a duplicate.
        flags: Rule by which flags keep clips from the label page. None is `usual`.
        views: The views of the label store, which a run may predict.
        progress: Receives the number of finished frames.

    Raises:
        UnknownNameError: no such method or rare view.
        ConfigError: the method needs a run or labels, the budget exceeds the clips left, or two stores hold one clip.
        MissingInputError: no clip is left.
        RunError: the run takes frames of another geometry, or lacks an output that the method needs.
        LabelError: the costs are missing or not valid.
    """
    strategy = get_strategy(settings.by)
    needs = set(strategy.tables) | ({"probabilities"} if cost == "time" else set())
    if needs and model_outputs is None:
        requirement = "the method " + settings.by if strategy.tables else "the cost by time"
        raise ConfigError(f"{requirement} needs a model", remedy="Give a finished run: --run RUN")
    if model_outputs is not None:
        needs |= {"probabilities"}  # the queue file records the predicted view
        _check_taxonomy(model_outputs, views)
    classes = model_outputs.classes if model_outputs is not None else tuple(VIEWS)
    clips, sites, patient, rows, owner = _clips(stores, settings, flags or usual_rule())
    # Costs are checked before the frames are read, which takes minutes.
    annotation_costs = None if cost in ("equal", "time") else read_annotation_costs(Path(cost), clips)
    if cost == "time":
        expected_seconds(np.array([-1]), classes, events)
    labeled_mask, target = labeled_clips(clips, classes, events)
    pool = ClipPool(
        patient=patient,
        labeled_mask=labeled_mask,
        target=target,
        cost=np.ones(len(clips)) if annotation_costs is None else annotation_costs,
        duplicate_group=np.arange(len(clips)),
        classes=classes,
        rare=tuple(_class_of(view, classes) for view in settings.rare),
    )
    _check_budget(pool, settings, "before the search for near-duplicates")
    if strategy.needs_labels and not len(pool.labeled):
        remedy = "Name the label store (--labels), or start with --by typiclust or --by core_set"
        raise ConfigError(f"the method {settings.by} needs clips labeled with a view of the run", remedy=remedy)
    if find_duplicates is not None:
        pool = replace(pool, duplicate_group=_duplicate_groups(stores, rows, owner, len(clips), find_duplicates))
        _check_budget(pool, settings, "near-duplicates counted once")
    if model_outputs is not None:
        per_frame = needs | ({"embeddings"} if "vaal" in needs else set())
        tables = read_tables(model_outputs, stores, rows, owner, len(clips), per_frame - {"vaal"}, progress)
        if "vaal" in needs:
            tables["vaal"] = model_outputs.vaal_scores(tables["embeddings"], labeled_mask, settings.seed)
        pool = replace(pool, tables=tables)
    if cost == "time":
        pool = replace(pool, cost=expected_seconds(pool.table("probabilities").argmax(1), classes, events))
    return LabelingQueue(tuple(clips), tuple(sites), pool, select_clips(pool, settings))


def select_clips(pool: ClipPool, settings: QueueSettings) -> tuple[SelectedClip, ...]:
    """Select among the clips of a pool.

    Raises:
        UnknownNameError: no such method.
        ConfigError: the limits leave fewer clips than the budget.
    """
    selection = BudgetedSelection(
        pool, settings.budget, per_patient=settings.per_patient, spread=settings.spread, spend=settings.spend
    )
    get_strategy(settings.by).select(pool, selection, utils.random_stream(settings.seed, "queue", settings.by))
    count = len(selection.selected)
    if settings.spend is None and count < settings.budget:
        per_patient = settings.per_patient
        bound = f"only {count} are left" if per_patient is None else f"at most {per_patient} of a patient are {count}"
        remedy = f"Give --budget {count}" + ("" if per_patient is None else ", or raise --per-patient")
        raise ConfigError(f"a budget of {settings.budget} clips, but {bound}", where="--budget", remedy=remedy)
    if not count:
        raise ConfigError("every clip costs more than the limit", where="--spend", remedy="Raise it")
    return tuple(selection.selected)


def _check_taxonomy(model_outputs: ModelOutputs, views: Collection[str]) -> None:
    foreign = sorted(set(model_outputs.classes) - set(views))
    if foreign:
        what = f"this run predicts views that taxonomy {TAXONOMY_VERSION} does not have: {', '.join(foreign)}"
        raise UnknownNameError(what, remedy="Name a run of this taxonomy")


def _class_of(view: str, classes: tuple[str, ...]) -> int:
    if view not in classes:
        raise UnknownNameError.among("view of the run", view, list(classes))
    return classes.index(view)


def _clips(stores: Frames, settings: QueueSettings, flags: FlagsRule) -> tuple[list[str], list[str], Ints, Ints, Ints]:
    """Return clips, hospitals, patient numbers, and of the frames to read the rows and the clip of each.

    Clips that the label page does not show, for a flag or for text in their pictures, are left out.
    """
    table = stores.clips.select(["clip", "site", "patient", "mode"])
    excluded = pa.array(sorted(excluded_clips(stores, ClipUse.LABEL, flags)), pa.string())
    table = table.filter(pc.invert(pc.is_in(table["clip"], excluded)))
    table = table.filter(pc.is_in(table["mode"], pa.array(settings.modes, pa.string()))).sort_by("clip")
    if not len(table):
        what = f"the stores hold no clip of {', '.join(settings.modes)} that may be shown"
        remedy = "Name other stores, other modes with --mode, or other --flags, or run `heart2heart review`"
        raise MissingInputError(what, remedy=remedy)
    clips = table["clip"].to_pylist()
    if len(set(clips)) < len(clips):
        what = f"{len(clips) - len(set(clips))} clips are in several of these stores"
        raise ConfigError(what, remedy="Name each store once, and none that repeats another")
    frames = stores.frames.select(["clip", "index", "row"])
    clip_index = (
        pc.fill_null(pc.index_in(frames["clip"], table["clip"].combine_chunks()), -1).to_numpy().astype(np.int64)
    )
    order = np.lexsort((frames["index"].to_numpy(), clip_index))
    order = order[clip_index[order] >= 0]
    owner, rows = clip_index[order], frames["row"].to_numpy().astype(np.int64)[order]
    counts = np.bincount(owner, minlength=len(clips))
    rule = FrameRule.parse(settings.frames)
    starts = np.cumsum(counts) - counts
    chosen = np.concatenate([start + rule.choose(n) for start, n in zip(starts.tolist(), counts.tolist(), strict=True)])
    _, patient = np.unique(
        np.char.add(np.char.add(table["site"].to_pylist(), "\x1f"), table["patient"].to_pylist()), return_inverse=True
    )
    return clips, table["site"].to_pylist(), patient.astype(np.int64), rows[chosen], owner[chosen]


def _duplicate_groups(stores: Frames, rows: Ints, owner: Ints, count: int, find_duplicates: FindDuplicates) -> Ints:
    table = stores.frames
    frame_position = np.empty(int(table["row"].to_numpy().max()) + 1, np.int64)
    frame_position[table["row"].to_numpy()] = np.arange(len(table))
    hashes = table["dhash"].to_numpy().astype(np.uint64)[frame_position[rows]]
    return duplicate_groups(owner, find_duplicates(hashes, owner, rows, stores)[0], count)


def _check_budget(pool: ClipPool, settings: QueueSettings, when: str) -> None:
    if pool.available == 0:
        what = f"no clip is left to select: {int(pool.labeled_mask.sum())} of {len(pool)} were read ({when})"
        raise MissingInputError(what, remedy="Ingest more, or name other modes with --mode")
    if settings.budget > pool.available and settings.spend is None:
        what = f"a budget of {settings.budget} clips, but only {pool.available} are left ({when})"
        raise ConfigError(what, where="--budget", remedy=f"Give --budget {pool.available} at most")
