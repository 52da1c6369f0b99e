"""Which frames compete for a place in a batch: groups by hospital, by view, or by both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.frames.store import Frames
from heart2heart.learn.config import Balance
from heart2heart.learn.data import Rows, TrainData


def groups(frames: Frames, rows: Rows, by: Balance, targets: Rows | None = None) -> Rows:
    """Return the group of each frame.

    Args:
        frames: The stores, which know the hospital of each frame.
        rows: int64 `(n,)`, rows of the frames.
        by: What the batches are balanced by.
        targets: int64 `(n,)`, class indices; needed where the view counts.

    Returns:
        int64 `(n,)`, 0 to the number of groups less one, each with a frame; all 0 for `none`.
    """
    keys = np.zeros((len(rows), 2), np.int64)
    if by in ("site", "site_and_view"):
        table = frames.frames
        sites = table["site"].take(pc.index_in(pa.array(rows), table["row"]))
        names = pa.array(sorted(pc.unique(sites).to_pylist()), pa.string())
        keys[:, 0] = pc.index_in(sites, names).to_numpy()
    if by in ("view", "site_and_view"):
        assert targets is not None, "an unlabeled frame has no view"
        keys[:, 1] = targets
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def rates(data: TrainData, by: Balance) -> npt.NDArray[np.float64]:
    """Return how often each labeled frame is drawn, float64 `(n,)` of mean 1; all 1 for `none`."""
    group = groups(data.frames, data.train.rows, by, data.train.targets)
    sizes = np.bincount(group)
    drawn: npt.NDArray[np.float64] = len(group) / (len(sizes) * sizes[group])
    return drawn
