"""Predictions of one run over a split: what evaluation and report are recomputed from."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import heart2heart
from heart2heart.errors import RunError
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.predictions import PREDICTIONS, Predictions, Provenance, SiteInfo
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.training.run import Run
from heart2heart.training.validation import INFERENCE_BATCH
from heart2heart.utils import encode_png

GALLERY_CORRECT = 2
"""Clips a view and hospital whose most confident correct frame a gallery may show."""
GALLERY_WRONG = 6
"""Clips a hospital whose most confident wrong frame a gallery may show."""

COPIED_COLUMNS = ("frame", "site", "patient", "study", "clip", "index", "mode", "maker", "quality")


def check_run(run: Run, stores: Frames, split: SplitManifest) -> None:
    """Raise unless a run was trained on this split and takes these stores' frames.

    Raises:
        RunError: the run was trained on another split or geometry.
    """
    if run.directory.record.split_sha256 != split.sha256:
        raise RunError("this run was trained on another split", where=run.path, remedy="Name the run's own split")
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

    Frames whose view lies outside the classes are predicted as well; they serve the open-set scores. A few test frames
    a hospital carry their picture (`gallery`).

    Args:
        run: A finished run on this split.
        stores: The stores that the split was made over.
        split: The split.
        sites: What is known of the hospitals.
        command: The command line, for the record.
        progress: Told the frames done.

    Raises:
        LeakageError, SplitError: the split is not certified, or the data changed since.
        RunError: the run was trained on another split or geometry.
    """
    split.require_certified()
    split.check_data(stores)
    check_run(run, stores, split)
    found = split.select(stores, ("validation", "test"))
    labeled = np.flatnonzero(pc.is_valid(found.members["view"]).to_numpy())
    members, rows = found.members.take(pa.array(labeled)), found.rows[labeled]
    logits = _predict(run, stores, rows, progress or NoProgress())
    chosen = gallery(members, found.targets[labeled], logits)
    images: list[bytes | None] = [None] * len(rows)
    for place in chosen.tolist():
        images[place] = encode_png(stores.read(rows[place : place + 1])[0])
    mine = stores.frames.take(pc.index_in(members["frame"], stores.frames["frame"]))
    columns = {name: mine[name] for name in COPIED_COLUMNS} | {
        "run": pa.array([run.path.resolve().name] * len(rows), pa.string()),
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

    Of each hospital's test frames with a scored view: of every view the `GALLERY_CORRECT` clips whose best frame is most
    confidently right, and the `GALLERY_WRONG` clips whose best frame is most confidently wrong. No clip is shown twice.

    Args:
        members: Rows of the split, `n`.
        targets: int64 `(n,)`, -1 outside the classes.
        logits: float32 `(n, classes)`.

    Returns:
        int64, places in `members`.
    """
    guess = logits.argmax(1)
    shifted = logits - logits.max(1, keepdims=True)
    confidence = 1 / np.exp(shifted).sum(1)
    scored = (targets >= 0) & pc.equal(members["role"], "test").to_numpy(zero_copy_only=False)
    site, clip, frame = (members[name].to_numpy(zero_copy_only=False) for name in ("site", "clip", "frame"))
    # Equal confidence is settled by the frame's name.
    order = sorted(np.flatnonzero(scored).tolist(), key=lambda place: (-confidence[place], frame[place]))
    chosen: list[int] = []
    used: set[str] = set()
    shown: dict[tuple[str, int], int] = {}
    for place in order:
        right = guess[place] == targets[place]
        kind = (site[place], int(targets[place]) if right else -1)
        if clip[place] in used or shown.get(kind, 0) >= (GALLERY_CORRECT if right else GALLERY_WRONG):
            continue
        used.add(clip[place])
        shown[kind] = shown.get(kind, 0) + 1
        chosen.append(place)
    return np.array(sorted(chosen), np.int64)


def _predict(run: Run, stores: Frames, rows: npt.NDArray[np.int64], progress: Progress) -> npt.NDArray[np.float32]:
    logits = np.empty((len(rows), len(run.classes)), np.float32)
    for start in range(0, len(rows), INFERENCE_BATCH):
        part = slice(start, start + INFERENCE_BATCH)
        logits[part] = run.predict(stores.read(rows[part]))
        progress.update(min(start + INFERENCE_BATCH, len(rows)))
    return logits
