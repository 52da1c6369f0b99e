"""The validation certificate: what was checked before a frozen model was scored at hospitals outside its split.

It takes the place of the split's certificate. Hashes bind it to the predictions, the model, the store and the training
manifest. A reader of the predictions recomputes the checks of `ROW_CHECKS` and every hash that the rows give.
"""

from __future__ import annotations

from enum import StrEnum

from heart2heart.config import Config
from heart2heart.schema.split import Check
from heart2heart.utils import sha256_json

CERTIFICATE_FILE = "certificate.json"
"""Name of the file beside the predictions; it repeats the certificate that they carry."""

DEFAULT_TASK = "view"
"""Noun of the task of echocardiogram views."""

ROW_CHECKS = ("cases_unique", "truth_independent", "classes_present", "test_patients")
"""Checks of the predictions alone."""

TRAINING_CHECKS = (
    "training_patients",
    "training_clips",
    "training_pictures",
    "training_copies",
    "training_links",
    "adaptation_patients",
)
"""Checks against what the model was trained with, and, the last one, adapted with."""

VALIDATION_CHECKS = ROW_CHECKS + TRAINING_CHECKS
"""Checks of a validation certificate, in order; it holds exactly these."""


class TrainingData(StrEnum):
    """What of the training data was at hand when a model was validated."""

    COMPARED = "compared"
    """The training split and its pictures: patients, clips and pictures were compared."""
    NAMES_COMPARED = "names_compared"
    """The training split without its pictures: patients, studies and clips were compared by pseudonym."""
    NOT_SEEN = "not_seen"
    """Nothing: whether the model was trained on these patients is unknown."""


class ValidationCertificate(Config):
    """What the checks found about one model at the validated hospitals."""

    schema_version: int = 1
    """Version of this layout."""
    sites: tuple[str, ...]
    """The validated hospitals."""
    rows_sha256: str
    """Hash of the rows of the predictions."""
    model_sha256: str
    """Hash of the weights, of the exported file, or of the table of predictions; of several models, of their hashes."""
    models: tuple[str, ...] = ()
    """Hashes of several models, in the order of the runs; empty: one model."""
    store_sha256: str | None
    """Digest of the stores with the validated frames; null: a table of predictions."""
    manifest_sha256: str | None
    """Hash of the training split; null: not at hand."""
    manifest_stated: bool = False
    """The user named the training split; the model does not record which one it is."""
    training_data: TrainingData
    """What of the training data was at hand."""
    checks: tuple[Check, ...]
    """One entry a check, in the order of `VALIDATION_CHECKS`."""

    def digest(self) -> str:
        """Return the hash of the certificate."""
        return sha256_json(self.model_dump(mode="json"))

    def sentence(self) -> str:
        """Return what is known of the training data, for a reader."""
        if self.training_data == TrainingData.NOT_SEEN:
            return (
                "Training data not seen: whether this model was trained on patients or pictures of these hospitals "
                "was not checked."
            )
        origin = "a training split that the user named" if self.manifest_stated else "the training split of the model"
        if self.training_data == TrainingData.NAMES_COMPARED:
            return (
                "Pictures of the training not seen: training pictures not compared; only patients, studies and clips "
                f"were compared with {origin}, by pseudonym."
            )
        return f"Patients, clips and pictures were compared with {origin}."
