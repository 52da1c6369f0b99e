"""The errors that users see: what happened, where, and the remedy.

Each kind also inherits the standard error it is, so a caller may catch either. Messages never carry a
patient's name, an identifier from outside, or the contents of a DICOM tag.
"""

from __future__ import annotations

from pathlib import Path

from heart2heart.schema.model_fault import ModelFault
from heart2heart.schema.status import StatusCode


class Heart2HeartError(Exception):
    """Root of all errors raised on purpose.

    Args:
        what: What went wrong, one clause.
        where: The file, folder, key or pseudonym that the error concerns.
        remedy: What the user can do about it.
    """

    exit_code = 2  # an error of the user; errors of this package override it with 1

    def __init__(self, what: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        text = what if where is None else f"{what}: {where}"
        super().__init__(text if remedy is None else f"{text}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, so that an error can be sent from a worker process."""
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[Heart2HeartError], what: str, where: str | Path | None, remedy: str | None) -> Heart2HeartError:
    return kind(what, where=where, remedy=remedy)


class ConfigError(Heart2HeartError, ValueError):
    """A configuration key or value is not acceptable."""


class MissingInputError(Heart2HeartError, FileNotFoundError):
    """A file or folder that the user named does not exist or holds nothing usable."""


class ExistsError(Heart2HeartError, FileExistsError):
    """A frozen artefact would be overwritten."""


class StoreError(Heart2HeartError, ValueError):
    """A frame store is damaged, of another version, or of another geometry."""


class LabelError(Heart2HeartError, ValueError):
    """A label names an unknown clip, frame or view."""


class LabelConflictError(LabelError):
    """A clip got another label after the writer last read it; nothing was written."""


class LabelStoreBusyError(LabelError):
    """Another program has locked the label store; nothing was written, and the call can be repeated."""


class SplitError(Heart2HeartError, ValueError):
    """A split cannot be made, or its data changed after it was frozen."""


class LeakageError(SplitError):
    """A split is not certified as free of leakage."""


class RunError(Heart2HeartError, ValueError):
    """A training run cannot start, continue, or be read."""


class ModelError(RunError):
    """An exported model is refused.

    Attributes:
        code: Why; the text ends with it.
    """

    def __init__(
        self,
        what: str,
        *,
        code: ModelFault = ModelFault.NOT_A_MODEL,
        where: str | Path | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(what, where=where, remedy=f"{remedy} ({code})" if remedy else f"({code})")
        self.code, self.plain_remedy = code, remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, the code included."""
        return _rebuild_model, (self.what, self.code, self.where, self.plain_remedy)


def _rebuild_model(what: str, code: ModelFault, where: str | Path | None, remedy: str | None) -> ModelError:
    return ModelError(what, code=code, where=where, remedy=remedy)


class DivergedError(Heart2HeartError, ArithmeticError):
    """The training loss became non-finite."""


class CollapsedError(RunError):
    """A pretraining ended in features that say nearly the same of every frame."""


class UnknownNameError(Heart2HeartError, LookupError):
    """A network, method, geometry or view name that does not exist; the message lists those that do."""

    @classmethod
    def among(cls, kind: str, name: str, known: list[str]) -> UnknownNameError:
        """Build the error for `name`, listing the `known` names of that `kind`."""
        return cls(f"unknown {kind} {name!r}", remedy=f"Known: {', '.join(sorted(known))}")


class PluginError(Heart2HeartError, ImportError):
    """An installed plugin cannot be used, or a name is taken."""


class EvaluationError(Heart2HeartError, ValueError):
    """Predictions cannot be scored: a view without frames, too few clusters, an unknown label."""


class DicomError(Heart2HeartError, ValueError):
    """One file gives no frames.

    Attributes:
        code: Status of the file in the ledger, such as `failed:truncated`.
        manufacturer: Manufacturer of the scanner by the allow-list, if the file names one.
    """

    def __init__(
        self, what: str, *, code: StatusCode, where: str | Path | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.code = code
        self.manufacturer: str | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, the code included."""
        return _rebuild_dicom, (self.what, self.code, self.where, self.remedy)


def _rebuild_dicom(what: str, code: StatusCode, where: str | Path | None, remedy: str | None) -> DicomError:
    return DicomError(what, code=code, where=where, remedy=remedy)


class NoSpaceError(Heart2HeartError, OSError):
    """The disk is full; everything published before stays complete."""


class UnwritableError(Heart2HeartError, OSError):
    """A file or folder cannot be created or written."""


class RemoteError(Heart2HeartError, ConnectionError):
    """A server or a cluster cannot be reached, refuses, or closed the connection."""


class InternalError(Heart2HeartError, RuntimeError):
    """An internal invariant is violated; please report it."""

    exit_code = 1
