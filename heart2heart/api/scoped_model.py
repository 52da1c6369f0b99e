"""A model with the scope beside it, as prediction uses both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heart2heart.errors import RunError

if TYPE_CHECKING:
    from heart2heart.export.exported_model import ExportedModel
    from heart2heart.prediction.loaded_clip import LoadedClip
    from heart2heart.schema.clip_answer import ClipAnswer, ModelIdentity
    from heart2heart.scope.scope_model import ScopeModel
    from heart2heart.training.run import Run

Pixels = npt.NDArray[np.uint8]


class ScopedModel:
    """A model with its scope, as prediction uses both.

    Args:
        model: A run, or an exported model.
        scope: Its scope; None: every clip with frames is answered.
    """

    def __init__(self, model: Run | ExportedModel, scope: ScopeModel | None) -> None:
        from heart2heart.training.features import FeatureExtractor
        from heart2heart.training.run import Run

        self.model, self.scope = model, scope
        uses_features = scope is not None and scope.arrays and isinstance(model, Run)
        self._extractor = FeatureExtractor(model) if uses_features and isinstance(model, Run) else None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the logits; with a scope those that are answers."""
        return self.model.classes if self.scope is None else self.scope.record.classes

    @property
    def scope_sha256(self) -> str | None:
        """Hash of the scope; None: there is none."""
        return None if self.scope is None else self.scope.record.digest()

    def answer(self, clip: LoadedClip, outputs: npt.NDArray[np.float32] | None, *, model: ModelIdentity) -> ClipAnswer:
        """Return the answer for one clip.

        Args:
            clip: The clip.
            outputs: Its rows of `predict`; None for a file without frames.
            model: Identity that the answer carries.
        """
        from heart2heart.prediction.batches import plain_answer
        from heart2heart.prediction.scoped_answer import scoped_answer

        if self.scope is None:
            return plain_answer(clip, outputs, classes=self.classes, model=model)
        return scoped_answer(clip, outputs, scope=self.scope, model=model)

    def predict(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Return logits of `classes` and, where the scope uses them, features: float32 `(n, classes + d)`."""
        if self._extractor is None:
            return self._answers(self.model.predict(pixels))
        features, logits = self._extractor.compute(pixels)
        return np.concatenate([self._answers(logits), features], axis=1)

    def _answers(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the logits of the classes that are answers."""
        return logits[:, [self.model.classes.index(name) for name in self.classes]]


def open_scoped_model(model: Run | ExportedModel) -> ScopedModel:
    """Return a model with the scope beside it, if there is one.

    Args:
        model: A run, or an exported model.

    Raises:
        RunError: the scope was fitted for other weights or classes, or cannot be read.

    Examples:
        >>> import heart2heart as h2h
        >>> open_scoped_model(h2h.load_model("run")).classes
        ('PLAX', 'PSAX', 'A4C', 'A2C')
    """
    from heart2heart.api.frozen_models import model_sha256
    from heart2heart.schema.scope import answered_classes
    from heart2heart.scope.scope_files import scope_beside
    from heart2heart.training.run import Run

    source = None if isinstance(model, Run) else model.source_sha256
    scope = scope_beside(model.path, source or model_sha256(model))
    if scope is not None and scope.record.classes != answered_classes(model.classes):
        remedy = "Fit it again with: heart2heart scope fit"
        raise RunError("this scope has other views than the model", where=model.path, remedy=remedy)
    return ScopedModel(model, scope)
