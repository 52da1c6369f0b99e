"""Why a model is refused; the text of the error ends with the code."""

from __future__ import annotations

from enum import StrEnum


class ModelFault(StrEnum):
    """Why a model is refused."""

    NOT_A_MODEL = "model:not_a_model"
    """Nothing that heart2heart exported."""
    OTHER_VERSION = "model:other_version"
    """Exported by a version whose layout is not read."""
    CHANGED = "model:changed"
    """A file is missing, new or has other bytes than the manifest states, or the manifest was changed."""
    UNSIGNED = "model:unsigned"
    """A trusted key is required, and the folder is not signed with it."""
    CERTIFICATE = "model:certificate"
    """The certificate of the training split failed, or is of another split; or that of a validation is of another
    model."""
    PICKLED = "model:pickled"
    """Weights that only pickle can read, which could run code."""
