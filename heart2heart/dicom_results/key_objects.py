"""The chosen clips of a study as a Key Object Selection document (TID 2010), titled "Of Interest" (113000, DCM)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydicom import Dataset

from heart2heart.dicom_results.answered_clip import AnsweredClip
from heart2heart.dicom_results.codes import OF_INTEREST, concept, view_code
from heart2heart.dicom_results.derived_uid import derived_uid, model_parts
from heart2heart.dicom_results.document import (
    document_arguments,
    evidence,
    finish_document,
    model_observer,
    model_of_study,
    quiet_highdicom,
    study_parts,
)

SERIES_NUMBER = 9002
"""Series number of key object selections."""


def key_object_selection(clips: Sequence[AnsweredClip], *, made_at: datetime) -> Dataset:
    """Return the document that names the best clip of each view of one study, in the order of `clips`.

    The same clips give the same SOP Instance UID and, but for the date, the same content.

    Args:
        clips: The chosen clips, one a view.
        made_at: When they were chosen, local time.

    Returns:
        The document, with file meta information; it holds the patient and study identifiers of the first clip.

    Raises:
        ConfigError: highdicom is not installed, or the clips are of two studies or two models.

    Examples:
        >>> from datetime import datetime
        >>> key_object_selection([], made_at=datetime(2026, 1, 2))
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: a report needs the clips of one study
    """
    model = model_of_study(clips)
    first = clips[0].header
    views = [clip.answer.views[0] if clip.answer.views else "" for clip in clips]
    titles = ", ".join(f"{rank}: {view_code(view)[2]}" for rank, view in enumerate(views, start=1))
    with quiet_highdicom():
        from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument

        images = [evidence(clip.header) for clip in clips]
        content = KeyObjectSelection(
            concept(OF_INTEREST),
            images,
            observer_device_context=model_observer(model),
            description=f"Best clip of each view, chosen by a model. {titles}",
        )
        instances = [[clip.instance, view] for clip, view in zip(clips, views, strict=True)]
        document = KeyObjectSelectionDocument(
            images,
            content,
            **document_arguments(
                model,
                first,
                series="key object series",
                number=SERIES_NUMBER,
                instance=derived_uid("key objects", study_parts(first), model_parts(model), instances),
            ),
            series_description="Best clip of each view",
        )
        return finish_document(document, first, made_at)
