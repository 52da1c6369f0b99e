"""Every opening of the test frames is written down, and earlier ones are told."""

from pathlib import Path

import pytest

from heart2heart.errors import SplitError
from heart2heart.splits.access_log import ACCESS_LOG_FILE, AccessEntry, read_test_accesses, record_test_accesses


def opening(run: str, config: str) -> AccessEntry:
    return AccessEntry(when="2031-01-01T00:00:00+00:00", run=run, config_sha256=config, code_version="0")


def test_the_log_grows_and_tells_of_other_configurations(tmp_path: Path) -> None:
    assert read_test_accesses(tmp_path) == []
    first = record_test_accesses(tmp_path, [opening("a-0", "a"), opening("b-0", "b")])
    assert first.status == "pass"
    assert record_test_accesses(tmp_path, [opening("a-0", "a"), opening("b-0", "b")]).status == "pass"
    later = record_test_accesses(tmp_path, [opening("c-0", "c")])
    assert later.status == "warn"
    assert "by runs of 2 other configurations" in later.detail
    assert [found.run for found in read_test_accesses(tmp_path)] == ["a-0", "b-0", "a-0", "b-0", "c-0"]


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    missing = tmp_path / "no such folder"
    assert "not logged" in record_test_accesses(missing, [opening("a", "a")]).detail


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / ACCESS_LOG_FILE).write_text("{no json\n")
    with pytest.raises(SplitError, match="damaged"):
        read_test_accesses(tmp_path)
    (tmp_path / ACCESS_LOG_FILE).write_text('{"run": "a"}\n')
    with pytest.raises(SplitError, match="damaged"):
        read_test_accesses(tmp_path)
