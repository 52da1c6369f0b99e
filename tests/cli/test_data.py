"""The verbs of data: limits of `ingest`; `store sql`, which reads the store and nothing else; `store verify`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import ConfigError, StoreError
from heart2heart.testing.stores import random_store
from tests.command_line import Execute
from tests.dicom.build import speckle_frames, write


def _line(home: Path, *options: str) -> tuple[object, ...]:
    return ("ingest", home / "in", "--site", "a", "--store", home / "store", "--workers", "1", *options)


def test_ingest_takes_the_limits_of_one_file(tmp_path: Path, execute: Execute) -> None:
    write(tmp_path / "in" / "clip", speckle_frames(4))
    short = execute(*_line(tmp_path, "--file-seconds", "0.001"))
    assert short.returncode == 2
    assert "failed:timeout" in short.stdout
    done = execute(*_line(tmp_path, "--file-memory", "512MiB"))
    assert done.returncode == 0, done.stderr
    assert "accepted" in done.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [(("--file-memory", "2"), "2048MiB"), (("--file-memory", "1MiB"), "64"), (("--file-seconds", "0"), "seconds")],
)
def test_ingest_refuses_impossible_limits_in_one_line(
    tmp_path: Path, option: tuple[str, str], message: str, execute: Execute
) -> None:
    write(tmp_path / "in" / "clip", speckle_frames(2))
    done = execute(*_line(tmp_path, *option))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELEC mode FROM clips",
        "SELECT mode FROM clip",
        "",
        "COPY clips TO '{out}'",
        "COPY (SELECT 1) TO '{out}'",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}'",
        "SELECT 1; ATTACH '{out}'",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM glob('{secret}')",
        "IMPORT DATABASE '{out}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "PRAGMA temp_directory = '{out}'",
    ],
)
def test_store_sql_refuses_bad_queries_and_files(tmp_path: Path, query: str) -> None:
    store = random_store(tmp_path / "store", patients=2)
    secret, out = tmp_path / "secret.csv", tmp_path / "out"
    secret.write_text("name\nsecret\n")
    before = store.digest()
    done = CliRunner().invoke(app, ["store", "sql", str(store.root), query.format(out=out, secret=secret)])
    assert isinstance(done.exception, ConfigError)
    assert done.exception.exit_code == 2
    assert "\n" not in str(done.exception)
    assert done.stdout == ""
    assert not out.exists()
    assert store.open(store.root).digest() == before


def test_store_verify_reads_every_shard_and_names_the_damaged(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", patients=2)
    whole = CliRunner().invoke(app, ["store", "verify", str(store.root)])
    assert (whole.exit_code, "every shard matches" in whole.stdout) == (0, True)
    for index, path in enumerate(sorted((store.root / "frames").iterdir())):
        raw = path.read_bytes()
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))  # one bit, the size stays
        done = CliRunner().invoke(app, ["store", "verify", str(store.root)])
        assert isinstance(done.exception, StoreError), index
        assert path.stem in done.stdout
        path.write_bytes(raw)
    assert CliRunner().invoke(app, ["store", "verify", str(store.root)]).exit_code == 0


def test_store_flags_counts_clips_by_flag_and_use(tmp_path: Path) -> None:
    flags = {"a00000".ljust(16, "0"): ["split_screen"], "a00001".ljust(16, "0"): ["text_quarantined", "text_suspected"]}
    root = random_store(tmp_path / "store", sites=["A"], patients=1, flags=flags).root
    result = CliRunner().invoke(app, ["store", "flags", str(root), "--rule", "strict"])
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["any", "clip", "5", "3", "3", "3", "3"] in lines
    assert ["split_screen", "1", "0", "0", "0", "0"] in lines
    assert "label: SELECT clip FROM clips WHERE NOT list_has_any" in result.stdout
    assert "withholds 1 clips from the label page, 1 from all uses" in result.stdout
