"""What `run.json` in the folder of a training run holds, and `seeds.json` of a training over seeds.

The part `init` of `run.json` names the weights that the network began from; the part `combination` lists the runs
that a model was made of.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from heart2heart.config import Config
from heart2heart.schema.adaptation import AdaptationRecord


class InitRecord(Config):
    """The weights that a network was initialised with."""

    file: str
    """Name of the file, or of the run's folder, without the folders above it."""
    sha256: str
    """Hash of the file; of a run, that of its selected weights."""
    licence: str | None = None
    """Licence of the weights, as the configuration or a licence file beside them states it; null: not stated."""
    loaded: int
    """Number of the network's tensors that were taken from the file: all but those of `fresh`."""
    fresh: tuple[str, ...]
    """Tensors of the network that the file lacks, or whose layer has another shape in it; initialised at random."""
    unused: tuple[str, ...]
    """Tensors of the file that the network lacks, or that belong to a layer left fresh."""
    loaded_share: float
    """Share of the network's parameters that were taken from the file, 0 to 1."""
    stem: str | None = None
    """How a stem of three colours became one of grey; null: it was not changed."""
    scored_sites: tuple[str, ...] = ()
    """Hospitals of which a pretraining read patients whom the run's split scores, without labels."""

    def sentence(self) -> str:
        """Return source, shares and licence in one sentence, for a reader."""
        layers = sorted({name.rpartition(".")[0] or name for name in self.fresh})
        shown = ", ".join(layers[:4]) + (f" and {len(layers) - 4} more" if len(layers) > 4 else "")
        total = self.loaded + len(self.fresh)
        parts = [
            f"initialised with {self.file} (sha256 {self.sha256[:12]})",
            f"loaded: {self.loaded} of {total} tensors, {self.loaded_share:.2%} of the parameters",
            f"fresh: {shown or 'none'}",
            f"{len(self.unused)} of the file not used",
            *([self.stem] if self.stem else []),
            *([f"its pretraining saw scored patients of {', '.join(self.scored_sites)}"] if self.scored_sites else []),
            f"licence: {self.licence or 'not stated'}",
        ]
        return "; ".join(parts)


SEEDS_SCHEMA_VERSION = 1
"""Version of `seeds.json`."""


class CombinationKind(StrEnum):
    """How several runs become one model."""

    ENSEMBLE = "ensemble"
    """The mean of the members' probabilities."""
    AVERAGE = "average"
    """One network with the mean of the members' weights."""


class MemberRecord(Config):
    """One run that a model is made of."""

    run: str
    """Name of its folder."""
    seed: int
    """Its seed."""
    weights_sha256: str
    """Hash of the file with its selected weights."""
    score: float
    """Its score on the source validation frames, 0 to 1."""


class CombinationRecord(Config):
    """How a model was made of several runs."""

    kind: CombinationKind
    """`ensemble` or `average`."""
    members: tuple[MemberRecord, ...]
    """The runs, by seed."""

    @property
    def title(self) -> str:
        """What it is, for readers, such as `ensemble of 5 seeds`."""
        return (
            f"{'ensemble' if self.kind == CombinationKind.ENSEMBLE else 'weight average'} of {len(self.members)} seeds"
        )


class SeedsRecord(Config):
    """`seeds.json`: the result of a training over seeds."""

    schema_version: int = SEEDS_SCHEMA_VERSION
    """Version of this record."""
    members: tuple[MemberRecord, ...]
    """Every run, by seed."""
    mean: float
    """Mean of the members' scores."""
    deviation: float
    """Standard deviation of the members' scores, with n - 1."""
    ensemble_score: float
    """Score of the ensemble on the source validation frames, 0 to 1."""
    uniform_score: float
    """Score of the mean of all members' weights."""
    average_score: float | None = None
    """Score of the weight average that was written; null: none was."""
    average_seeds: tuple[int, ...] = ()
    """Seeds of its members."""
    notes: tuple[str, ...] = ()
    """Remarks for a reader, such as why no weight average was written."""


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
