"""A taxonomy as a tree with counts, and the import of fine words."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.api import adopt_views, import_labels, merge_labels, show_views
from heart2heart.api.labels import read_label_file
from heart2heart.cli import app
from heart2heart.errors import ConfigError, LabelError
from heart2heart.labels.label_store import LabelStore
from heart2heart.testing.stores import random_store

CLIPS = [f"a0000{index}".ljust(16, "0") for index in range(4)]
WORDS = ("PSAX AoV", "Vierkammerblick", "ME bicaval", "parasternal short axis")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    rows = [f"{clip},{word}" for clip, word in zip(CLIPS, WORDS, strict=True)]
    path.write_text("\n".join(["clip,view", *rows, ""]), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return random_store(tmp_path / "store", sites=["A"], patients=1).root


def test_import_labels_adopts_a_taxonomy_and_knows_its_words(tmp_path: Path, store: Path, table: Path) -> None:
    book = LabelStore(tmp_path / "labels.db")
    with pytest.raises(LabelError, match="ME bicaval"):
        import_labels(table, book, store)
    assert not book.path.exists()
    read = read_label_file(table, store, views="usual")
    assert [use.view for use in read.word_uses] == ["A4C", "PSAX", "PSAX_AV", "TEE_BICAVAL"]
    import_labels(table, book, store, views="usual")
    assert [event.view for event in book.events()] == ["PSAX_AV", "A4C", "TEE_BICAVAL", "PSAX"]
    assert import_labels(table, book, store).new == 0, "the label store keeps its taxonomy"
    rows = {row.name: (row.labels, row.with_finer) for row in show_views(book).rows}
    assert (rows["PSAX"], rows["PSAX_AV"], rows["TEE"], rows["A2C"]) == ((1, 2), (1, 1), (0, 1), (0, 0))


def test_merge_labels_keeps_the_taxonomy(tmp_path: Path, store: Path, table: Path) -> None:
    book, other = tmp_path / "a.db", tmp_path / "b.db"
    import_labels(table, book, store, views="usual")
    LabelStore(other).append([])
    merge_labels([book, other], tmp_path / "both.db")
    assert show_views(tmp_path / "both.db").taxonomy.name == "usual"
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nextends: usual\nviews: {WARD: {title: Our own view}}\n", encoding="utf-8")
    adopt_views(other, own)
    with pytest.raises(LabelError, match="different taxonomies"):
        merge_labels([book, other], tmp_path / "third.db")
    assert not (tmp_path / "third.db").exists()


def test_labels_views_shows_the_tree_and_refuses_to_lose_labels(tmp_path: Path, store: Path, table: Path) -> None:
    book = tmp_path / "labels.db"
    import_labels(table, book, store, views="usual")
    shown = CliRunner().invoke(app, ["labels", "views", "--labels", str(book)])
    assert shown.exit_code == 0
    assert shown.stdout.startswith("usual: 32 views, hash ")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["PSAX_AV", "Short", "axis,", "aortic", "valve", "pa", "1", "1"] in lines
    with pytest.raises(LabelError, match=r"2 labels would be lost: PSAX_AV \(1\), TEE_BICAVAL \(1\)"):
        adopt_views(book, "basic")
    with pytest.raises(ConfigError):
        adopt_views(None, "usual")
    empty = CliRunner().invoke(app, ["labels", "views", "--views", "basic"])
    assert "basic: 12 views" in empty.stdout
