"""The interface shared by one store and several stores: hospitals, tables, a dataset for a data loader, pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import UnknownNameError
from heart2heart.notebook import data_frame, html_card, html_strip, html_table
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_dataset import FrameDataset
from heart2heart.store.geometry import Geometry

if TYPE_CHECKING:
    import pandas as pd

STRIP_PICTURES = 8
"""Pictures in the strip that a store shows in a notebook."""


class FrameTables(ABC):
    """A table of clips, a table of frames, and their pixels."""

    @property
    @abstractmethod
    def geometry(self) -> Geometry:
        """How the frames were made."""

    @property
    @abstractmethod
    def clips(self) -> pa.Table:
        """One row a clip."""

    @property
    @abstractmethod
    def frames(self) -> pa.Table:
        """One row a frame, with `row`, the number that `read` takes."""

    @abstractmethod
    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return uint8 `(n, size, size)` of the given rows, in their order."""

    @abstractmethod
    def title(self) -> str:
        """Return the class and the names of the folders, such as `FrameStore('store')`."""

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the hospitals, sorted.

        Examples:
            >>> import heart2heart as h2h
            >>> h2h.open_store("store").sites
            ('A', 'B')
        """
        return tuple(sorted(pc.unique(self.clips["site"]).to_pylist()))

    def dataset(self, views: Mapping[str, str] | None = None, classes: Sequence[str] = SCORED_VIEWS) -> FrameDataset:
        """Return the frames as a dataset for `torch.utils.data.DataLoader`.

        Args:
            views: View of each labeled frame, by `frame`; other frames are left out. None takes all frames, without a
                target.
            classes: Views in class order; frames of another view have the target -1.

        Returns:
            A map-style dataset of pairs: uint8 `(size, size)` and the class index, -1 where there is none.

        Examples:
            >>> import heart2heart as h2h
            >>> pixels, target = h2h.open_store("store").dataset()[0]
            >>> pixels.shape, target
            ((32, 32), -1)
        """
        names = self.frames["frame"].to_pylist()
        rows = self.frames["row"].to_numpy()
        if views is None:
            return FrameDataset(self, rows, np.full(len(rows), -1, np.int64))
        index = {view: class_index for class_index, view in enumerate(classes)}
        labeled = np.array([name in views for name in names], bool)
        targets = [index.get(views[name], -1) for name in names if name in views]
        return FrameDataset(self, rows[labeled], np.array(targets, np.int64))

    def to_frame(self, table: Literal["clips", "frames"] = "clips") -> pd.DataFrame:
        """Return the table of clips or of frames as a pandas DataFrame.

        Args:
            table: `clips` (one row a clip) or `frames` (one row a frame).

        Raises:
            UnknownNameError: another table.
            ConfigError: pandas is not installed.

        Examples:
            >>> import heart2heart as h2h
            >>> h2h.open_store("store").to_frame().groupby("site").size().to_dict()
            {'A': 33, 'B': 17}
        """
        tables = {"clips": self.clips, "frames": self.frames}
        if table not in tables:
            raise UnknownNameError.among("table", table, list(tables))
        return data_frame(tables[table])

    def __repr__(self) -> str:
        """Return hospitals, clips and frames in one line."""
        counts = f"{len(self.sites)} sites, {len(self.clips)} clips, {len(self.frames)} frames"
        return f"<{self.title()}: {counts} of {self.geometry}>"

    def _repr_html_(self) -> str:
        """Return hospitals, patients, clips and frames, and a strip of pictures, for a notebook."""
        if not len(self.frames):
            return html_card(f"{self.title()}: no frames")
        rows = []
        for site in self.sites:
            clips = self.clips.filter(pc.equal(self.clips["site"], site))
            patients = pc.count_distinct(clips["patient"]).as_py()
            simulated = "synthetic" if pc.all(clips["synthetic"]).as_py() else ""
            rows.append((site, patients, len(clips), pc.sum(clips["n_frames"]).as_py(), simulated))
        chosen = np.linspace(0, len(self.frames) - 1, min(STRIP_PICTURES, len(self.frames))).astype(np.int64)
        pictures = self.read(self.frames["row"].to_numpy()[chosen])
        table = html_table(("hospital", "patients", "clips", "frames", ""), rows)
        return html_card(f"{self.title()}, frames of {self.geometry}", table, html_strip(pictures, "some frames"))
