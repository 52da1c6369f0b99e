"""Which model gave an answer: its hash, its version, and the certificate of its training."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from heart2heart.errors import Heart2HeartError
from heart2heart.schema.clip_answer import ModelIdentity

if TYPE_CHECKING:
    from heart2heart.export.exported_model import ExportedModel
    from heart2heart.training.run import Run


def model_identity(frozen: Run | ExportedModel, *, scope_sha256: str | None = None) -> ModelIdentity:
    """Return the identity of a model, as its answers carry it.

    Args:
        frozen: A run, or an exported model.
        scope_sha256: Hash of its scope file; None: it has none.

    Examples:
        >>> from heart2heart.api.model_identity import model_identity
        >>> from heart2heart.api.frozen_models import load_frozen
        >>> model_identity(load_frozen("run")).name
        'run'
    """
    import heart2heart
    from heart2heart.api.frozen_models import model_sha256

    split, certificate = _certificate(frozen)
    return ModelIdentity(
        name=frozen.name,
        weights_sha256=model_sha256(frozen),
        version=heart2heart.__version__,
        split_sha256=split,
        certificate_sha256=certificate,
        scope_sha256=scope_sha256,
    )


def _certificate(frozen: Run | ExportedModel) -> tuple[str | None, str | None]:
    """Return the hashes of the split and of its certificate; None where they are not recorded or not at hand."""
    from heart2heart.export.exported_model import ExportedModel

    if isinstance(frozen, ExportedModel):
        return frozen.split_sha256, frozen.certificate_sha256
    split = frozen.directory.record.split_sha256
    with suppress(Heart2HeartError):  # the split may have moved, and another may be there now
        manifest = frozen.load_split()
        if manifest.sha256 == split:
            return split, manifest.certificate().digest()
    return split, None
