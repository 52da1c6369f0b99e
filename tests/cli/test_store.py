"""`heart2heart store` as a user meets it: SQL that reads the store and nothing else, and a check of every shard."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app
from heart2heart.errors import ConfigError, StoreError
from heart2heart.testing.stores import random_store


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
def test_bad_sql_and_sql_that_would_reach_files(tmp_path: Path, query: str) -> None:
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


def test_verify_reads_every_shard_and_names_the_damaged(tmp_path: Path) -> None:
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
