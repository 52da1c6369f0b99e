"""A model made of several runs: the part `combination` of `run.json`, and `seeds.json` of a training over seeds."""

from __future__ import annotations

from enum import StrEnum

from heart2heart.config import Config

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
