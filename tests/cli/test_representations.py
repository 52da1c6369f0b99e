"""`pretrain`, `embed`, `similar` and `fewshot` on the command line, and their errors."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.api import few_shot_trial
from heart2heart.cli import app
from heart2heart.errors import ConfigError, Heart2HeartError, LabelError, MissingInputError
from heart2heart.representation.few_shot_trial import TrialScore
from heart2heart.store.frame_store import FrameStores
from heart2heart.testing.tiny import TinyStore, tiny_store

NETWORK = "network.options={depth: 10, widen: 1, blocks: 2}"
QUICK = [NETWORK, "steps=2", "pairs=8", "device=cpu", "method.params={hidden: 8, output: 8}"]


def run(*arguments: object) -> str:
    """Run one command and return what it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyStore, Path]:
    """A store, an encoder pretrained on it, its vectors, and a table with a label for every clip that shows a view."""
    folder = tmp_path_factory.mktemp("cli")
    store = tiny_store(folder / "tiny")
    command = ["pretrain", "simclr", "--store", store.store, "--split", store.split, "--out", folder / "pretrained"]
    assert "SimCLR on 180 frames of 15 patients" in run(*command, *QUICK)
    vectors = folder / "vectors.parquet"
    shown = run("embed", folder / "pretrained", "--store", store.store, "--out", vectors)
    assert shown.strip().endswith("115 clip vectors, 23 study vectors")
    clips = FrameStores.open([store.store]).clips["clip"].to_pylist()
    lines = [f"{clip},{clip[-2:]}" for clip in clips if not clip.endswith("x")]
    (folder / "labels.csv").write_text("\n".join(["clip,truth", *lines]))
    return store, folder


def test_similar_shows_neighbours_pairs_and_odd_ones(study: tuple[TinyStore, Path]) -> None:
    vectors = study[1] / "vectors.parquet"
    lines = run("similar", "c000v0", "--in", vectors, "--nearest", 3, "--other-patients").splitlines()
    assert len(lines) == 5
    assert not [line for line in lines if line.startswith("c000")]
    assert len(run("similar", "--in", vectors, "--odd", 2).splitlines()) == 4
    pairs = run("similar", "--in", vectors, "--duplicates", 0.9).splitlines()
    assert pairs[0].split()[:2] == ["first", "second"]
    assert len(pairs) > 3


def test_fewshot_answers_every_clip_without_a_label(study: tuple[TinyStore, Path], tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text(
        "clip,truth\n" + "\n".join(f"c00{patient}v{view},v{view}" for patient in (0, 1) for view in range(4))
    )
    command = ["fewshot", study[1] / "vectors.parquet", "--labels", few, "--site", "A", "--setting", "steps=20"]
    shown = run(*command, "--out", tmp_path / "views.csv")
    assert "97 clips from 8 labels" in shown
    two = run(*command, "--out", tmp_path / "two.csv", "--view", "v0", "--view", "v3")
    assert "101 clips from 4 labels" in two
    with (tmp_path / "views.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 97
    assert {row["site"] for row in rows} == {"A"}
    named = [row for row in rows if not row["clip"].endswith("x")]
    assert sum(row["view"] == row["clip"][-2:] for row in named) > 0.7 * len(named)
    assert all(float(row["probability"]) == max(float(row[f"v{view}"]) for view in range(4)) for row in rows)


def test_fewshot_measures_every_method_on_the_same_labels(study: tuple[TinyStore, Path]) -> None:
    folder = study[1]
    command = ["fewshot", folder / "vectors.parquet", "--labels", folder / "labels.csv", "--shots", "1,2", "--draws", 2]
    lines = run(*command, "--setting", "steps=5").splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["1", "1", "2", "2"]
    assert [line.split()[1] for line in lines[2:]] == ["class", "TIM", "class", "TIM"]


def test_few_shot_trial_tunes_the_encoder_on_the_same_labels(study: tuple[TinyStore, Path]) -> None:
    store, folder = study
    files = (folder / "vectors.parquet", folder / "labels.csv")

    def trial() -> list[TrialScore]:
        return few_shot_trial(
            *files, shots=[3], draws=1, settings={"steps": 5}, fine_tune=folder / "pretrained", stores=store.store,
            tuning={"steps": 60},
        )  # fmt: skip

    scores = trial()
    assert [score.method for score in scores] == ["class means", "TIM", "fine-tuning"]
    assert scores[2].balanced_accuracy > 0.6
    assert trial() == scores
    with pytest.raises(ConfigError, match="needs the frames"):
        few_shot_trial(*files, fine_tune=folder / "pretrained")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["similar", "--in", "VECTORS"], ConfigError, "give one of: a clip, --duplicates, --odd"),
        (["similar", "c9", "--in", "VECTORS"], Heart2HeartError, "no clip 'c9'"),
        (["similar", "LABELS", "--in", "VECTORS"], ConfigError, "encoder of the embeddings is needed"),
        (["similar", "c000v0", "--in", "VECTORS", "--nearest", "0"], ConfigError, "0 clips cannot be shown"),
        (["fewshot", "VECTORS", "--labels", "LABELS"], ConfigError, "give either --out or --shots"),
        (["fewshot", "VECTORS", "--labels", "LABELS", "--shots", "0"], ConfigError, "no list of labels"),
        (["fewshot", "VECTORS", "--labels", "LABELS", "--shots", "90"], LabelError, "fewer than 90 shots"),
        (["fewshot", "VECTORS", "--labels", "LABELS", "--site", "Z", "--shots", "1"], ConfigError, "There are: A, B"),
        (["fewshot", "VECTORS", "--labels", "LABELS", "--view", "v9", "--shots", "1"], LabelError, "labeled v9"),
        (["embed", "nowhere", "--store", "STORE", "--out", "OUT"], MissingInputError, "training run"),
        (["pretrain", "dino", "--store", "STORE", "--out", "OUT"], MissingInputError, "no pretraining method"),
        (["pretrain", "byol", "--out", "OUT"], ConfigError, "no frame store is named"),
        (["pretrain", "byol", "--store", "STORE", "--out", "OUT", "layer=x", NETWORK], ConfigError, "no layer 'x'"),
    ],
)
def test_representations_refuse_what_cannot_work(
    arguments: list[str], error: type[Exception], message: str, study: tuple[TinyStore, Path], tmp_path: Path
) -> None:
    files = {
        "VECTORS": study[1] / "vectors.parquet", "LABELS": study[1] / "labels.csv", "STORE": study[0].store,
        "OUT": tmp_path / "out",
    }  # fmt: skip
    result = CliRunner().invoke(app, [str(files.get(word, word)) for word in arguments])
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()
