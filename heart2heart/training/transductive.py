"""Unlabeled frames of held-out hospitals for the training pool, of patients who are never scored there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import RunError
from heart2heart.schema.enums import SplitRole
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames


def transductive_rows(split: SplitManifest, frames: Frames, sites: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return the rows of held-out hospitals' patients who are never scored, int64, sorted.

    Args:
        split: The split.
        frames: The stores.
        sites: Held-out hospitals.

    Raises:
        RunError: a hospital is not held out, or the split scores each of its patients.
    """
    members = split.members
    scored = members.filter(pc.is_in(members["role"], pa.array([SplitRole.VALIDATION, SplitRole.TEST])))["patient"]
    chosen = []
    for site in sites:
        if site not in split.held_out_sites:
            remedy = f"Held out are: {', '.join(split.held_out_sites) or 'none'}"
            raise RunError(f"hospital {site!r} is not held out", where="pool.transductive", remedy=remedy)
        of_site = members.filter(pc.equal(members["site"], site))
        free = of_site.filter(pc.invert(pc.is_in(of_site["patient"], pc.unique(scored))))
        if not len(free):
            what = f"the split scores every patient of {site}, so it has no frame for the pool"
            raise RunError(what, where=split.path, remedy="Propose a split with --adaptation 0.3")
        index = pc.index_in(free["frame"], frames.frames["frame"])
        chosen.append(frames.frames["row"].take(index).to_numpy().astype(np.int64))
    return np.unique(np.concatenate(chosen))
