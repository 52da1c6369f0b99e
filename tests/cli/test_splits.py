"""The verbs that make several splits in one line, and the one that certifies splits that exist."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import ConfigError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.splits.manifest import SplitManifest
from heart2heart.testing.stores import random_store

VIEWS = ("PLAX", "PSAX", "A4C", "A2C")


@pytest.fixture
def common(tmp_path: Path) -> list[str]:
    store = random_store(tmp_path / "store", frames_each=1)
    book = LabelStore(tmp_path / "labels.db")
    clips = [clip for clip in store.clips["clip"].to_pylist() if int(clip[4:6]) < 4]
    book.append([LabelEvent(clip, "", VIEWS[int(clip[4:6])], "r1", "", "test") for clip in clips])
    return ["--store", str(store.root), "--labels", str(book.path)]


def test_split_makes_folds_or_leaves_one_out_in_one_line(tmp_path: Path, common: list[str]) -> None:
    done = CliRunner().invoke(app, ["split", str(tmp_path / "f"), *common, "--source", "A", "--folds", "3"])
    assert done.exit_code == 0, done.output
    assert [p.name for p in sorted((tmp_path / "f").iterdir())] == ["fold0", "fold1", "fold2"]
    assert done.output.count("frozen and certified") == 3
    done = CliRunner().invoke(app, ["split", str(tmp_path / "l"), *common, "--leave-one-out"])
    assert done.exit_code == 0, done.output
    assert SplitManifest.load(tmp_path / "l" / "A").source_sites == ("B",)
    assert SplitManifest.load(tmp_path / "l" / "B").held_out_sites == ("B",)


def test_split_refuses_folds_with_leave_one_out(tmp_path: Path, common: list[str]) -> None:
    done = CliRunner().invoke(app, ["split", str(tmp_path / "x"), *common, "--leave-one-out", "--folds", "3"])
    assert isinstance(done.exception, ConfigError)
    assert not (tmp_path / "x").exists()


def test_certify_writes_the_certificate_of_a_split_that_exists(tmp_path: Path, common: list[str]) -> None:
    CliRunner().invoke(app, ["split", str(tmp_path / "s"), *common, "--source", "A"])
    certificate = tmp_path / "s" / "certificate.json"
    before = certificate.read_text()
    certificate.unlink()
    done = CliRunner().invoke(app, ["certify", str(tmp_path / "s"), *common[:2]])
    assert done.exit_code == 0, done.output
    assert certificate.read_text() == before
