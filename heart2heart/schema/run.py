"""What `run.json` in the folder of a training run holds."""

from __future__ import annotations

from typing import Any

from heart2heart.config import Config
from heart2heart.schema.adaptation import AdaptationRecord
from heart2heart.schema.combination import CombinationRecord
from heart2heart.schema.initialisation import InitRecord

RUN_SCHEMA_VERSION = 1
"""Version of `run.json`."""


class RunRecord(Config):
    """The record of one training run."""

    schema_version: int = RUN_SCHEMA_VERSION
    """Version of this record."""
    classes: tuple[str, ...]
    """Class names, in the order of the logits."""
    geometry: dict[str, Any]
    """Geometry of the frames that the network takes."""
    split_sha256: str
    """Hash of the split; it covers members, settings and the clips' pixel hashes."""
    data_sha256: str
    """Hash over the clips' pixel hashes."""
    config_sha256: str
    """Hash of the resolved configuration."""
    versions: dict[str, str]
    """Versions of the packages that trained it."""
    finished: bool = False
    """Whether the last step was reached, or training stopped early."""
    device: str = ""
    """Device that it was trained on."""
    parameters: int = 0
    """Parameters of the network."""
    processes: int = 1
    """Number of processes that trained it together."""
    steps: int = 0
    """Steps taken; fewer than configured where it stopped early."""
    seconds: float = 0.0
    """Time spent training, over all starts of the run."""
    notes: tuple[str, ...] = ()
    """Remarks on its training, for a reader."""
    adaptation: AdaptationRecord | None = None
    """How it was adapted to a hospital after training; null: it was not."""
    init: InitRecord | None = None
    """Weights that its network began from; null: initialised at random."""
    combination: CombinationRecord | None = None
    """How it was made of several runs; null: it was trained."""
    selected_step: int = 0
    """Step whose averaged weights were selected."""
    selected_score: float = 0.0
    """Their score on the source validation frames, 0 to 1."""
    validation_information: float | None = None
    """Information that their predictions of the source validation frames hold, as a share of that of certain
    predictions of equally frequent views, 0 to 1; null in records of older versions."""
    selected_average: int = 1
    """Number of last validated weights that the selected ones are the mean of; 1: the averaged weights of one step."""
