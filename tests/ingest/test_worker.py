"""What one file ends as, whatever its loader raises."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from heart2heart.deidentify.clip import KnownContentError, PreparedClip, load_clip
from heart2heart.errors import DicomError, NoSpaceError
from heart2heart.ingest.worker import file_outcome
from heart2heart.schema.status import StatusCode
from heart2heart.store.geometry import Geometry
from tests.dicom.build import write


def _load(path: Path) -> PreparedClip:
    return load_clip(path, geometry=Geometry(size=32))


def test_file_outcome_of_a_clip_is_accepted(tmp_path: Path) -> None:
    outcome = file_outcome(nullcontext(write(tmp_path / "x.dcm")), _load)
    assert outcome.code == StatusCode.ACCEPTED
    assert outcome.clip is not None
    assert outcome.manufacturer == "Philips"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DicomError("damaged", code=StatusCode.FAILED_DECODE), "failed:decode"),
        (KnownContentError("content"), "excluded:duplicate"),
        (MemoryError(), "failed:memory"),
        (ValueError("a name"), "failed:internal"),
        (OSError("a name"), "failed:internal"),
    ],
)
def test_file_outcome_of_a_fault_is_its_code(tmp_path: Path, error: Exception, code: str) -> None:
    def load(path: Path) -> PreparedClip:
        raise error

    assert file_outcome(nullcontext(tmp_path), load).code == code


def test_file_outcome_of_a_file_that_changes_meanwhile_is_unreadable(tmp_path: Path) -> None:
    def load(path: Path) -> PreparedClip:
        clip = _load(path)
        path.write_bytes(path.read_bytes() + b"\0")
        return clip

    assert file_outcome(nullcontext(write(tmp_path / "x.dcm")), load).code == "failed:unreadable"


def test_file_outcome_does_not_hide_a_full_disk(tmp_path: Path) -> None:
    def load(path: Path) -> PreparedClip:
        raise NoSpaceError("no space left on the disk")

    with pytest.raises(NoSpaceError):
        file_outcome(nullcontext(tmp_path), load)
