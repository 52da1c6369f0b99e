from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from heart2heart.dicom.header_values import silence_warnings
from heart2heart.errors import ConfigError, ExistsError
from heart2heart.ingest.deidentify_files import deidentify_files
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.store.frame_store import FrameStore
from tests.dicom.build import encoded, speckle_frames, write
from tests.ingest.archive_kit import make_archive
from tests.ingest.test_planted_identity import DATES, MARK, UID, every_byte, planted


def test_deidentify_files_gives_every_file_a_code_and_copies_clips(tmp_path: Path) -> None:
    root, out, key = make_archive(tmp_path / "archive"), tmp_path / "out", tmp_path / "key"
    done = deidentify_files([root], out=out, key=key, site="a")
    assert done.codes["accepted"] == done.copies == 6
    assert (done.codes["excluded:duplicate"], done.codes["failed:empty"]) == (1, 1)
    before = every_byte(out)
    again = deidentify_files([root], out=out, key=key, site="a", workers=2)
    assert again == done
    assert len(every_byte(out)) == len(before)
    patients = {path.parent.name for path in out.glob("*/*.dcm")}
    assert {str(dcmread(path).PatientID) for path in out.glob("*/*.dcm")} == patients
    assert len(patients) == 2


def test_deidentify_files_copies_nothing_planted(tmp_path: Path) -> None:
    root = tmp_path / f"{MARK} archive"
    root.mkdir()
    with silence_warnings():
        for index in range(2):
            header = planted(index)
            for name in ("FrameTime", "CineRate"):  # numbers by their type, names in these files
                header.add_new(name, "CS", MARK)
            header.PatientSex = "F"
            (root / f"{MARK}{index}").write_bytes(encoded(header))
    out = tmp_path / "out"
    assert deidentify_files([root], out=out, key=tmp_path / "key", site="a").codes == {"accepted": 2}
    left = every_byte(out)
    for secret in (MARK, UID, *DATES):
        for form in (secret.encode(), secret.lower().encode(), secret.encode("utf-16-le")):
            assert form not in left, "a planted identity got through"


def test_deidentify_files_uses_the_pseudonyms_of_ingest(tmp_path: Path) -> None:
    root, key, store = make_archive(tmp_path / "archive"), tmp_path / "key", tmp_path / "store"
    ingest([root], site="a", store=store, key=key, settings=IngestSettings(size=32, frames="even:1"))
    deidentify_files([root], out=tmp_path / "out", key=key, site="a")
    clips = FrameStore.open(store).all_clips.select(["instance", "patient", "study", "date"]).to_pylist()
    known = {row["instance"]: (row["patient"], row["study"], row["date"].strftime("%Y%m%d")) for row in clips}
    for path in (tmp_path / "out").glob("*/*.dcm"):
        copy = dcmread(path)
        assert known[copy.SOPInstanceUID] == (copy.PatientID, copy.StudyInstanceUID, copy.StudyDate)


def test_deidentify_files_keeps_one_key_and_one_option_for_a_folder(tmp_path: Path) -> None:
    root = write(tmp_path / "in" / "clip", speckle_frames(2)).parent
    deidentify_files([root], out=tmp_path / "out", key=tmp_path / "key", site="a")
    with pytest.raises(ConfigError, match="another key"):
        deidentify_files([root], out=tmp_path / "out", key=tmp_path / "key", site="a", text="refuse")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(ExistsError):
        deidentify_files([root], out=tmp_path / "full", key=tmp_path / "key", site="a")
    with pytest.raises(ConfigError, match="inside"):
        deidentify_files([root], out=tmp_path / "new", key=tmp_path / "new" / "key", site="a")
