"""Files of results: private, written once, and named without identity."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from heart2heart.dicom_results.answer_report import answer_report, report_uid
from heart2heart.dicom_results.result_files import REPORT, open_result_folder, result_path, write_result
from heart2heart.errors import ConfigError
from tests.dicom_results.samples import MADE_AT, study_clips


def test_write_result_keeps_the_file_that_is_there(tmp_path: Path) -> None:
    clips = study_clips(tmp_path / "in")
    path = result_path(tmp_path / "out", REPORT, report_uid(clips))
    open_result_folder(path.parent)
    write_result(answer_report(clips, made_at=MADE_AT), path)
    before = path.read_bytes()
    write_result(answer_report(clips, made_at=MADE_AT.replace(year=2030)), path)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "1.2.98" not in path.name


def test_open_result_folder_refuses_a_store_and_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "store.json").touch()
    with pytest.raises(ConfigError, match="inside a frame store"):
        open_result_folder(tmp_path / "results")
    (tmp_path / "store.json").unlink()
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        open_result_folder(tmp_path / "open")
