"""What `readers.json` holds, as types: the agreement of two readers, and of the model with each of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.site_metrics import Estimate
from heart2heart.utils import read_json, write_json

READERS_SCHEMA_VERSION = 1
READERS_FILE = "readers.json"
MODEL = "model"
"""Name of the model in `AgreementRow.first`."""


class PairKind(StrEnum):
    """Who is compared."""

    READERS = "readers"
    """Two readers, each of whom read the clip without the other's answer and without a model's suggestion."""
    MODEL = "model"
    """The model and one of these two readers, on the same clips."""


class AgreementRow(Config):
    """Two readers, or the model and a reader, at one hospital."""

    site: str
    """The hospital."""
    kind: PairKind
    """Who is compared."""
    first: str
    """A reader, or `model`."""
    second: str
    """A reader."""
    agreement: Estimate
    """Share of the clips with the same answer; `n` is the number of clips."""
    kappa: Estimate
    """Cohen's kappa: 0 at chance, 1 if all answers are the same."""


class ReaderAgreement(Config):
    """The content of `readers.json`."""

    schema_version: int = READERS_SCHEMA_VERSION
    """Version of this layout."""
    predictions_sha256: str
    """Hash of the predictions that the readers are compared with."""
    run: str
    """The run whose predictions are compared."""
    rows: tuple[AgreementRow, ...]
    """By hospital: each pair of readers, then the model and each of the two."""
    reason: str | None = None
    """Why there is no row."""

    def write(self, folder: Path) -> None:
        """Write `readers.json` into a folder, whole or not at all."""
        write_json(folder / READERS_FILE, self.model_dump(mode="json"))


def read_readers(folder: Path, predictions_sha256: str) -> ReaderAgreement | None:
    """Read the `readers.json` of an evaluation; None if there is none, or if it belongs to other predictions.

    Raises:
        StoreError: not JSON.
        EvaluationError: of another schema version, or damaged.
    """
    path = folder / READERS_FILE
    if not path.is_file():
        return None
    content = read_json(path, what="comparison of readers")
    remedy = "Run `heart2heart evaluate --labels` again, or delete it"
    if not isinstance(content, dict) or content.get("schema_version") != READERS_SCHEMA_VERSION:
        raise EvaluationError("this comparison of readers has another schema version", where=path, remedy=remedy)
    try:
        agreement = ReaderAgreement.parse(content, where=path)
    except ConfigError as error:
        raise EvaluationError("this comparison of readers is damaged", where=path, remedy=remedy) from error
    return agreement if agreement.predictions_sha256 == predictions_sha256 else None
