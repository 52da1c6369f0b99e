"""The command line: exit codes, errors without traces, and verbs over a small synthetic store."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.cli.output import text_table
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.testing.stores import random_store
from tests.command_line import Execute


def _run(*arguments: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def test_main_exits_with_2_and_one_line_after_a_user_error(tmp_path: Path, execute: Execute) -> None:
    done = execute("store", "show", tmp_path / "none")
    assert done.returncode == 2
    assert done.stderr == f"error: no frame store here: {tmp_path / 'none' / 'store.json'}\n"
    assert done.stdout == ""


def test_main_exits_with_2_for_missing_arguments(execute: Execute) -> None:
    done = execute("store", "show")
    assert done.returncode == 2
    assert "Missing argument 'STORE'" in done.stderr


def test_main_exits_with_1_and_hides_the_data_after_an_internal_error() -> None:
    code = (
        "import heart2heart.cli as c, heart2heart.store.frame_store as s\n"
        "def broken(root): raise KeyError('Mustermann^Erika')\n"
        "s.FrameStore.open = broken\n"
        "c.main()"
    )
    done = _run("store", "digest", "x", code=code)
    assert done.returncode == 1
    assert done.stderr.startswith("internal error: KeyError at <string>:2.")
    assert "Mustermann" not in done.stderr
    assert "Traceback" not in done.stderr


def test_main_exits_with_130_when_stopped_by_the_user() -> None:
    code = (
        "import heart2heart.cli as c, heart2heart.store.frame_store as s\n"
        "def stopped(root): raise KeyboardInterrupt\n"
        "s.FrameStore.open = stopped\n"
        "c.main()"
    )
    done = _run("store", "digest", "x", code=code)
    assert (done.returncode, done.stderr) == (130, "stopped; run the same command again to continue\n")


def test_main_takes_a_closed_pipe_for_no_error(tmp_path: Path) -> None:
    random_store(tmp_path / "store", patients=40)
    line = (
        f"{sys.executable} -c 'from heart2heart.cli import main; main()' store sql {tmp_path / 'store'} 'FROM frames'"
    )
    done = subprocess.run(f"{line} | head -1", shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("frame")


def test_store_show_verify_digest_and_sql(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", patients=2)
    runner = CliRunner()
    shown = runner.invoke(app, ["store", "show", str(store.root)])
    assert shown.exit_code == 0
    assert "A     b_mode  maker A         2     10      30" in shown.output
    assert runner.invoke(app, ["store", "digest", str(store.root)]).output.strip() == store.digest()
    counted = runner.invoke(app, ["store", "sql", str(store.root), "SELECT count(*) AS n FROM clips"])
    assert counted.output.split() == ["n", "--", "20"]
    assert "matches its checksum" in runner.invoke(app, ["store", "verify", str(store.root)]).output
    shard = next((store.root / "frames").glob("*.npy"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x00")
    broken = runner.invoke(app, ["store", "verify", str(store.root)])
    assert "differs from its checksum: the frames" in broken.output
    assert broken.exit_code == 1  # main() turns the error itself into exit code 2


def test_labels_import_show_and_export(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", patients=2)
    clip = store.clips["clip"].to_pylist()[0]
    (tmp_path / "in.csv").write_text(f"clip,view,rater\n{clip},Apical four chamber,r1\n")
    common = ["--labels", str(tmp_path / "labels.db")]
    arguments = [*common, "--store", str(store.root), "--vocabulary", "clinical"]
    runner = CliRunner()
    imported = runner.invoke(app, ["labels", "import", str(tmp_path / "in.csv"), *arguments])
    words, summary = imported.output.splitlines()[-2:]
    assert words.split() == ["Apical", "four", "chamber", "A4C", "1"]
    assert summary == "1 rows: 1 new labels, 0 without a view, 0 of clips not in the store"
    assert LabelStore(tmp_path / "labels.db").events() == [LabelEvent(clip, "", "A4C", "r1", "", "csv:clinical")]
    tried = runner.invoke(app, ["labels", "import", str(tmp_path / "in.csv"), *arguments, "--dry-run"])
    assert tried.output.splitlines()[-1] == "1 rows, 1 labels ready; dry run, nothing was written"
    assert len(LabelStore(tmp_path / "labels.db").events()) == 1
    shown = runner.invoke(app, ["labels", "show", *common, "--store", str(store.root)])
    assert shown.output.splitlines()[2].split() == ["A", "A4C", "1", "1", "3"]
    exported = runner.invoke(app, ["labels", "export", str(tmp_path / "out.csv"), *common])
    assert exported.output.startswith("1 label events written")


def test_split_prints_what_it_froze(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store")
    book = LabelStore(tmp_path / "labels.db")
    views = ("PLAX", "PSAX", "A4C", "A2C")
    book.append(
        [
            LabelEvent(clip, "", views[int(clip[4:6])], "r1", "", "test")
            for clip in store.clips["clip"].to_pylist()
            if int(clip[4:6]) < 4
        ]
    )
    line = ["split", str(tmp_path / "split"), "--store", str(store.root), "--labels", str(book.path), "--source", "A"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0
    assert "patient_disjoint" in done.output
    assert f"frozen and certified: {tmp_path / 'split'}" in done.output


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        (("name", "n"), [("a", 1), ("bb", 10)], "name   n\n----  --\na      1\nbb    10"),
        (("name",), [], "name\n----"),
        (("x",), [(0.123456,), (None,)], "x\n------\n0.1235\n"),
    ],
)
def test_text_table(header: tuple[str, ...], rows: list[tuple[object, ...]], expected: str) -> None:
    assert text_table(header, rows) == expected
