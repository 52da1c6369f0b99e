"""The verbs of labeling: raters, and what `curate` refuses before it serves."""

import sqlite3
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import ConfigError, ExistsError, LabelError, MissingInputError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.testing.stores import random_store


def _run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_raters_are_added_listed_and_removed(tmp_path: Path) -> None:
    file = str(tmp_path / "raters.json")
    token = _run("raters", "add", "Reader 1", "--raters", file).strip()
    _run("raters", "add", "Judge", "--raters", file, "--adjudicator", "--days", "7")
    assert len(token) >= 43  # 32 bytes
    shown = _run("raters", "show", "--raters", file)
    assert ("Reader 1" in shown, "Judge" in shown, token in shown) == (True, True, False)
    with pytest.raises(ExistsError, match="a rater of this name"):
        _run("raters", "add", "Judge", "--raters", file)
    _run("raters", "remove", "Judge", "--raters", file)
    assert "Judge" not in _run("raters", "show", "--raters", file)


def test_what_curate_refuses_before_it_serves(tmp_path: Path) -> None:
    store = str(random_store(tmp_path / "store", patients=1).root)
    labels = tmp_path / "labels.db"
    serve = ("curate", store, "--labels", str(labels), "--port", "0")
    with pytest.raises(ConfigError, match="each rater needs a token: give --raters"):
        _run(*serve, "--bind", "0.0.0.0")
    with pytest.raises(MissingInputError, match="no file of raters here"):
        _run(*serve, "--raters", str(tmp_path / "none.json"))
    with pytest.raises(MissingInputError, match="no queue here"):
        _run(*serve, "--queue", str(tmp_path / "none.csv"))
    (tmp_path / "other.csv").write_text("clip,why\nfar,w\n")
    with pytest.raises(MissingInputError, match=r"no clip of this queue is in these stores.*Name the stores that it"):
        _run(*serve, "--queue", str(tmp_path / "other.csv"))
    with pytest.raises(MissingInputError, match="no frame store here"):
        _run("curate", str(tmp_path / "nothing"), "--labels", str(labels))
    assert not labels.exists()
    LabelStore(labels).append([LabelEvent("c", "", "A4C", "r", "", "t")])
    with sqlite3.connect(labels) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LabelError, match="newer version"):
        _run(*serve)


def test_a_missing_library_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = str(random_store(tmp_path / "store", patients=1).root)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "heart2heart.annotate.server", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'heart2heart\[curate\]'"):
        _run("curate", store, "--labels", str(tmp_path / "labels.db"))
