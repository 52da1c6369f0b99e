"""The verb rotate-key."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import MissingInputError
from tests.ingest.archive_kit import make_archive, run


def test_rotate_key_prints_what_has_new_names(tmp_path: Path) -> None:
    run(make_archive(tmp_path / "in"), tmp_path / "store")
    before = (tmp_path / "store.key").read_text()
    done = CliRunner().invoke(app, ["rotate-key", str(tmp_path / "store")])
    assert "2 patients and 6 clips of a have new names" in done.output
    assert (tmp_path / "store.key").read_text().startswith(before)
    refused = CliRunner().invoke(app, ["rotate-key", str(tmp_path / "store"), "--key", str(tmp_path / "none")])
    assert isinstance(refused.exception, MissingInputError)
