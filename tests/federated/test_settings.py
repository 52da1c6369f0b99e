"""Settings of a site: paths are relative to the file, and only the site names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.federated.settings import SETTINGS_VARIABLE, read_settings


def test_read_settings_takes_paths_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("model: runs/one\nsite: E\nstore: [store, /data/more]\nlabels: labels.db\n")
    settings = read_settings(file)
    assert settings.model == str(tmp_path / "runs/one")
    assert settings.store == (str(tmp_path / "store"), "/data/more")
    assert (settings.labels, settings.split) == (str(tmp_path / "labels.db"), None)
    monkeypatch.setenv(SETTINGS_VARIABLE, str(file))
    assert read_settings(None) == settings


def test_read_settings_refuses_a_missing_file_and_an_unknown_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SETTINGS_VARIABLE, raising=False)
    with pytest.raises(MissingInputError, match="this site has no settings"):
        read_settings(None)
    with pytest.raises(MissingInputError):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("model: a.csv\nsite: E\nsend: rows\n")
    with pytest.raises(ConfigError, match="send: unknown key"):
        read_settings(tmp_path / "bad.yaml")
