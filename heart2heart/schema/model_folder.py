"""The folder of an exported model: its manifest, its signature, and how it compares with the run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from heart2heart.config import Config
from heart2heart.utils import sha256_json

MODEL_FOLDER_VERSION = 1
"""Version of the layout."""

MANIFEST = "manifest.json"
"""Name of the manifest in the folder; every other file is in it."""
SIGNATURE = "manifest.sig.json"
"""Name of the signature of the manifest, if the folder is signed."""
CERTIFICATE = "certificate.json"
"""Name of the leakage certificate of the training split, if the folder holds it."""
ADAPTATION = "adaptation.json"
"""Name of the record of an adaptation to a hospital, if the model was adapted."""
VALIDATIONS = "validations"
"""Folder of the certificates of validations."""
PARITY = "parity.json"
"""Name of the comparisons of the exported files with the run."""
SCOPE = "scope"
"""Folder with the thresholds of the scope, if the model has one."""


class FileRecord(Config):
    """One file of the folder."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hash of its bytes."""
    bytes: int = Field(ge=0)
    """Its size."""


class ModelManifest(Config):
    """`manifest.json`: every file of the folder with its hash, and one hash over all."""

    kind: Literal["heart2heart model"] = "heart2heart model"
    """Marks the file."""
    schema_version: int = MODEL_FOLDER_VERSION
    """Version of the layout."""
    name: str
    """Name of the model."""
    version: str
    """Version of heart2heart that exported it."""
    classes: tuple[str, ...]
    """Class names, in the order of the logits."""
    weights_sha256: str
    """Hash of the weights of the run that it was exported from."""
    split_sha256: str
    """Hash of the split that it was trained on."""
    certificate_sha256: str | None = None
    """Hash of the certificate of that split; null: it was not at hand."""
    adapted_at: str = ""
    """Hospital that it was adapted to; empty: none."""
    licence: str | None = None
    """Licence of the weights; null: not stated."""
    files: dict[str, FileRecord]
    """Every other file of the folder by its path with `/`, but for the signature."""
    sha256: str = ""
    """Hash over all of the above."""

    def digest(self) -> str:
        """Return the hash over all fields but `sha256`."""
        return sha256_json(self.model_dump(mode="json", exclude={"sha256"}))

    def sealed(self) -> ModelManifest:
        """Return the manifest with its hash."""
        return self.model_copy(update={"sha256": self.digest()})


class ManifestSignature(Config):
    """`manifest.sig.json`: the signature of the manifest's hash."""

    algorithm: Literal["ed25519"] = "ed25519"
    """Algorithm of the signature (RFC 8032)."""
    public_key: str = Field(pattern="^[0-9a-f]{64}$")
    """Public key, in hexadecimal digits."""
    signature: str = Field(pattern="^[0-9a-f]{128}$")
    """Signature of the text of `ModelManifest.sha256`, in hexadecimal digits."""


class Parity(Config):
    """How an exported file compares with the run, on the same frames."""

    frames: int
    """Number of frames."""
    source: str
    """Which frames, e.g. `validation frames of the split` or `random pixels`."""
    max_difference: float
    """Largest difference of a logit."""
    agreement: float
    """Share of the frames with the same likeliest class, 0 to 1."""

    def sentence(self) -> str:
        """Return the comparison in words."""
        return (
            f"largest difference of a logit {self.max_difference:.2g}, the same view in {self.agreement:.2%} of "
            f"{self.frames} frames ({self.source})"
        )
