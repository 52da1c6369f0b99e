"""Shortcut probes: alters test frames (scan blacked out, background swapped) and predicts them again with a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.predictions import ALTERATIONS, Predictions
from heart2heart.store.frame_store import Frames
from heart2heart.store.sector import sector_mask
from heart2heart.utils import random_stream

FrameArray = npt.NDArray[np.uint8]
MaskArray = npt.NDArray[np.bool_]


def mask_sector(frames: FrameArray, masks: MaskArray) -> FrameArray:
    """Black out the scan: uint8 and bool `(n, size, size)` to uint8 of the same shape."""
    return np.where(masks, np.uint8(0), frames)


def swap_backgrounds(frames: FrameArray, masks: MaskArray, donors: FrameArray, donor_masks: MaskArray) -> FrameArray:
    """Keep the scan and take the rest from other frames; where a donor's own scan would show, black.

    Args:
        frames: uint8 `(n, size, size)`.
        masks: Their scans, bool.
        donors: uint8 `(n, size, size)`.
        donor_masks: The donors' scans, bool.
    """
    return np.where(masks, frames, mask_sector(donors, donor_masks))


def choose_donors(
    views: npt.NDArray[np.object_], patients: npt.NDArray[np.object_], seed: int
) -> npt.NDArray[np.int64]:
    """Choose for each frame one of another view and another patient, so that its background tells nothing true.

    Args:
        views: True view of each frame `(n,)`.
        patients: Patient of each frame `(n,)`.
        seed: Root seed; the choice is the same each time.

    Returns:
        Positions `(n,)`; -1 where no frame of another view and another patient exists.
    """
    rng = random_stream(seed, "background donors")
    chosen = np.full(len(views), -1, np.int64)
    waiting = np.arange(len(views))
    for _ in range(20):  # a draw at random fits most frames; the few that are left are looked for one by one
        drawn = rng.integers(len(views), size=len(waiting))
        fits = (views[drawn] != views[waiting]) & (patients[drawn] != patients[waiting])
        chosen[waiting[fits]] = drawn[fits]
        waiting = waiting[~fits]
    for place in waiting.tolist():
        others = np.flatnonzero((views != views[place]) & (patients != patients[place]))
        if len(others):
            chosen[place] = rng.choice(others)
    return chosen


Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
_BATCH = 512


def add_altered_frames(
    predictions: Predictions, stores: Frames, predict: Predict, *, seed: int = 0, progress: Progress | None = None
) -> Predictions:
    """Append rows of altered frames to the predictions of one run.

    Every scored test frame is altered whose clip shows where its scan is (`frames.sector`); a clip of which that cannot
    be told is left out. Backgrounds come from frames of another view and another patient, of any site.

    Args:
        predictions: Those of one run.
        stores: The stores with the frames.
        predict: uint8 `(n, size, size)` to logits float32 `(n, classes)`.
        seed: Chooses the donors of backgrounds.
        progress: Told the frames done, of twice the number of test frames.
    """
    progress = progress or NoProgress()
    table = predictions.table
    classes = pa.array(predictions.provenance.classes, pa.string())
    scored = pc.and_(pc.equal(table["role"], "test"), pc.is_in(table["truth"], value_set=classes))
    table = table.filter(scored)
    clips = table["clip"].to_pylist()
    masks = _sector_masks(sorted(set(clips)), stores)
    table = table.filter(pa.array([clip in masks for clip in clips], pa.bool_()))
    clips = [clip for clip in clips if clip in masks]
    rows = stores.frames["row"].take(pc.index_in(table["frame"], stores.frames["frame"])).to_numpy().astype(np.int64)
    views, patients = (table[name].to_numpy(zero_copy_only=False) for name in ("truth", "patient"))
    parts = [predictions.table]
    done = 0
    for alteration in ALTERATIONS:
        donors = choose_donors(views, patients, seed) if alteration == "background_swapped" else np.arange(len(rows))
        kept = np.flatnonzero(donors >= 0)
        logits = []
        for start in range(0, len(kept), _BATCH):
            mine = kept[start : start + _BATCH]
            pixels, mask = stores.read(rows[mine]), np.stack([masks[clips[place]] for place in mine])
            if alteration == "sector_masked":
                altered = mask_sector(pixels, mask)
            else:
                other = donors[mine]
                theirs = np.stack([masks[clips[place]] for place in other])
                altered = swap_backgrounds(pixels, mask, stores.read(rows[other]), theirs)
            logits += list(predict(altered))
            done += len(mine)
            progress.update(done)
        parts.append(_altered_rows(table.take(pa.array(kept)), alteration, logits))
    return replace(predictions, table=pa.concat_tables(parts))


def _altered_rows(table: pa.Table, alteration: str, logits: list[npt.NDArray[np.float32]]) -> pa.Table:
    """Return the rows with another role, other logits, and no picture."""
    new = {
        "role": pa.array([alteration] * len(table), pa.string()),
        "logits": pa.array(logits, pa.list_(pa.float32())),
        "image": pa.nulls(len(table), pa.binary()),
    }
    return pa.table([new.get(name, table[name]) for name in table.column_names], schema=table.schema)


def _sector_masks(clips: list[str], stores: Frames) -> dict[str, npt.NDArray[np.bool_]]:
    """Estimate where the scan is in each clip; a clip without an estimate, or without anything else, is left out."""
    mine = stores.frames.filter(pc.is_in(stores.frames["clip"], pa.array(clips, pa.string())))
    names, owner = np.unique(mine["clip"].to_numpy(zero_copy_only=False), return_inverse=True)
    rows = mine["row"].to_numpy().astype(np.int64)
    order = np.argsort(owner, kind="stable")
    found = {}
    for name, members in zip(names, np.split(order, np.cumsum(np.bincount(owner))[:-1]), strict=True):
        mask = sector_mask(stores.read(np.sort(rows[members])))
        if mask is not None and not mask.all():
            found[str(name)] = mask
    return found
