"""The view of DICOM clips, pictures and videos, by a trained run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heart2heart.api.audit import audited
from heart2heart.api.stores import path_list
from heart2heart.errors import DicomError, Heart2HeartError, MissingInputError
from heart2heart.schema.clip_answer import AnswerStatus, sentence_of
from heart2heart.schema.clip_probabilities import clip_log_probabilities, log_softmax
from heart2heart.schema.enums import AuditAction
from heart2heart.schema.status import StatusCode

if TYPE_CHECKING:
    import pandas as pd

    from heart2heart.api.scoped_model import ScopedModel
    from heart2heart.export.exported_model import ExportedModel
    from heart2heart.training.run import Run


@dataclass(frozen=True)
class FramePrediction:
    """One frame: its index in the file, the likeliest view, one probability a class."""

    index: int
    view: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class ClipPrediction:
    """One file: the view of the clip (mean of its frames' log-probabilities) and of each frame.

    A clip that the scope of the model leaves unanswered has no view, no probabilities and no frames.
    """

    file: str
    mode: str
    flags: tuple[str, ...]
    classes: tuple[str, ...]
    view: str
    probabilities: tuple[float, ...]
    frames: tuple[FramePrediction, ...]
    status: AnswerStatus = AnswerStatus.ANSWERED
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the form that `predict --format json` prints."""
        plain = asdict(self)
        for item in (plain, *plain["frames"]):
            item["probabilities"] = dict(zip(self.classes, item["probabilities"], strict=bool(item["probabilities"])))
        del plain["classes"]
        return plain

    def to_frame(self) -> pd.DataFrame:
        """Return one row a frame: its index, the likeliest view, and the probability of each view.

        Raises:
            ConfigError: pandas is not installed.
        """
        from heart2heart.notebook import data_frame

        rows = [
            {"frame": frame.index, "view": frame.view, **dict(zip(self.classes, frame.probabilities, strict=True))}
            for frame in self.frames
        ]
        return data_frame(rows)

    def __repr__(self) -> str:
        """Return file name, view and probability in one line."""
        if not self.probabilities:
            return f"<ClipPrediction({self.file!r}): {self.sentence}>"
        return f"<ClipPrediction({self.file!r}): {self.view} {max(self.probabilities):.3f}, {len(self.frames)} frames>"

    def _repr_html_(self) -> str:
        """Return the probabilities of the clip and of its frames, for a notebook."""
        from heart2heart.notebook import html_card, html_table

        if not self.probabilities:
            return html_card(f"{self.sentence}, mode {self.mode}")
        rows = [("clip", self.view, *self.probabilities)]
        rows += [(str(frame.index), frame.view, *frame.probabilities) for frame in self.frames]
        return html_card(f"{self.view}, mode {self.mode}", html_table(("frame", "view", *self.classes), rows))


@dataclass(frozen=True)
class FailedFile:
    """One file that gave no prediction.

    Attributes:
        file: Its name, as `ClipPrediction.file`.
        error: The reason, with its status code.
        named: Whether it was named itself, and not found in a folder.
    """

    file: str
    error: DicomError
    named: bool

    def __str__(self) -> str:
        """Return the name, the reason and the status in one line."""
        return f"{self.file}: {self.error.what} ({self.error.code})"


@dataclass(frozen=True)
class Predictions:
    """The predictions of files and folders.

    Attributes:
        clips: One prediction for each file that could be read.
        failed: The other files.
        scoped: Whether the model has a scope; without one every clip is answered.
    """

    clips: tuple[ClipPrediction, ...]
    failed: tuple[FailedFile, ...]
    scoped: bool = False

    def require_all(self) -> None:
        """Raise DicomError if a file failed, or a file that was named is no clip, or nothing could be predicted.

        A file in a folder that is neither DICOM nor a picture is no failure.
        """
        faults = [each for each in self.failed if each.named or each.error.code.startswith("failed") or not self.clips]
        if faults:
            what = f"{len(faults)} of {len(self.clips) + len(self.failed)} files gave no prediction"
            raise DicomError(what, code=faults[0].error.code, where=faults[0].file, remedy=_remedy(faults[0].error))


@audited(AuditAction.PREDICT, beside="run", reads=["run", "paths"])
def predict_paths(
    run: str | Path | Run | ExportedModel, paths: str | Path | Sequence[str | Path], *, rule: str = "all"
) -> Predictions:
    """Name the view of DICOM clips, pictures and videos, and of all those in folders, with a trained run.

    A file that cannot be read, or a folder without files, does not stop the others.

    Args:
        run: A run, an exported model, or its path.
        paths: Files and folders; nothing of their identity is kept.
        rule: Frames to read: `all`, `every:N`, `even:K` or `ed_es:K`.

    Examples:
        >>> from heart2heart.api import predict_paths
        >>> done = predict_paths("run", "pictures", rule="even:1")
        >>> len(done.clips), [str(each) for each in done.failed]
        (2, [])
    """
    from heart2heart.api.frozen_models import load_frozen
    from heart2heart.api.scoped_model import open_scoped_model
    from heart2heart.ingest.source_files import close_archives

    model = open_scoped_model(load_frozen(run))
    clips: list[ClipPrediction] = []
    failed: list[FailedFile] = []
    for path in path_list(paths):
        links: set[Path] = set()
        try:
            files = list(_named_files([path], links))
        except MissingInputError as error:
            failed.append(FailedFile(path.name, DicomError(error.what, code=StatusCode.FAILED_MISSING), named=True))
            continue
        for file, name, named in files:
            if file in links:
                what, code = "this link leads out of the folder", StatusCode.EXCLUDED_OUTSIDE_FOLDER
                failed.append(FailedFile(name, DicomError(what, code=code), named))
                continue
            try:
                clips.append(_predict_file(model, file, name, rule))
            except DicomError as error:
                failed.append(FailedFile(name, DicomError(error.what, code=error.code, remedy=error.remedy), named))
            except OSError as error:  # also a full disk, on which a member of a zip file could not be unpacked
                reason = error.what if isinstance(error, Heart2HeartError) else "this file cannot be read"
                failed.append(FailedFile(name, DicomError(reason, code=StatusCode.FAILED_UNREADABLE), named=True))
    close_archives()
    return Predictions(tuple(clips), tuple(failed), scoped=model.scope is not None)


@audited(AuditAction.PREDICT, beside="run", reads=["run", "files"])
def predict_files(
    run: str | Path | Run | ExportedModel, files: str | Path | Sequence[str | Path], *, rule: str = "all"
) -> list[ClipPrediction]:
    """Name the view of DICOM clips, pictures and videos with a trained run.

    Args:
        run: A run, an exported model, or its path.
        files: DICOM files, pictures and videos, or folders of them; nothing of their identity is kept.
        rule: Frames to read: `all`, `every:N`, `even:K` or `ed_es:K`.

    Returns:
        One prediction a file: the probabilities of the clip and of each frame.

    Raises:
        DicomError: a file is not a clip; the message carries its status code. `predict_paths` goes on instead.
        MissingInputError: a folder holds no file.

    Examples:
        >>> import heart2heart as h2h
        >>> (clip,) = h2h.predict_files("run", "clip.dcm", rule="even:2")
        >>> clip.file, [frame.index for frame in clip.frames], round(sum(clip.probabilities), 3)
        ('clip.dcm', [1, 3], 1.0)
    """
    from heart2heart.api.frozen_models import load_frozen
    from heart2heart.api.scoped_model import open_scoped_model
    from heart2heart.ingest.source_files import close_archives

    model = open_scoped_model(load_frozen(run))
    predictions = []
    for path, name, _ in _named_files(path_list(files)):
        try:
            predictions.append(_predict_file(model, path, name, rule))
        except DicomError as error:
            raise DicomError(error.what, code=error.code, where=path, remedy=_remedy(error)) from error
    close_archives()
    return predictions


def _remedy(error: DicomError) -> str:
    return f"Status {error.code}; the page Status codes of the documentation explains it"


def _named_files(paths: Sequence[Path], links: set[Path] | None = None) -> Iterator[tuple[Path, str, bool]]:
    """Yield each file, its name below the folder that was named, and whether it was named itself.

    Links that lead out of a folder are added to `links`; without it they are left out.
    """
    from heart2heart.ingest.source_files import find_files

    for path in paths:
        if path.is_dir():
            top = Path(os.path.normpath(path.absolute()))
            yield from (
                (file, file.relative_to(top).as_posix(), False) for file in find_files([path], foreign_links=links)
            )
        else:
            yield path, path.name, True


def _predict_file(model: ScopedModel, path: Path, name: str, rule: str) -> ClipPrediction:
    """Return the prediction of one file.

    Raises:
        DicomError: the file gives no frames.
    """
    from heart2heart.datasets.load_picture import load_file
    from heart2heart.dicom.header_values import DECODE_ERRORS
    from heart2heart.ingest.source_files import unpacked

    try:
        with unpacked(path) as readable:
            clip = load_file(readable, geometry=model.model.geometry, rule=rule)
    except Heart2HeartError:
        raise
    except MemoryError:
        raise DicomError("the file needs more memory than there is", code=StatusCode.FAILED_MEMORY) from None
    except DECODE_ERRORS as error:
        raise DicomError(f"unexpected {type(error).__name__}", code=StatusCode.FAILED_INTERNAL) from None
    outputs, classes, facts = model.predict(clip.pixels), model.classes, clip.facts
    logits = outputs[:, : len(classes)]
    log_p = log_softmax(logits)
    (mean,) = clip_log_probabilities(log_p, np.zeros(len(log_p), np.int64), 1)
    view, flags = classes[int(mean.argmax())], tuple(facts.flags)
    status, sentence = AnswerStatus.ANSWERED, view
    if model.scope is not None:
        from heart2heart.scope.decide import decide_clip

        features = outputs[:, len(classes) :] if outputs.shape[1] > len(classes) else None
        decision = decide_clip(model.scope, mode=facts.mode, flags=facts.flags, logits=logits, features=features)
        status, sentence = decision.status, sentence_of(decision.status, decision.reason, decision.views)
        if status == AnswerStatus.NOT_ANSWERED:
            return ClipPrediction(name, facts.mode, flags, classes, "", (), (), status, sentence)
    frames = tuple(
        FramePrediction(int(frame["index"]), classes[int(row.argmax())], tuple(np.exp(row).tolist()))
        for frame, row in zip(clip.frames, log_p, strict=True)
    )
    return ClipPrediction(
        name, facts.mode, flags, classes, view, tuple(np.exp(mean).tolist()), frames, status, sentence
    )  # fmt: skip
