"""The answers of a model for the clips of one study, as a Comprehensive SR (TID 1500 "Measurement Report").

Each clip has a measurement group (TID 1501) with a tracking identifier, its source image, the algorithm (TID 4019) and:

| item | content |
|---|---|
| Answer of the model | one view, one of several views, no answer, or no frames |
| Image View (111031, DCM) | the view, by CID 12226; only where the model gives one view |
| Possible image view | each view of a set |
| Reason | why there is not one view |
| Certainty of Finding (111012, DCM) | probability of a view in percent, with the view as its modifier |
| Comment | the answer in words, with the status code of a failed file |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydicom import Dataset

from heart2heart.dicom_results.answered_clip import AnsweredClip
from heart2heart.dicom_results.codes import (
    ANSWER_OF_MODEL,
    CERTAINTY,
    COMMENT,
    ECHOCARDIOGRAPHY,
    IMAGE_VIEW,
    POSSIBLE_VIEW,
    REASON,
    REASONS,
    STATUSES,
    Triple,
    concept,
    view_code,
)
from heart2heart.dicom_results.derived_uid import answer_parts, derived_uid, model_parts
from heart2heart.dicom_results.document import (
    document_arguments,
    evidence,
    finish_document,
    model_observer,
    model_of_study,
    quiet_highdicom,
    study_parts,
)
from heart2heart.schema.clip_answer import AnswerStatus, ClipAnswer, ModelIdentity

if TYPE_CHECKING:
    from highdicom.sr import Measurement, MeasurementsAndQualitativeEvaluations, QualitativeEvaluation

SERIES_NUMBER = 9001
"""Series number of reports, above those of a scanner."""


def answer_report(clips: Sequence[AnsweredClip], *, made_at: datetime) -> Dataset:
    """Return the report of one study: the answers of one model for its clips.

    The same answers give the same SOP Instance UID and, but for the date, the same content.

    Args:
        clips: The clips of the study, as `group_by_study` gives them.
        made_at: When the answers were given, local time.

    Returns:
        The report, with file meta information; it holds the patient and study identifiers of the first clip.

    Raises:
        ConfigError: highdicom is not installed, or the clips are of two studies or two models.

    Examples:
        >>> from datetime import datetime
        >>> answer_report([], made_at=datetime(2026, 1, 2))
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: a report needs the clips of one study
    """
    model, first = model_of_study(clips), clips[0].header if clips else Dataset()
    with quiet_highdicom():
        from highdicom.sr import ComprehensiveSR, MeasurementReport, ObservationContext

        images = [evidence(clip.header) for clip in clips]
        content = MeasurementReport(
            ObservationContext(observer_device_context=model_observer(model)),
            concept(ECHOCARDIOGRAPHY),
            [_group(clip, model) for clip in clips],
            referenced_images=images,
        )
        report = ComprehensiveSR(
            images,
            content[0],
            **document_arguments(
                model, first, series="report series", number=SERIES_NUMBER, instance=report_uid(clips)
            ),
            series_description=_description(model),
            is_complete=True,
        )
        return finish_document(report, first, made_at)


def report_uid(clips: Sequence[AnsweredClip]) -> str:
    """Return the SOP Instance UID of the report of one study.

    Args:
        clips: The clips of the study.

    Raises:
        ConfigError: the clips are of two studies or two models.

    Examples:
        >>> report_uid([])
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: a report needs the clips of one study
    """
    model = model_of_study(clips)
    answers = sorted(answer_parts(clip.instance, clip.answer) for clip in clips)
    return derived_uid("report", study_parts(clips[0].header), model_parts(model), model.version, answers)


def _description(model: ModelIdentity) -> str:
    """Return the series description: two models of one name differ in the hash."""
    name = model.name.replace("\\", "/")[:40]
    return f"Views by {name} {model.weights_sha256[:8]}"


def _group(clip: AnsweredClip, model: ModelIdentity) -> MeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        AlgorithmIdentification,
        MeasurementsAndQualitativeEvaluations,
        RelationshipTypeValues,
        SourceImageForMeasurementGroup,
        TextContentItem,
        TrackingIdentifier,
    )

    tracking = derived_uid("clip", clip.instance)
    reference = evidence(clip.header)
    group = MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(uid=tracking, identifier=f"clip {tracking[-8:]}"),
        algorithm_id=AlgorithmIdentification(model.name[:64], model.version[:64], parameters=_parameters(model)),
        measurements=list(_certainties(clip.answer)),
        qualitative_evaluations=list(_evaluations(clip.answer)),
        source_images=[SourceImageForMeasurementGroup(reference.SOPClassUID, reference.SOPInstanceUID)],
    )
    comment = TextContentItem(concept(COMMENT), clip.answer.sentence, RelationshipTypeValues.CONTAINS)
    group[0].ContentSequence.append(comment)
    return group


def _parameters(model: ModelIdentity) -> list[str]:
    hashes = {
        "weights": model.weights_sha256, "scope": model.scope_sha256, "split": model.split_sha256,
        "certificate": model.certificate_sha256,
    }  # fmt: skip
    return [f"{name} sha256 {value or 'none'}" for name, value in hashes.items()]


def _evaluations(answer: ClipAnswer) -> Iterator[QualitativeEvaluation]:
    from highdicom.sr import QualitativeEvaluation

    def evaluation(name: Triple, value: Triple) -> QualitativeEvaluation:
        return QualitativeEvaluation(concept(name), concept(value))

    yield evaluation(ANSWER_OF_MODEL, STATUSES[answer.status])
    name = IMAGE_VIEW if answer.status == AnswerStatus.ANSWERED else POSSIBLE_VIEW
    for view in answer.views:
        yield evaluation(name, view_code(view))
    if answer.reason is not None:
        yield evaluation(REASON, REASONS[answer.reason])


def _certainties(answer: ClipAnswer) -> Iterator[Measurement]:
    from highdicom.sr import CodeContentItem, Measurement, RelationshipTypeValues
    from pydicom.sr.codedict import codes

    for view in answer.views:
        percent = round(100 * answer.probabilities[view], 4)
        measurement = Measurement(concept(CERTAINTY), percent, codes.UCUM.Percent)
        modifier = CodeContentItem(
            concept(IMAGE_VIEW), concept(view_code(view)), RelationshipTypeValues.HAS_CONCEPT_MOD
        )
        item = measurement[0]
        item.ContentSequence = [*item.get("ContentSequence", []), modifier]
        yield measurement
