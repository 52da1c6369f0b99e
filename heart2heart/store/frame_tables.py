"""The interface of one store and of several: hospitals, tables, frames as a dataset for a data loader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import UnknownNameError
from heart2heart.notebook import data_frame, html_card, html_note, html_strip, html_table
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.geometry import Geometry
from heart2heart.store.text_review import TextReview

if TYPE_CHECKING:
    import pandas as pd

STRIP_PICTURES = 8
"""Pictures in the strip that a store shows in a notebook."""


class FrameReader(Protocol):
    """Reads frames by row, as a store does."""

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return uint8 `(n, size, size)` of the given rows, in their order."""


class FrameDataset:
    """Some frames of a store, with a target each.

    It needs no torch: a data loader asks for `len` and items, reads each batch at once by `__getitems__`, and makes
    tensors.

    Args:
        store: Reads the frames.
        rows: int64 `(n,)`, rows of the store.
        targets: int64 `(n,)`, class indices; -1 where there is none.
    """

    def __init__(self, store: FrameReader, rows: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> None:
        self.store, self.rows, self.targets = store, rows, targets

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], int]:
        """Return uint8 `(size, size)` and the class index of one frame."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[npt.NDArray[np.uint8], int]]:
        """Return several items, read at once."""
        chosen = np.asarray(indices, np.int64)
        return list(zip(self.store.read(self.rows[chosen]), self.targets[chosen].tolist(), strict=True))

    def __repr__(self) -> str:
        """Return the number of frames and of targets."""
        return f"<FrameDataset: {len(self)} frames, {int((self.targets >= 0).sum())} with a target>"


class FrameTables(ABC):
    """A table of clips, a table of frames, and their pixels."""

    @property
    @abstractmethod
    def geometry(self) -> Geometry:
        """How the frames were made."""

    @property
    @abstractmethod
    def clips(self) -> pa.Table:
        """The table of clips, one row for each clip."""

    @property
    @abstractmethod
    def frames(self) -> pa.Table:
        """The table of frames, one row for each; `read` takes the numbers in its column `row`."""

    @property
    @abstractmethod
    def text_review(self) -> TextReview:
        """Which clips may be shown, and which take part in anything."""

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
        table = html_table(("hospital", "patients", "clips", "frames", ""), rows)
        title = f"{self.title()}, frames of {self.geometry}"
        withheld = pa.array(sorted(self.text_review.withheld), pa.string())
        shown = self.frames.filter(pc.invert(pc.is_in(self.frames["clip"], withheld)))["row"].to_numpy()
        if not len(shown):
            return html_card(title, table, html_note("no frame is shown: text is suspected in all clips"))
        chosen = np.linspace(0, len(shown) - 1, min(STRIP_PICTURES, len(shown))).astype(np.int64)
        return html_card(title, table, html_strip(self.read(shown[chosen]), "some frames"))
