"""`heart2heart review` for scripts: lists, clears, hides, undoes; counts where a store is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.api.review import list_reviews, review_clips, review_sentence, text_areas
from heart2heart.cli import app, main
from heart2heart.errors import ConfigError, UnknownNameError
from heart2heart.schema.review import REVIEW_FILE
from heart2heart.testing.stores import random_store

FIRST, SECOND, PLAIN = (f"a0000{index}".ljust(16, "0") for index in range(3))
FLAGS = {FIRST: ["text_suspected"], SECOND: ["text_suspected", "text_quarantined"]}
BY = ["--by", "Reader 1", "--reason", "looked at it"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return random_store(tmp_path / "store", sites=["A"], patients=1, flags=FLAGS).root


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_review_lists_clears_hides_and_undoes(root: Path) -> None:
    text = run("review", root, "--list")
    assert text.count("waiting") == 2
    assert f"2 clips wait for review (1 in quarantine), 0 cleared, 0 hidden: heart2heart review {root}" in text
    assert "2 clips wait for review" in run("store", "show", root)
    text = run("review", root, "--clear", FIRST, "--hide", PLAIN, *BY)
    assert "1 clip waits for review (1 in quarantine), 1 cleared, 1 hidden" in text
    states = [(each.clip, each.state, each.quarantined) for each in list_reviews(root)]
    assert states == [(SECOND, "waiting", True), (FIRST, "cleared", False), (PLAIN, "hidden", False)]
    assert "2 clips wait for review" in run("review", root, "--undo", FIRST, *BY)
    assert "0 clips wait" in run("review", root, "--clear", FIRST, "--clear", SECOND, *BY)


def test_review_says_where_nothing_waits(tmp_path: Path) -> None:
    root = random_store(tmp_path / "store", sites=["A"], patients=1).root
    assert "no clip waits for review" in run("review", root, "--list")
    assert review_sentence(root) == ""
    assert "for review" not in run("store", "show", root)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the page needs your name"),
        (["--clear", FIRST], "a decision needs a name and a reason"),
        (["--clear", FIRST, "--by", "Reader 1"], "a decision needs a name and a reason"),
        (["--clear", "zzz", *BY], "no clip 'zzz' in this store"),
        (["--undo", FIRST, *BY], "no decision on this clip"),
        (["--by", " "], "1 to 60 printable characters"),
    ],
    ids=["name", "both", "reason", "clip", "undo", "blank"],
)
def test_review_refuses_with_exit_code_2(
    root: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["heart2heart", "review", str(root), *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["review", "--list"], ["store", "show"]], ids=["review", "store"])
def test_review_file_that_was_changed_is_an_error_everywhere(
    root: Path, verb: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    review_clips(root, [FIRST], "hidden", by="Reader 1", reason="a name")
    path = root / REVIEW_FILE
    path.write_text(path.read_text().replace("hidden", "cleared"))
    monkeypatch.setattr("sys.argv", ["heart2heart", *verb, str(root)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert "this line of the file of reviews was changed" in captured.err
    assert FIRST not in captured.out


def test_review_clips_refuses_another_decision(root: Path) -> None:
    with pytest.raises(UnknownNameError, match="cleared, hidden, undone"):
        review_clips(root, [FIRST], "shown", by="Reader 1", reason="r")
    with pytest.raises(ConfigError):
        review_clips(root, [FIRST], "cleared", by="Reader 1", reason="")


def test_text_areas_are_boxes_around_letters() -> None:
    import numpy as np
    from PIL import Image, ImageDraw

    image = Image.new("L", (224, 224), 20)
    ImageDraw.Draw(image).text((20, 100), "DOE JOHN 1950-01-01", fill=255, font_size=20)
    boxes = text_areas(np.array(image, np.uint8)[None])
    assert boxes
    assert min(box[0] for box in boxes) <= 24
    assert all(90 <= (top + bottom) / 2 <= 130 for _, top, _, bottom in boxes)
    assert text_areas(np.full((1, 224, 224), 20, np.uint8)) == []
