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
from heart2heart.schema.predictions import PREDICTIONS, Predictions, Provenance, SiteInfo
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.store.sector import sector_mask
from heart2heart.training.run import Run
from heart2heart.training.unscored_frames import check_not_scored
from heart2heart.training.validation import INFERENCE_BATCH
from heart2heart.utils import encode_png, random_stream

GALLERY_CORRECT = 2
"""Clips of each view and hospital whose most confident correct frame a gallery may show."""
GALLERY_WRONG = 6
"""Clips of each hospital whose most confident wrong frame a gallery may show."""

COPIED_COLUMNS = ("frame", "site", "patient", "study", "clip", "index", "mode", "maker", "quality")


def check_run(run: Run, stores: Frames, split: SplitManifest) -> None:
    """Raise unless a run was trained on this split and takes these stores' frames.

    Raises:
        RunError: the run was trained on another split or geometry.
        LeakageError: the run was adapted to patients whom the split scores.
    """
    if run.directory.record.split_sha256 != split.sha256:
        raise RunError("this run was trained on another split", where=run.path, remedy="Name the run's own split")
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
    logits = _predict(run, stores, rows, members["site"].to_pylist(), progress or NoProgress())
    chosen = gallery(members, selected.targets[labeled], logits)
    images: list[bytes | None] = [None] * len(rows)
    for position in chosen.tolist():
        images[position] = encode_png(stores.read(rows[position : position + 1])[0])
    frame_rows = stores.frames.take(pc.index_in(members["frame"], stores.frames["frame"]))
    columns = {name: frame_rows[name] for name in COPIED_COLUMNS} | {
        "run": pa.array([run.name] * len(rows), pa.string()),
        "role": members["role"],
        "truth": members["view"],
        "logits": pa.array(list(logits), pa.list_(pa.float32())),
        "image": pa.array(images, pa.binary()),
    }
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
    return Predictions(pa.table([columns[name] for name in PREDICTIONS.names], schema=PREDICTIONS), provenance)


def gallery(
    members: pa.Table, targets: npt.NDArray[np.int64], logits: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    """Choose the frames that a report may show, by confidence alone, so that the choice can be repeated.

    The choice is made for each hospital among its test frames with a scored view: for every view the `GALLERY_CORRECT`
    clips with the most confident correct frame, and the `GALLERY_WRONG` clips with the most confident wrong frame. No
    clip is shown twice.

    Args:
        members: Rows of the split, `n`.
        targets: int64 `(n,)`, -1 outside the classes.
        logits: float32 `(n, classes)`.

    Returns:
        int64, positions in `members`.
    """
    predicted = logits.argmax(1)
    shifted = logits - logits.max(1, keepdims=True)
    confidence = 1 / np.exp(shifted).sum(1)
    scored = (targets >= 0) & pc.equal(members["role"], SplitRole.TEST).to_numpy(zero_copy_only=False)
    site, clip, frame = (members[name].to_numpy(zero_copy_only=False) for name in ("site", "clip", "frame"))
    # Frames of equal confidence are ordered by name.
    order = sorted(np.flatnonzero(scored).tolist(), key=lambda position: (-confidence[position], frame[position]))
    chosen: list[int] = []
    used: set[str] = set()
    shown: dict[tuple[str, int], int] = {}
    for position in order:
        correct = predicted[position] == targets[position]
        kind = (site[position], int(targets[position]) if correct else -1)
        if clip[position] in used or shown.get(kind, 0) >= (GALLERY_CORRECT if correct else GALLERY_WRONG):
            continue
        used.add(clip[position])
        shown[kind] = shown.get(kind, 0) + 1
        chosen.append(position)
    return np.array(sorted(chosen), np.int64)


def _predict(
    run: Run, stores: Frames, rows: npt.NDArray[np.int64], sites: list[str], progress: Progress
) -> npt.NDArray[np.float32]:
    logits = np.empty((len(rows), len(run.classes)), np.float32)
    for start in range(0, len(rows), INFERENCE_BATCH):
        part = slice(start, start + INFERENCE_BATCH)
        logits[part] = run.predict_at(stores.read(rows[part]), sites[part])
        progress.update(min(start + INFERENCE_BATCH, len(rows)))
    return logits


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
