"""The verbs of labeling: a queue by every method on a trained run; raters; what `curate` refuses before it serves."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from heart2heart.active_learning.strategies import STRATEGIES
from heart2heart.annotate.server import AnnotationServer
from heart2heart.annotate.suggestions import read_queue
from heart2heart.cli import app
from heart2heart.cli.labeling import queue as verb
from heart2heart.errors import (
    ConfigError,
    ExistsError,
    LabelError,
    MissingInputError,
    RunError,
    UnknownNameError,
    UnwritableError,
)
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.stores import random_store
from heart2heart.testing.tiny import TinyStore, tiny_store
from heart2heart.training.train import train

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyStore, Path]:
    folder = tmp_path_factory.mktemp("queue")
    tiny = tiny_store(folder / "world")
    train(tiny.config(steps=4, evaluate_every=2), folder / "run")
    return tiny, folder / "run"


@pytest.fixture(scope="module")
def book(trained: tuple[TinyStore, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    clips = sorted(FrameStore.open(trained[0].store).clips["clip"].to_pylist())[:12]
    path = tmp_path_factory.mktemp("book") / "labels.db"
    events = [LabelEvent(clip, "", SCORED_VIEWS[index % 4], "reader", "", "page") for index, clip in enumerate(clips)]
    LabelStore(path).append(events)
    return path


def _run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_queue_of_every_method_is_read_by_the_page(trained: tuple[TinyStore, Path], book: Path, tmp_path: Path) -> None:
    tiny, run = trained
    read = {event.clip for event in LabelStore(book).events()}
    for by in STRATEGIES:
        out = tmp_path / f"{by}.parquet"
        words = ("--run", run, "--labels", book, "--budget", "6", "--by", by, "--spread", "--out", out)
        shown = _run("queue", tiny.store, *words)
        queue = read_queue(out)
        assert f"{out}: 6 of " in shown
        assert "12 were labeled already" in shown
        assert len(queue) == 6
        assert not set(queue) & read
        table = pq.read_table(out)
        assert table["method"].to_pylist() == [by] * 6
        _run("queue", tiny.store, *words)
        assert pq.read_table(out).equals(table)


def test_queue_prints_its_cost(trained: tuple[TinyStore, Path], tmp_path: Path) -> None:
    tiny, _ = trained
    clips = FrameStore.open(tiny.store).clips["clip"].to_pylist()
    (tmp_path / "costs.csv").write_text("clip,cost\n" + "".join(f"{clip},2.5\n" for clip in clips))
    words = ("--by", "random", "--cost", tmp_path / "costs.csv", "--out", tmp_path / "queue.csv")
    assert "patients, cost 10.0 in all; 0 were labeled already" in _run("queue", tiny.store, "--budget", "4", *words)
    assert "2 of " in _run("queue", tiny.store, "--budget", "4", "--spend", "6", *words)


def test_queue_refuses_what_does_not_fit(trained: tuple[TinyStore, Path], tmp_path: Path) -> None:
    tiny, run = trained
    out, options = tmp_path / "queue.csv", ("--budget", "2", "--by", "random", "--out")
    with pytest.raises(UnknownNameError, match=r"unknown method of the queue 'best'.*badge"):
        _run("queue", tiny.store, "--budget", "2", "--by", "best", "--out", out)
    with pytest.raises(ConfigError, match="a Parquet or a CSV file"):
        _run("queue", tiny.store, *options, tmp_path / "queue.txt")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UnwritableError, match="nothing can be written here"):
        _run("queue", tiny.store, *options, tmp_path / "file" / "queue.csv")
    with pytest.raises(ConfigError, match="frame rule"):
        _run("queue", tiny.store, *options, out, "--frames", "some")
    with pytest.raises(ConfigError, match="only the strategy tod"):
        _run("queue", tiny.store, *options, out, "--earlier", run)
    with pytest.raises(MissingInputError, match="no label store here"):
        _run("queue", tiny.store, *options, out, "--labels", tmp_path / "none.db")
    with pytest.raises(ConfigError, match=r"but only .* are left"):
        _run("queue", tiny.store, "--budget", "9999", "--by", "random", "--out", out)
    other = random_store(tmp_path / "other", sites=("A",), patients=1)
    folder = tmp_path / "unfinished"
    folder.mkdir()
    with pytest.raises(MissingInputError, match="no training run here"):
        _run("queue", other.root, "--budget", "2", "--by", "margin", "--run", folder, "--out", out)
    with pytest.raises((RunError, ConfigError)):
        _run("queue", other.root, "--budget", "2", "--by", "margin", "--out", out)
    assert not out.exists()


def test_queue_help_and_documentation_list_every_method() -> None:
    text = verb.__doc__ or ""
    listed = re.findall(r"^    (\w+): (.+)\.$", text, re.MULTILINE)
    assert listed == [(name, method.description) for name, method in STRATEGIES.items()]
    page = (DOCS / "queue.md").read_text(encoding="utf-8")
    table = page[page.index("| `--by` |") :].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(STRATEGIES)


def test_raters_add_show_and_remove(tmp_path: Path) -> None:
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


def test_curate_refuses_before_it_serves(tmp_path: Path) -> None:
    store = str(random_store(tmp_path / "store", patients=1).root)
    labels = tmp_path / "labels.db"
    serve = ("curate", store, "--labels", str(labels), "--port", "0")
    with pytest.raises(ConfigError, match="each rater needs a token: give --raters"):
        _run(*serve, "--bind", "0.0.0.0")
    with pytest.raises(MissingInputError, match="no file of raters here"):
        _run(*serve, "--raters", str(tmp_path / "none.json"))
    with pytest.raises(MissingInputError, match="no queue file here"):
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


def test_curate_names_a_missing_library_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = str(random_store(tmp_path / "store", patients=1).root)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in ("heart2heart.annotate.server", "heart2heart.annotate.page_server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'heart2heart\[curate\]'"):
        _run("curate", store, "--labels", str(tmp_path / "labels.db"))


def test_curate_counts_the_clips_that_wait_for_review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"a00000".ljust(16, "0"): ["text_suspected"]}
    store = random_store(tmp_path / "store", sites=["A"], patients=1, flags=flags).root

    def ready_and_closed(server: AnnotationServer, ready: Callable[[str], None]) -> None:
        ready(server.address)
        server.close()

    monkeypatch.setattr(AnnotationServer, "run", ready_and_closed)
    result = CliRunner().invoke(app, ["curate", str(store), "--labels", str(tmp_path / "labels.db"), "--port", "0"])
    assert "1 clip is not shown, for suspected text: run heart2heart review STORE" in result.stderr
