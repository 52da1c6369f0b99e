"""Frames of the run's own data, to calibrate a quantised network and to compare an export with the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.errors import Heart2HeartError, MissingInputError
from heart2heart.schema.enums import SplitRole
from heart2heart.store.frame_store import FrameStores
from heart2heart.training.run import Run
from heart2heart.utils import random_stream

MOST_FRAMES = 256
"""Frames of each role that are read."""


@dataclass(frozen=True)
class ExportFrames:
    """Frames to export with.

    Attributes:
        compared: uint8 `(n, size, size)`, on which the export is compared with the run.
        source: What they are, for a reader.
        calibration: uint8 `(m, size, size)` of other patients, for a quantised network; None: not at hand.
    """

    compared: npt.NDArray[np.uint8]
    source: str
    calibration: npt.NDArray[np.uint8] | None = None


def random_frames(run: Run) -> ExportFrames:
    """Return random pixels of the run's geometry."""
    size = run.geometry.size
    return ExportFrames(np.random.default_rng(0).integers(0, 256, (3, size, size)).astype(np.uint8), "random pixels")


def split_frames(
    run: Run, *, split: str | Path | None = None, stores: Sequence[str | Path] = (), required: bool = False
) -> ExportFrames:
    """Return frames of the run's split: its validation patients compare, its training patients calibrate.

    Args:
        run: The run.
        split: Folder of its split; None: where the configuration says.
        stores: Its stores; empty: where the configuration says.
        required: Whether random pixels will not do.

    Raises:
        MissingInputError: the frames are required, and not at hand.
    """
    try:
        manifest = run.load_split(split)
        if manifest.sha256 != run.directory.record.split_sha256:
            raise MissingInputError("this split is not that of the run", where=manifest.path)
        opened = FrameStores.open(list(stores) or list(run.config.data.stores))
        manifest.check_data(opened)
        parts = {}
        for role in (SplitRole.VALIDATION, SplitRole.TRAIN):
            rows = manifest.select(opened, role).rows
            chosen = random_stream(0, "export", role).permutation(len(rows))[:MOST_FRAMES]
            parts[role] = opened.read(rows[np.sort(chosen)])
    except Heart2HeartError as error:
        if not required:
            return random_frames(run)
        remedy = "Name its folders with --split and --store"
        what = f"a quantised network is calibrated on training frames, which are not at hand: {error.what}"
        raise MissingInputError(what, where=error.where, remedy=remedy) from error
    return ExportFrames(parts[SplitRole.VALIDATION], "validation frames of its split", parts[SplitRole.TRAIN])
