"""Predicts the frames of a split with one run, as they are and with alterations that probe for shortcuts.

Evaluation and report are recomputed from these predictions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import heart2heart
from heart2heart.errors import RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.enums import ALTERATIONS, PredictionRole, SplitRole
from heart2heart.schema.predictions import Predictions, Provenance, SiteInfo
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.store.sector import sector_mask
from heart2heart.training.predict_rows import predict_rows
from heart2heart.training.run import Run
from heart2heart.training.unscored_frames import check_not_scored
from heart2heart.utils import random_stream


def check_run(run: Run, stores: Frames, split: SplitManifest) -> None:
    """Raise unless a run was trained on this split and takes these stores' frames.

    Raises:
        RunError: the run was trained on another split or geometry.
        LeakageError: the run was adapted to patients whom the split scores.
    """
    if run.directory.record.split_sha256 != split.sha256:
        remedy = "Name the run's own split; score a hospital that joined later with: heart2heart validate"
        raise RunError("this run was trained on another split", where=run.path, remedy=remedy)
    adaptation = run.directory.record.adaptation
    if adaptation is not None:
        check_not_scored(adaptation.patients, adaptation.pixel_hashes, split, stores)
    if run.geometry != stores.geometry:
        what = f"this run takes frames of {run.geometry}, the stores hold {stores.geometry}"
        raise RunError(what, where=run.path, remedy="Name the stores that it was trained on")


def predict_split(
    run: Run,
    stores: Frames,
    split: SplitManifest,
    sites: tuple[SiteInfo, ...],
    *,
    command: str,
    progress: Progress | None = None,
) -> Predictions:
    """Predict every labeled validation and test frame of a split, at every hospital.

    Frames of a view outside the classes are predicted as well, for the open-set scores. A few test frames of each
    hospital carry their image (`gallery`).

    Args:
        run: A finished run on this split.
        stores: The stores that the split was made over.
        split: The split.
        sites: Facts about the hospitals.
        command: The command line, for the record.
        progress: Receives the number of frames done.

    Raises:
        LeakageError, SplitError: the split is not certified, or the data changed since.
        RunError: the run was trained on another split or geometry.
    """
    split.require_certified()
    split.check_data(stores)
    check_run(run, stores, split)
    selected = split.select(stores, (SplitRole.VALIDATION, SplitRole.TEST))
    labeled = np.flatnonzero(pc.is_valid(selected.members["view"]).to_numpy())
    members, rows = selected.members.take(pa.array(labeled)), selected.rows[labeled]
    table = predict_rows(run, stores, rows, members, selected.targets[labeled], progress)
    provenance = Provenance(
        code_version=heart2heart.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        classes=run.classes,
        geometry=str(stores.geometry),
        split=split.info(),
        sites=sites,
        runs=(run.info(),),
    )
    return Predictions(table, provenance)


FrameArray = npt.NDArray[np.uint8]
MaskArray = npt.NDArray[np.bool_]


def mask_sector(frames: FrameArray, masks: MaskArray) -> FrameArray:
    """Black out the scan: uint8 and bool `(n, size, size)` to uint8 of the same shape."""
    return np.where(masks, np.uint8(0), frames)


def swap_backgrounds(frames: FrameArray, masks: MaskArray, donors: FrameArray, donor_masks: MaskArray) -> FrameArray:
    """Keep the scan and take the background from other frames; the area of a donor's own scan is black.

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
    """Choose for each frame one of another view and another patient, so that its background does not match its view.

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
    for _ in range(20):  # random draws fit most frames; the rest is searched one by one
        drawn = rng.integers(len(views), size=len(waiting))
        fits = (views[drawn] != views[waiting]) & (patients[drawn] != patients[waiting])
        chosen[waiting[fits]] = drawn[fits]
        waiting = waiting[~fits]
    for position in waiting.tolist():
        others = np.flatnonzero((views != views[position]) & (patients != patients[position]))
        if len(others):
            chosen[position] = rng.choice(others)
    return chosen


Predict = Callable[[npt.NDArray[np.uint8], Sequence[str]], npt.NDArray[np.float32]]
_ALTERATION_BATCH = 512


def add_altered_frames(
    predictions: Predictions, stores: Frames, predict: Predict, *, seed: int = 0, progress: Progress | None = None
) -> Predictions:
    """Append rows of altered frames to the predictions of one run.

    Every scored test frame is altered if the scan's area in its clip can be estimated (`store.sector`); other clips are
    left out. Backgrounds come from frames of another view and another patient, of any site.

    Args:
        predictions: The predictions of one run.
        stores: The stores with the frames.
        predict: uint8 `(n, size, size)` and the hospital of each to logits float32 `(n, classes)`.
        seed: Chooses the donors of backgrounds.
        progress: Receives the number of frames done, of twice the number of test frames.
    """
    progress = progress or NoProgress()
    table = predictions.table
    classes = pa.array(predictions.provenance.classes, pa.string())
    scored = pc.and_(pc.equal(table["role"], PredictionRole.TEST), pc.is_in(table["truth"], value_set=classes))
    table = table.filter(scored)
    clips = table["clip"].to_pylist()
    masks = _sector_masks(sorted(set(clips)), stores)
    table = table.filter(pa.array([clip in masks for clip in clips], pa.bool_()))
    clips = [clip for clip in clips if clip in masks]
    sites = table["site"].to_pylist()
    rows = stores.frames["row"].take(pc.index_in(table["frame"], stores.frames["frame"])).to_numpy().astype(np.int64)
    views, patients = (table[name].to_numpy(zero_copy_only=False) for name in ("truth", "patient"))
    parts = [predictions.table]
    done = 0
    for alteration in ALTERATIONS:
        donors = choose_donors(views, patients, seed) if alteration == "background_swapped" else np.arange(len(rows))
        kept = np.flatnonzero(donors >= 0)
        logits = []
        for start in range(0, len(kept), _ALTERATION_BATCH):
            batch = kept[start : start + _ALTERATION_BATCH]
            pixels, mask = stores.read(rows[batch]), np.stack([masks[clips[position]] for position in batch])
            if alteration == "sector_masked":
                altered = mask_sector(pixels, mask)
            else:
                donor_batch = donors[batch]
                donor_masks = np.stack([masks[clips[position]] for position in donor_batch])
                altered = swap_backgrounds(pixels, mask, stores.read(rows[donor_batch]), donor_masks)
            logits += list(predict(altered, [sites[position] for position in batch]))
            done += len(batch)
            progress.update(done)
        parts.append(_altered_rows(table.take(pa.array(kept)), alteration, logits))
    return replace(predictions, table=pa.concat_tables(parts))


def _altered_rows(table: pa.Table, alteration: str, logits: list[npt.NDArray[np.float32]]) -> pa.Table:
    """Return the rows with another role, other logits, and no image."""
    new = {
        "role": pa.array([alteration] * len(table), pa.string()),
        "logits": pa.array(logits, pa.list_(pa.float32())),
        "image": pa.nulls(len(table), pa.binary()),
    }
    return pa.table([new.get(name, table[name]) for name in table.column_names], schema=table.schema)


def _sector_masks(clips: list[str], stores: Frames) -> dict[str, npt.NDArray[np.bool_]]:
    """Estimate the scan's area in each clip; a clip without an estimate or without background is left out."""
    clip_rows = stores.frames.filter(pc.is_in(stores.frames["clip"], pa.array(clips, pa.string())))
    names, owner = np.unique(clip_rows["clip"].to_numpy(zero_copy_only=False), return_inverse=True)
    rows = clip_rows["row"].to_numpy().astype(np.int64)
    order = np.argsort(owner, kind="stable")
    masks = {}
    for name, members in zip(names, np.split(order, np.cumsum(np.bincount(owner))[:-1]), strict=True):
        mask = sector_mask(stores.read(np.sort(rows[members])))
        if mask is not None and not mask.all():
            masks[str(name)] = mask
    return masks
