"""The clips that a method chooses among: one row a clip, in tables that know nothing of frames, files or torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from heart2heart.errors import ConfigError

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]

TABLES: Mapping[str, str] = {
    "probabilities": "(n, classes): probabilities of the clip by the selected weights, by the rule of `aggregation`",
    "embeddings": "(n, d): mean over the clip's frames of what enters the network's last linear layer",
    "weights": "(d, classes): weights of that layer",
    "bias": "(classes,): its bias",
    "earlier": "(n, classes): probabilities of the run before, or of this run's raw weights at its last step",
    "student": "(n, classes): probabilities of the raw weights at the run's last step",
    "teacher": "(n, classes): probabilities of the averaged weights at the run's last step",
    "vaal": "(n,): how unlike the labeled clips an adversary calls a clip, 0 to 1",
}
"""What a table is called and holds, float32."""


@dataclass(frozen=True)
class ClipPool:
    """Clips, labeled and not.

    Attributes:
        patient: Whose clip it is, int64 `(n,)`, one number a patient.
        labeled_mask: Whether it was read already, bool `(n,)`; such a clip is never picked.
        target: Class that it was labeled with, int64 `(n,)`; -1 where it has none.
        cost: What reading it costs, float64 `(n,)`, above 0; 1 where all cost the same.
        duplicate_group: Clips of one number show the same picture and are asked for once, int64 `(n,)`.
        classes: Names of the classes.
        tables: Of `TABLES` those that are known.
        rare: Classes that are to be looked for; empty lets the labels tell.
    """

    patient: Ints
    labeled_mask: Bools
    target: Ints
    cost: Floats
    duplicate_group: Ints
    classes: tuple[str, ...]
    tables: Mapping[str, Table] = field(default_factory=dict)
    rare: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.patient)

    def table(self, name: str) -> Table:
        """Return the table `name` of `TABLES`.

        Raises:
            ConfigError: it is not known.
        """
        if name not in self.tables:
            remedy = "Give a finished run: --run RUN"
            raise ConfigError(f"this method needs the {name} of a run {TABLES[name]}", remedy=remedy)
        return self.tables[name]

    @property
    def labeled(self) -> Ints:
        """Places of the clips that are labeled with a class, int64."""
        return np.flatnonzero(self.labeled_mask & (self.target >= 0))

    @property
    def available(self) -> int:
        """Number of clips that may be asked for: of equal pictures one, and none that equals a clip read already."""
        return len(np.setdiff1d(self.duplicate_group[~self.labeled_mask], self.duplicate_group[self.labeled_mask]))
