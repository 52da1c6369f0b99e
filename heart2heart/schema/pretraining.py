"""What `pretrain.json` and `patients.json` in the folder of a pretraining hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from heart2heart.config import Config
from heart2heart.errors import RunError
from heart2heart.schema.run import InitRecord
from heart2heart.utils import read_json, sha256_json, write_json

PRETRAIN_SCHEMA_VERSION = 1
"""Version of `pretrain.json`."""
PRETRAIN_FILE = "pretrain.json"
"""The record of a pretraining, in its folder."""
PATIENTS_FILE = "patients.json"
"""Hospital and pseudonym of every patient whose frames were read, in the folder of a pretraining."""


class CollapseRecord(Config):
    """How varied the features of unlabeled frames are; see `representation.collapse`."""

    effective_rank: float
    """Number of directions that the features vary in, 1 to the number of dimensions."""
    deviation: float
    """Spread of the directions of the features: 0 all frames look alike, 1 they point everywhere."""
    dead_dimensions: float
    """Share of the dimensions that hardly vary."""
    dimensions: int
    """Number of dimensions."""

    def sentence(self) -> str:
        """Return the numbers in words, for a reader."""
        rank = f"effective rank {self.effective_rank:.1f} of {self.dimensions}"
        return f"{rank}, spread {self.deviation:.3f}, {self.dead_dimensions:.0%} of the dimensions do not vary"


class PretrainRecord(Config):
    """The record of one pretraining."""

    schema_version: int = PRETRAIN_SCHEMA_VERSION
    """Version of this record."""
    method: str
    """Title of the method."""
    network: str
    """Name of the network, as in `network.name`."""
    geometry: dict[str, Any]
    """Geometry of the frames that the encoder takes."""
    split_sha256: str | None
    """Hash of the split whose scored patients were left out; null: no split was named, all frames were read."""
    scored_patients: bool
    """Whether frames of patients whom the split scores were read, because the configuration asked for it."""
    data_sha256: str
    """Hash over the pixel hashes of the clips that were read."""
    patients_sha256: str
    """Hash of the content of `patients.json`."""
    config_sha256: str
    """Hash of the resolved configuration."""
    versions: dict[str, str]
    """Versions of the packages that trained it."""
    frames: int
    """Number of frames that batches are drawn from."""
    clips: int
    """Number of their clips."""
    patients: int
    """Number of their patients."""
    init: InitRecord | None = None
    """Weights that the encoder began from; null: initialised at random."""
    notes: tuple[str, ...] = ()
    """Remarks for a reader."""
    finished: bool = False
    """Whether the last step was reached, and the representation has not collapsed."""
    device: str = ""
    """Device that it was trained on."""
    parameters: int = 0
    """Parameters of the encoder that were trained."""
    steps: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Time spent training, over all starts."""
    collapse: CollapseRecord | None = None
    """How varied the features were at the end; null: not finished."""


def is_pretraining(folder: Path) -> bool:
    """Return whether a folder is that of a pretraining."""
    return (folder / PRETRAIN_FILE).is_file()


def read_pretrain_record(folder: Path) -> PretrainRecord:
    """Read the record of a pretraining.

    Raises:
        MissingInputError: no pretraining here.
        RunError: it was made by another version of heart2heart.
    """
    content = read_json(folder / PRETRAIN_FILE, what="pretraining")
    if not isinstance(content, dict) or content.get("schema_version") != PRETRAIN_SCHEMA_VERSION:
        remedy = "Pretrain anew in another folder"
        raise RunError("this pretraining is of another version", where=folder / PRETRAIN_FILE, remedy=remedy)
    return PretrainRecord.parse(content, where=folder / PRETRAIN_FILE)


def write_patients(folder: Path, patients: list[list[str]]) -> None:
    """Write hospital and pseudonym of each patient, sorted, for their owner alone."""
    write_json(folder / PATIENTS_FILE, patients)


def read_patients(folder: Path) -> list[tuple[str, str]]:
    """Return hospital and pseudonym of each patient whose frames a pretraining read.

    Raises:
        MissingInputError: the file is missing.
        RunError: it is not the file that the pretraining wrote.
    """
    content = read_json(folder / PATIENTS_FILE, what="list of patients of a pretraining")
    if sha256_json(content) != read_pretrain_record(folder).patients_sha256:
        remedy = "Restore the file, or pretrain anew: without it a leak cannot be ruled out"
        raise RunError("this list of patients was changed after the pretraining", where=folder, remedy=remedy)
    return [(str(site), str(patient)) for site, patient in content]
