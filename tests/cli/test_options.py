"""What holds for all verbs: version, verbosity, panels of the help, completion, and configurations by name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart import __version__, progress
from heart2heart.cli import PANELS, app
from heart2heart.config import config_names, find_config
from heart2heart.progress import Verbosity
from heart2heart.testing.stores import random_store
from tests.command_line import Execute

EXECUTABLE = Path(sys.executable).with_name("heart2heart")
SMALL = ("--scale", "0.05", "--hospitals", "D", "--workers", "1")


@pytest.fixture(autouse=True)
def _verbosity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_verbosity", Verbosity.NORMAL)


def test_main_prints_the_version() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"heart2heart {__version__}\n")


def test_main_verbose_prints_verb_versions_and_stages_but_no_path(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["--verbose", "simulate", str(tmp_path / "out"), *SMALL])
    lines = shown.stderr.splitlines()
    assert lines[0].startswith("heart2heart simulate: Python 3.")
    assert "pydicom" in lines[0]
    assert any(line.startswith("begin: simulate hospital D (") for line in lines)
    assert any(line.startswith("end: simulate hospital D, ") for line in lines)
    assert str(tmp_path) not in shown.stderr


def test_main_quiet_leaves_results_and_errors(tmp_path: Path, execute: Execute) -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["-q", "simulate", str(tmp_path / "out"), *SMALL])
    assert shown.exit_code == 0
    assert shown.stderr == ""
    assert shown.stdout.startswith("hospital (synthetic)")
    refused = execute("-q", "store", "show", tmp_path / "none")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: no frame store here")


def test_main_refuses_verbose_with_quiet(tmp_path: Path, execute: Execute) -> None:
    store = random_store(tmp_path / "store", patients=2)
    done = execute("-v", "-q", "store", "digest", store.root)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --verbose and --quiet exclude each other. Give only one of them\n"


def test_panels_hold_every_verb_once() -> None:
    verbs = [str(info.name) for info in app.registered_commands] + [str(info.name) for info in app.registered_groups]
    assert sorted(verbs) == sorted(verb for panel in PANELS.values() for verb in panel)
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).output
    offsets = [text.index(panel) for panel in PANELS]
    assert offsets == sorted(offsets)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("words", "offered"), [("heart2heart tra", "train"), ("heart2heart store sh", "show")])
def test_main_completes_words_in_bash(words: str, offered: str) -> None:
    """Sources the script that `--show-completion` prints, and asks bash for the words after the cursor."""
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    environment["PATH"] = f"{EXECUTABLE.parent}{os.pathsep}{environment['PATH']}"
    script = subprocess.run(
        [EXECUTABLE, "--show-completion", "bash"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "complete -o default -F" in script
    function = script.split("-F")[1].split()[0]
    count = len(words.split())
    line = f'{script}\nCOMP_WORDS=({words}); COMP_CWORD={count - 1}; {function} heart2heart; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=True)
    assert offered in done.stdout.split()


def test_configs_lists_every_name() -> None:
    lines = CliRunner().invoke(app, ["configs"]).output.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(config_names())


def test_configs_copies_one_and_overwrites_nothing(tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "mine.yaml"
    assert runner.invoke(app, ["configs", "demo/fixmatch"]).output == find_config("demo/fixmatch").read_text()
    copied = runner.invoke(app, ["configs", "demo/fixmatch", "--out", str(out)])
    assert copied.exit_code == 0
    assert out.read_text() == find_config("demo/fixmatch").read_text()
    for refused in (["configs", "demo/fixmatch", "--out", str(out)], ["configs", "--out", str(tmp_path / "new.yaml")]):
        assert runner.invoke(app, refused).exit_code == 1  # main() turns the error itself into exit code 2
    assert out.read_text() == find_config("demo/fixmatch").read_text()
    assert not (tmp_path / "new.yaml").exists()
