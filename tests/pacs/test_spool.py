"""The landing folder: closed to others, outside stores, without identity in names."""

import logging
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError
from heart2heart.ingest.source_files import find_files
from heart2heart.pacs.connection import is_loopback, require_extra, silence_network_logs
from heart2heart.pacs.spool import Spool


def test_path_is_keyed_and_ignores_padding(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "a", tmp_path / "k") as one, Spool.open(tmp_path / "b", tmp_path / "k2") as two:
        assert one.path("1.2.3").name == one.path("1.2.3\0").name != one.path("1.2.4").name
        assert one.path("1.2.3").name != two.path("1.2.3").name
        assert len(one.path("1.2.3").stem) == 32


def test_open_refuses_unsafe_folders(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").touch()
    inside = tmp_path / "store" / "deep" / "l"
    with pytest.raises(ConfigError, match="inside a frame store"), Spool.open(inside, tmp_path / "k"):
        pass
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"), Spool.open(tmp_path / "open", tmp_path / "k"):
        pass
    with pytest.raises(ConfigError, match="lies inside"), Spool.open(tmp_path / "l", tmp_path / "l" / "k"):
        pass


def test_open_writer_writes_no_file_that_ingest_sees(tmp_path: Path) -> None:
    with Spool.open(tmp_path / "l", tmp_path / "k") as landing:
        landing.store("1.2", b"whole")
        with landing.open_writer(landing.path("1.3")) as handle:
            handle.write(b"half")
            assert find_files([tmp_path / "l"]) == [landing.path("1.2")]


def test_silence_network_logs_and_give_them_back(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("urllib3.connectionpool")
    with silence_network_logs():
        log.warning("address with a UID")
    assert caplog.records == []
    log.warning("speaks again")
    assert len(caplog.records) == 1


def test_require_extra_and_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.5", "::1", "localhost", "0.0.0.0", "pacs.example")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"heart2heart\[network\]"), require_extra("thing"):
        raise ModuleNotFoundError("thing")
