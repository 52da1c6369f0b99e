"""Finds the DICOM clips of answers by the hash of their bytes, study by study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.stores import path_list
from heart2heart.errors import ConfigError, DicomError, MissingInputError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.clip_answer import ClipAnswer, HashedContent, ModelIdentity
from heart2heart.schema.status import StatusCode

if TYPE_CHECKING:
    from heart2heart.dicom_results.answered_clip import AnsweredClip

Paths = str | Path | Sequence[str | Path]

NO_ANSWER = "no_answer"
"""What is counted for an ultrasound file that the answers do not name."""


@dataclass(frozen=True)
class AnsweredStudies:
    """The clips of some folders, with their answers.

    Attributes:
        studies: The answered clips of each study and model.
        files: Files without an answer, or without a clip, by why.
        unanswered_studies: Studies with ultrasound of which no clip has an answer.
        made_at: When the last answer was written, local time.
    """

    studies: list[list[AnsweredClip]] = field(repr=False)
    files: dict[str, int]
    unanswered_studies: int
    made_at: datetime


def read_answered_studies(answers: Paths, source: Paths, *, stage: Stage = silent_stage) -> AnsweredStudies:
    """Return the answered DICOM clips below some folders.

    A clip belongs to the answer with the hash of its bytes, wherever the file is now.

    Args:
        answers: Files of answers that `predict_many` wrote, of one model each.
        source: The DICOM files: files, folders, zip files; of a server the spool folder.
        stage: Opens the progress.

    Raises:
        ConfigError: two models have one name.
        MissingInputError: no ultrasound in the folders, or no clip with an answer.
        StoreError: a file of answers is damaged.

    Examples:
        >>> from heart2heart.api.answered_studies import read_answered_studies
        >>> from heart2heart.api import predict_many
        >>> predict_many("run", "hospital", "answers.jsonl").has_clips
        True
        >>> read_answered_studies("answers.jsonl", "hospital").unanswered_studies
        0
    """
    from heart2heart.dicom_results.answered_clip import AnsweredClip, group_by_study, read_clip_header
    from heart2heart.ingest.source_files import close_archives, find_files, unpacked
    from heart2heart.utils import sha256_file

    files, folders = path_list(answers), path_list(source)
    tables = [_by_hash(path) for path in files]
    clips: list[list[AnsweredClip]] = [[] for _ in tables]
    counts: Counter[str] = Counter()
    all_studies: set[str] = set()
    answered_studies: set[str] = set()
    paths = find_files(folders)
    with stage("find clips", len(paths)) as progress:
        for count, path in enumerate(paths, start=1):
            try:
                with unpacked(path) as readable:
                    header, sha256 = read_clip_header(readable), sha256_file(readable)
            except DicomError as error:
                counts[error.code.value] += 1
                continue
            except OSError:
                counts[StatusCode.FAILED_UNREADABLE.value] += 1
                continue
            study = str(header.StudyInstanceUID)
            all_studies.add(study)
            matches = [(index, table[sha256]) for index, table in enumerate(tables) if sha256 in table]
            for index, answer in matches:
                clips[index].append(AnsweredClip(header, answer, path))
            if matches:
                answered_studies.add(study)
            else:
                counts[NO_ANSWER] += 1
            progress.update(count)
    close_archives()
    where = ", ".join(map(str, folders))
    if not all_studies:
        remedy = "Name the folder that holds the clips"
        raise MissingInputError(f"none of {len(paths)} files is ultrasound in DICOM", where=where, remedy=remedy)
    if not answered_studies:
        what = f"no clip of {len(all_studies)} studies has an answer in this file"
        raise MissingInputError(what, where=files[0], remedy="Name the files that `heart2heart predict --out` read")
    made_at = datetime.fromtimestamp(max(path.stat().st_mtime for path in files)).astimezone()
    studies = [study_clips for model in clips for study_clips in group_by_study(model)]
    return AnsweredStudies(studies, dict(sorted(counts.items())), len(all_studies - answered_studies), made_at)


def check_model_names(models: Sequence[ModelIdentity]) -> None:
    """Refuse two models of one name: a reader of their reports could not tell them apart.

    Raises:
        ConfigError: two models with other weights have one name.

    Examples:
        >>> check_model_names([])
    """
    seen: dict[str, str] = {}
    for model in models:
        if seen.setdefault(model.name, model.weights_sha256) != model.weights_sha256:
            remedy = "Rename one of the model's folders, and predict again"
            raise ConfigError("two models with other weights have one name", where=model.name, remedy=remedy)


def read_models(answers: Paths) -> list[ModelIdentity]:
    """Return the models of files of answers.

    Args:
        answers: Files of answers.

    Raises:
        MissingInputError: no such file, or none is named.
        StoreError: it is no file of answers.

    Examples:
        >>> from heart2heart.api import predict_many
        >>> predict_many("run", "clip.dcm", "answers.jsonl").earlier
        0
        >>> [model.name for model in read_models("answers.jsonl")]
        ['run']
    """
    from heart2heart.prediction.answer_file import read_answers

    return [read_answers(path)[0].model for path in path_list(answers)]


def _by_hash(path: Path) -> dict[str, ClipAnswer]:
    """Return the answers of a file by the hash of the bytes of the clip."""
    from heart2heart.prediction.answer_file import read_answers

    return {
        answer.sha256: answer
        for answer in read_answers(path)[1]
        if answer.sha256 is not None and answer.hash_of == HashedContent.FILE
    }
