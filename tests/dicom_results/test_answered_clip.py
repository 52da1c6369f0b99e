"""Which files a report can refer to, and the studies they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heart2heart.dicom_results.answered_clip import group_by_study, read_clip_header
from heart2heart.errors import DicomError
from heart2heart.schema.status import StatusCode
from tests.dicom_results.samples import IDENTITY, answered, study_clips, write_clip
from tests.prediction.samples import answer


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, StatusCode.EXCLUDED_STRUCTURED_REPORT),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, StatusCode.EXCLUDED_NOT_ULTRASOUND),
        ({"StudyInstanceUID": ""}, StatusCode.FAILED_HEADER),
        ({"SeriesInstanceUID": None}, StatusCode.FAILED_HEADER),
    ],
)
def test_read_clip_header_refuses_what_no_report_can_refer_to(
    tags: dict[str, Any], code: StatusCode, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.dcm", 1, **tags)
    with pytest.raises(DicomError) as raised:
        read_clip_header(path)
    assert raised.value.code == code
    assert not any(word in str(raised.value).lower() for word in IDENTITY)


def test_group_by_study_counts_an_instance_once_and_sorts(tmp_path: Path) -> None:
    clips = study_clips(tmp_path)
    copy = answered(write_clip(tmp_path / "copy.dcm", 2), answer("again"))
    earlier = answered(write_clip(tmp_path / "early.dcm", 9, SeriesNumber=0), answer("early"))
    (second, *_) = study_clips(tmp_path, study=2)
    studies = group_by_study([second, *clips[::-1], copy, earlier])
    assert [[clip.answer.file for clip in study] for study in studies] == [
        ["early", "one", "set", "none", "cut"],
        ["one"],
    ]
    assert not any(word in repr(studies).lower() for word in IDENTITY)
