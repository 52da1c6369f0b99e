"""`heart2heart source`: from a folder to a store, a label store, a report and a frozen official split."""

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.datasets.catalogue import CATALOGUE
from heart2heart.errors import Heart2HeartError, MissingInputError
from heart2heart.labels.label_store import LabelStore
from heart2heart.splits.manifest import SplitManifest
from tests.datasets import miniature


@pytest.mark.parametrize("name", list(CATALOGUE))
@pytest.mark.parametrize("help_first", [True, False])
def test_source_help_of_a_data_set_names_address_and_licence(name: str, help_first: bool) -> None:
    words = ["--help", name] if help_first else [name, "--help"]
    done = CliRunner().invoke(app, ["source", *words], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"})
    assert done.exit_code == 0
    text = " ".join(done.output.split())
    assert CATALOGUE[name].url in text
    assert f"Licence: {CATALOGUE[name].licence}" in text
    assert "Nothing is downloaded" in text


def test_source_help_names_every_data_set() -> None:
    done = CliRunner().invoke(app, ["source", "--help"])
    assert done.exit_code == 0
    assert all(f" {name} " in done.output for name in CATALOGUE)


def test_source_adds_three_hospitals_for_one_split(tmp_path: Path) -> None:
    """The paper's benchmark in miniature: train by TMED-2's own split, test on Unity and CAMUS."""
    store, book = tmp_path / "store", tmp_path / "labels.db"
    for name in ("tmed2", "unity", "camus"):
        folder = getattr(miniature, name)(tmp_path / name)
        done = CliRunner().invoke(
            app, ["source", name, str(folder), "--store", str(store), "--labels", str(book), "--workers", "1"]
        )
        assert done.exit_code == 0, done.output
        assert "labels by" in done.output
    assert {event.rater for event in LabelStore(book).events()} == {"TMED-2", "Unity Imaging", "CAMUS"}
    common = ["--store", str(store), "--labels", str(book), "--official", "tmed2:DEV56/fold0"]
    leaking = CliRunner().invoke(app, ["split", str(tmp_path / "official"), *common])
    assert leaking.exit_code != 0  # the unlabeled part holds a test patient's frame
    assert "1 validation or test patients are in the pool" in leaking.output
    clean = CliRunner().invoke(app, ["split", str(tmp_path / "clean"), *common, "--clean-pool"])
    assert clean.exit_code == 0, clean.output
    split = SplitManifest.load(tmp_path / "clean")
    frames = {(site, role): count for site, role, _, count in split.counts()}
    assert frames["tmed2", "train"] == 8
    assert frames["tmed2", "test"] == 3
    assert frames["unity", "test"] == 3
    assert frames["camus", "test"] == 12
    assert split.held_out_sites == ("camus", "unity")
    both = CliRunner().invoke(app, ["split", str(tmp_path / "x"), *common, "--source", "tmed2"])
    assert "--official already decides which patients train" in str(both.exception)


def test_source_writes_labels_beside_the_store_and_once(tmp_path: Path) -> None:
    folder = miniature.echonet(tmp_path / "in")
    arguments = ["source", "echonet", str(folder), "--store", str(tmp_path / "s"), "--frames", "even:1"]
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert "3 labels by EchoNet-Dynamic" in first.output
    assert "3 of them new" in first.output
    assert "0 of them new" in second.output
    assert "4 files expected, 3 found, 3 in the store" in second.output
    assert "0X4D.avi" in second.output
    assert "train videos" in second.output
    assert len(LabelStore(tmp_path / "s.labels.db").events()) == 3


def test_source_mimic_needs_no_label_store_and_makes_its_key(tmp_path: Path) -> None:
    folder = miniature.mimic(tmp_path / "in")
    arguments = ["source", "mimic", str(folder), "--store", str(tmp_path / "s"), "--size", "32", "--workers", "1"]
    done = CliRunner().invoke(app, [*arguments, "--frames", "even:1"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "s.key").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "s.labels.db").exists()


def test_source_refuses_a_folder_of_broken_files(tmp_path: Path) -> None:
    folder = miniature.camus(tmp_path / "in", numbers=(1,))
    for path in (folder / "database_nifti" / "patient0001").glob("*.nii.gz"):
        path.write_bytes(b"")
    done = CliRunner().invoke(app, ["source", "camus", str(folder), "--store", str(tmp_path / "s")])
    assert isinstance(done.exception, MissingInputError)
    assert "no file of this data set became frames" in str(done.exception)
    assert "failed:empty" in done.output


def test_source_pictures_adds_a_folder_of_classes_for_one_label_store(tmp_path: Path) -> None:
    folder, store, book = miniature.pictures(tmp_path / "in"), tmp_path / "store", tmp_path / "labels.db"
    (folder / "A4C" / "DOE_JANE.png").write_text("no picture")
    words = ["source", "pictures", str(folder), "--store", str(store), "--labels", str(book), "--size", "32"]
    done = CliRunner().invoke(app, [*words, "--workers", "1", "--rater", "reader 1"])
    assert done.exit_code == 0, done.output
    assert "excluded:not_picture" in done.output
    assert "file 1" in done.output
    assert "DOE_JANE" not in done.output
    assert "2 labels by reader 1" in done.output
    assert sorted(event.view for event in LabelStore(book).events()) == ["A4C", "PLAX"]
    again = CliRunner().invoke(app, [*words, "--workers", "1", "--rater", "reader 1"])
    assert "0 of them new" in again.output


def test_source_pictures_freezes_the_split_of_a_table(tmp_path: Path) -> None:
    folder = miniature.pictures(tmp_path / "in")
    rows = ["A4C/one.png,A4C,p1,A,train", "PLAX/two.gif,PLAX,p2,A,test"]
    table = miniature.table(folder / "list.csv", "file,label,patient,site,split", rows)
    words = ["source", "pictures", str(table), "--store", str(tmp_path / "store"), "--size", "32", "--workers", "1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "A:official" in done.output
    split = ["split", str(tmp_path / "split"), "--store", str(tmp_path / "store"), "--official", "A:official"]
    frozen = CliRunner().invoke(app, [*split, "--labels", str(tmp_path / "store.labels.db")])
    assert "train lacks PLAX" in frozen.output  # frozen, but two clips make no split to train on
    members = SplitManifest.load(tmp_path / "split").members.to_pylist()
    assert Counter((row["role"], row["view"]) for row in members) == {("train", "A4C"): 1, ("test", "PLAX"): 5}


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["in/list.csv"], "row 2 and row 3"),
        (["nothing"], "no such folder or table"),
        (["in", "--levels", "view"], "levels"),
        (["in", "--vocabulary", "french"], "unknown label vocabulary"),
        (["in", "--site", "a/b"], "site"),
        (["in", "--file-memory", "much"], "amount of memory"),
    ],
)
def test_source_pictures_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = miniature.pictures(tmp_path / "in")
    miniature.table(folder / "list.csv", "file,label", ["A4C/one.png,A4C", "A4C/one.png,A2C"])
    done = CliRunner().invoke(app, ["source", "pictures", *words, "--store", "store", "--workers", "1"])
    assert isinstance(done.exception, Heart2HeartError)
    assert done.exception.exit_code == 2
    assert fault in str(done.exception)
    assert not (tmp_path / "store.labels.db").exists()
