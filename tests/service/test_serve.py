"""Models and settings that `serve` refuses before it takes a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from heart2heart.api.service import serve
from heart2heart.cli import app
from heart2heart.errors import ConfigError, MissingInputError, ModelError
from heart2heart.utils import write_json


def config(folder: Path, **changes: Any) -> Path:
    path = folder / "service.yaml"
    models = [{"name": "one", "path": str(folder / "model")}]
    path.write_text(yaml.safe_dump({"folder": str(folder / "service"), "models": models} | changes))
    return path


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"kind": "heart2heart model", "schema_version": 99, "version": "9.9"}, r"'9\.9'.*\(model:other_version\)"),
        ({"kind": "heart2heart model", "schema_version": 1, "name": 3}, r"manifest is damaged.*\(model:changed\)"),
        ({"kind": "weights"}, r"no manifest of a model"),
    ],
    ids=["other_version", "changed", "other"],
)
def test_serve_refuses_models_of_another_version_or_changed(manifest: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write_json(tmp_path / "model" / "manifest.json", manifest)
    with pytest.raises(ModelError, match=message):
        serve(config(tmp_path))
    assert not (tmp_path / "service").exists()


def test_serve_refuses_missing_models_and_impossible_settings(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        serve(config(tmp_path))
    with pytest.raises(ConfigError, match=r"web: beyond loopback callers need a token"):
        serve(config(tmp_path, web={"bind": "0.0.0.0"}))
    with pytest.raises(ConfigError, match="unknown key"):
        serve(config(tmp_path, model="x"))
    result = CliRunner().invoke(app, ["serve", str(config(tmp_path)), "workers=-1"])
    assert isinstance(result.exception, ConfigError)
    assert "workers" in str(result.exception)
