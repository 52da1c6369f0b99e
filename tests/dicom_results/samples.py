"""Clips of two studies with planted identities, and an answer of each kind. All pictures are synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from heart2heart.dicom_results.answered_clip import AnsweredClip, read_clip_header
from heart2heart.prediction.answer_file import AnswerFile
from heart2heart.schema.clip_answer import AnswerReason, AnswerStatus, ClipAnswer, ModelIdentity
from heart2heart.schema.status import StatusCode
from heart2heart.utils import sha256_file
from tests.dicom.build import speckle_frames, write
from tests.pacs.conftest import needs
from tests.prediction.samples import MODEL, answer, failure, header

MADE_AT = datetime(2026, 1, 2, 3, 4, 5)
NAME, PATIENT, ACCESSION = "Doehringer^Anna", "PLANTED-4711", "ACC-19431122"
IDENTITY = ("doehringer", "planted-4711", "19431122")
"""What shows in no message, name of a file, or log."""

ANSWERS: tuple[ClipAnswer, ...] = (
    answer("one"),
    answer(
        "set", status=AnswerStatus.SET, reason=AnswerReason.AMBIGUOUS, views=("A4C", "PLAX"), coverage=0.9,
        sentence="one of A4C, PLAX",
    ),
    answer(
        "none", status=AnswerStatus.NOT_ANSWERED, reason=AnswerReason.MODE_SPECTRAL, views=(), probabilities={},
        sentence="not answered: spectral Doppler",
    ),
    failure("cut", StatusCode.FAILED_TRUNCATED),
)  # fmt: skip


def write_clip(path: Path, number: int, study: int = 1, syntax: str = "1.2.840.10008.1.2.1", **tags: Any) -> Path:
    """Write a clip with an identity; its SOP Instance UID is `1.2.99.STUDY.NUMBER`."""
    fields: dict[str, Any] = {
        "PatientName": NAME, "PatientID": PATIENT, "AccessionNumber": ACCESSION, "PatientBirthDate": "19431122",
        "PatientSex": "F", "StudyTime": "101500", "StudyID": "7", "StudyInstanceUID": f"1.2.98.{study}",
        "SeriesInstanceUID": f"1.2.97.{study}", "SOPInstanceUID": f"1.2.99.{study}.{number}", "SeriesNumber": 1,
        "InstanceNumber": number, "ReferringPhysicianName": "", "StudyDescription": "TTE", "SyntheticData": "YES",
    }  # fmt: skip
    return write(path, speckle_frames(3, seed=10 * study + number), syntax, **fields | tags)


def answered(path: Path, clip_answer: ClipAnswer) -> AnsweredClip:
    """Return the clip of a file with an answer, which names the file's hash."""
    with_hash = clip_answer.model_copy(update={"sha256": sha256_file(path)})
    return AnsweredClip(read_clip_header(path), with_hash, path)


def study_clips(folder: Path, study: int = 1) -> list[AnsweredClip]:
    """Write a study with an answer of each kind."""
    files = [write_clip(folder / f"{study}_{index}.dcm", index, study) for index in range(len(ANSWERS))]
    return [answered(file, clip_answer) for file, clip_answer in zip(files, ANSWERS, strict=True)]


def validator(program: str) -> str:
    """Return a validator's path; a test skips without it, but fails in CI."""
    return needs(program)


def with_answer(clip: AnsweredClip, **changes: Any) -> AnsweredClip:
    """Return a clip with another answer."""
    return replace(clip, answer=clip.answer.model_copy(update=changes))


def write_answers(path: Path, clips: Sequence[AnsweredClip], model: ModelIdentity = MODEL) -> Path:
    """Write a file with the answers of clips."""
    with AnswerFile.open(path, header(model=model)) as answers:
        answers.append([
            clip.answer.model_copy(update={"model": model, "file": clip.path.name}) for clip in clips
        ])  # fmt: skip
    return path
