"""Key object selections, read by highdicom and dcmtk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from heart2heart.dicom_results.key_objects import key_object_selection
from heart2heart.dicom_results.result_files import write_result
from heart2heart.errors import ConfigError
from tests.dicom_results.samples import MADE_AT, NAME, study_clips, validator, with_answer


def test_key_object_selection_names_the_chosen_clips_in_their_order(tmp_path: Path) -> None:
    from highdicom.ko import KeyObjectSelectionDocument

    first, *_, last = study_clips(tmp_path)
    best = [with_answer(last, **{name: getattr(first.answer, name) for name in ("status", "views")}), first]
    write_result(key_object_selection(best, made_at=MADE_AT), tmp_path / "ko.dcm")
    document = KeyObjectSelectionDocument.from_dataset(dcmread(tmp_path / "ko.dcm"))
    title = document.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning) == ("113000", "DCM", "Of Interest")
    references = [item.referenced_sop_instance_uid for item in document.content.get_references()]
    assert references == [clip.instance for clip in best]
    assert document.resolve_reference(first.instance) == ("1.2.98.1", "1.2.97.1", first.instance)
    assert (str(document.PatientName), document.Modality, str(document.ContentDate)) == (NAME, "KO", "20260102")
    for program in ("dsrdump", "dciodvfy"):
        done = subprocess.run([validator(program), tmp_path / "ko.dcm"], capture_output=True, text=True, check=True)
        faults = [line for line in done.stderr.splitlines() if line.startswith(("Error", "E:"))]
        assert not [line for line in faults if "0x001c" not in line]  # Synthetic Data, newer than the program


def test_key_object_selection_has_a_uid_derived_from_its_clips(tmp_path: Path) -> None:
    clips = study_clips(tmp_path)
    one, again, fewer = (
        key_object_selection(chosen, made_at=MADE_AT).SOPInstanceUID for chosen in (clips, clips, clips[:2])
    )
    assert one == again != fewer
    with pytest.raises(ConfigError, match="one study"):
        key_object_selection([], made_at=MADE_AT)
