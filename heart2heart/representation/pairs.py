"""The frames of a pretraining, and the pairs that its batches are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from heart2heart.errors import RunError
from heart2heart.representation.config import PretrainConfig
from heart2heart.schema.enums import SplitRole
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.training.augment.drivers import augment
from heart2heart.training.data import FramePool, FrameSampler, RowIndices, has_mode
from heart2heart.training.loader import seeded_generator
from heart2heart.training.metrics import DrawnIndices
from heart2heart.training.unscored_frames import transductive_rows

Pair = tuple[Tensor, Tensor]


def pretraining_rows(config: PretrainConfig, frames: Frames, split: SplitManifest | None) -> RowIndices:
    """Return the rows that a pretraining may read, int64, sorted.

    Args:
        config: Its configuration.
        frames: The stores.
        split: The split whose scored patients are left out; None leaves out nobody.

    Raises:
        LeakageError: the split is not certified.
        SplitError: the stores' pixels are not those that were split.
        RunError: nothing is left.
    """
    if split is None:
        rows = frames.frames["row"].to_numpy().astype(np.int64)
    else:
        split.require_certified()
        split.check_data(frames)
        roles = [SplitRole.TRAIN, SplitRole.UNLABELED]
        if config.data.scored_patients:
            roles += [SplitRole.VALIDATION, SplitRole.TEST]
        rows = split.select(frames, roles).rows
        if config.pool.transductive:
            rows = np.union1d(rows, transductive_rows(split, frames, config.pool.transductive))
    rows = np.unique(rows[has_mode(frames, rows, config.pool.modes)])
    if not len(rows):
        what = "there is no frame to pretrain on: of these modes, and of patients whom the split does not score"
        raise RunError(what, where=config.data.split, remedy="Ingest unlabeled clips, or widen pool.modes")
    return rows


def frame_column(frames: Frames, rows: RowIndices, column: str) -> pa.ChunkedArray:
    """Return one column of the table of frames for some rows, in their order."""
    table = frames.frames
    return table[column].take(pc.index_in(pa.array(rows), table["row"]))


class PairLoader:
    """Draws pairs and augments them; its position can be saved and restored.

    Pairs of views draw every frame equally often. Pairs of frames draw every clip of two frames or more equally often,
    and two different frames of it.

    Attributes:
        drawn: Positions in the pool of the last batch's frames, `first` and `second` of each pair.

    Args:
        config: The pretraining's configuration.
        frames: The stores.
        rows: int64 `(n,)`, rows that may be read.
        device: Device of the batches.

    Raises:
        RunError: pairs of frames are asked for, and no clip has two frames.
    """

    def __init__(self, config: PretrainConfig, frames: Frames, rows: RowIndices, device: torch.device) -> None:
        self.config, self.frames, self.device = config, frames, device
        clips = frame_column(frames, rows, "clip").to_numpy(zero_copy_only=False).astype(str)
        order = np.argsort(clips, kind="stable")
        _, self._starts, self._counts = np.unique(clips[order], return_index=True, return_counts=True)
        self._whole = self._counts >= 2
        if config.positives == "frames":
            self._require_two_frames()
        self.pool = FramePool(frames, rows[order], device, config.pool.placement)
        cpu = torch.device("cpu")
        count = len(rows) if config.positives == "views" else int(self._whole.sum())
        self.sampler = FrameSampler(count, seeded_generator(config.seed, "pair order", cpu), cpu)
        self.partner_rng = seeded_generator(config.seed, "pair partners", cpu)
        self.augmentation_rng = seeded_generator(config.seed, "augmentation", device)
        self.drawn: dict[str, Tensor] = {}

    @property
    def size(self) -> int:
        """Number of frames of a batch."""
        return 2 * self.config.pairs

    @property
    def clips(self) -> int:
        """Number of clips of the pool."""
        return len(self._counts)

    @property
    def notes(self) -> list[str]:
        """Remarks on the pairs, for the record."""
        notes = []
        if self.config.positives == "frames" and not self._whole.all():
            left_out = int((~self._whole).sum())
            notes.append(f"{left_out} of {self.clips} clips have one frame alone and make no pair of frames")
        if self.sampler.size < self.config.pairs:
            what = "frames" if self.config.positives == "views" else "clips"
            notes.append(f"only {self.sampler.size} {what}, fewer than pairs={self.config.pairs}: some repeat")
        return notes

    def next(self, step_index: int) -> Pair:
        """Return the two views of the next batch, each float32 `(pairs, 1, size, size)`."""
        first, second = self._draw()
        self.drawn = {"first": first, "second": second}
        return self._view(first), self._view(second)

    def _draw(self) -> Pair:
        """Return positions of both frames of each pair, int64, on the CPU."""
        chosen = self.sampler.take(self.config.pairs)
        if self.config.positives == "views":
            return chosen, chosen
        clip = torch.from_numpy(np.flatnonzero(self._whole))[chosen]
        starts, counts = (torch.from_numpy(each)[clip] for each in (self._starts, self._counts))
        random = torch.rand(2, len(chosen), generator=self.partner_rng, dtype=torch.float64)
        first = (random[0] * counts).long()
        second = (first + 1 + (random[1] * (counts - 1)).long()) % counts
        return starts + first, starts + second

    def _view(self, positions: Tensor) -> Tensor:
        settings = self.config.augmentation
        pixels = self.pool.take(positions.to(self.pool.index_device))
        return augment(settings.view, pixels, self.augmentation_rng, driver=settings.driver)

    def sample(self, count: int) -> Tensor:
        """Return uint8 frames `(n, size, size)` of the pool, the same whenever they are asked for.

        Args:
            count: Most frames.
        """
        stream = seeded_generator(self.config.seed, "measured frames", torch.device("cpu"))
        chosen = torch.randperm(len(self.pool), generator=stream)[:count].sort().values
        return self.pool.take(chosen.to(self.pool.index_device))

    def frame_names(self, drawn: DrawnIndices) -> dict[str, list[str]]:
        """Return the frames of a batch, of both places of a pair."""
        return {
            side: frame_column(self.frames, self.pool.rows[positions.cpu().numpy()], "frame").to_pylist()
            for side, positions in drawn.items()
        }

    def _require_two_frames(self) -> None:
        if not self._whole.any():
            what = f"positives=frames needs clips of two frames or more; each of these {self.clips} clips has one"
            remedy = "Ingest more frames a clip (--frames even:8), or set positives=views"
            raise RunError(what, where="positives", remedy=remedy)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the sampler and of every random stream."""
        streams = {"partners": self.partner_rng.get_state(), "augmentation": self.augmentation_rng.get_state()}
        return {"sampler": self.sampler.state_dict(), **streams}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the position of `state`."""
        self.sampler.load_state_dict(state["sampler"])
        self.partner_rng.set_state(state["partners"])
        self.augmentation_rng.set_state(state["augmentation"])


def patients_of(frames: Frames, rows: RowIndices) -> list[list[str]]:
    """Return hospital and pseudonym of each patient of some rows, sorted."""
    sites, patients = (frame_column(frames, rows, name).to_pylist() for name in ("site", "patient"))
    return [list(pair) for pair in sorted(set(zip(sites, patients, strict=True)))]


def clip_hashes(frames: Frames, rows: RowIndices) -> list[str]:
    """Return the pixel hashes of the clips of some rows, sorted."""
    used: npt.NDArray[Any] = frame_column(frames, rows, "clip").unique()
    table = frames.clips
    return sorted(table.filter(pc.is_in(table["clip"], used))["pixel_hash"].to_pylist())
