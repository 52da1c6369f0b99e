"""The verb `validate`: a template, a check, scores, and a clear end for every bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heart2heart.cli import app, main
from heart2heart.schema.metrics_files import read_metrics
from heart2heart.schema.validation import VALIDATION_CHECKS
from tests.federated.sites import table
from tests.federated.test_job import require_nvflare

ROWS = """case,patient,site,truth,normal,pneumonia
1,p1,Lyon,normal,0.9,0.1
2,p2,Lyon,pneumonia,0.3,0.7
3,p3,Lyon,normal,0.4,0.6
4,p4,Lyon,pneumonia,0.2,0.8
"""


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["validate", *map(str, words)])
    return result.exit_code, result.stdout if result.exception is None else f"{result.stdout}{result.exception}"


def test_validate_writes_a_template_that_it_can_read_once_filled(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    assert run("--template", file, "--classes", "mild, severe") == (0, f"{file}\n")
    code, text = run(file, "--check")
    assert code != 0
    assert "row 2, column case: this is an example of the template" in text
    file.write_text(file.read_text().replace("example-", ""))
    code, text = run(file, "--check")
    assert (code, text.splitlines()[-1]) == (0, "2 cases at hospital, classes mild, severe: no fault")
    assert "already" in run("--template", file)[1] or "exists" in run("--template", file)[1]
    assert run("--template", tmp_path / "u.csv", "--classes", "truth,a")[0] != 0


def test_validate_scores_a_table_and_verifies_its_folder(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(ROWS)
    out = tmp_path / "v"
    code, text = run(tmp_path / "t.csv", "--out", out, "--task", "pneumonia", "--name", "M", "--replicates", 200)
    assert code == 0, text
    assert "Training data not seen" in text
    assert "Lyon (held out)" in text
    assert {path.name for path in out.iterdir()} == {"predictions.parquet", "certificate.json", "metrics.json"}
    assert read_metrics(out / "metrics.json").methods[0].method == "M"
    code, text = run(out, "--check", "--model", tmp_path / "t.csv")
    assert (code, text.splitlines()[-1]) == (0, "the certificate is valid")
    assert text.count("computed again") == len(VALIDATION_CHECKS)
    (tmp_path / "t.csv").write_text(ROWS.replace("0.9,0.1", "0.8,0.2"))
    assert "the certificate is of another table" in run(out, "--check", "--model", tmp_path / "t.csv")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no model to validate"),
        (["t.csv"], "no folder for the scores"),
        (["t.csv", "--out", "v", "--store", "s"], "a table has its own hospitals and truth"),
        (["missing.csv", "--out", "v"], "no table of predictions here"),
        (["missing", "--out", "v", "--store", "s", "--labels", "l"], "no training run here"),
        (["bad.csv", "--out", "v"], "row 2: the probabilities sum to 1.1"),
    ],
)
def test_validate_ends_with_code_2_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(ROWS)
    Path("bad.csv").write_text(ROWS.replace("0.9,0.1", "0.9,0.2"))
    monkeypatch.setattr("sys.argv", ["heart2heart", "validate", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not Path("v").exists()


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, words)])
    return result.exit_code, result.stdout if result.exception is None else f"{result.stdout}{result.exception}"


def test_pool_prints_the_scores_of_released_counts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(table("A", 9) + table("B", 8).partition("\n")[2])
    out = tmp_path / "leaving"
    code, text = run(tmp_path / "t.csv", "--out", out, "--task", "severity", "--release", "counts")
    assert code == 0, text
    files = [out / "counts_A.json", out / "counts_B.json"]
    assert text.splitlines()[-2:] == [str(file) for file in files]
    code, text = call("pool", *files, "--out", tmp_path / "pooled")
    assert code == 0, text
    assert "A (held out)" in text
    assert "From counts" in text
    assert text.splitlines()[-3] == str(tmp_path / "pooled" / "report.html")
    assert "two files of one hospital" in call("pool", files[0], files[0], "--out", tmp_path / "again")[1]
    assert "unknown release" in run(tmp_path / "t.csv", "--out", tmp_path / "x", "--release", "rows")[1]


def test_validate_compares_several_tables(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(table("A", 9))
    (tmp_path / "two.csv").write_text(table("A", 8))
    words = [tmp_path / "one.csv", tmp_path / "two.csv"]
    code, text = run(*words, "--out", tmp_path / "v", "--no-pictures", "--no-pseudonyms", "--replicates", 200)
    assert code == 0, text
    assert "difference from the first" in text
    assert "one at a time" in run(*words, "--check")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one of --job and --simulate is needed"),
        (["--simulate", "north"], "'north' is no site"),
        (["--simulate", "server=a.yaml"], "is no site"),
        (["--simulate", "a=none.yaml"], "no configuration file here"),
    ],
)
def test_federate_refuses_what_is_no_round(tmp_path: Path, words: list[str], message: str) -> None:
    if words and "none" in words[-1]:
        require_nvflare()
    code, text = call("federate", "--out", tmp_path / "out", *words)
    assert code != 0
    assert message in text


def test_federate_writes_a_job(tmp_path: Path) -> None:
    assert call("federate", "--job", tmp_path / "job", "--sites", 2, "--out", "/srv/pooled") == (
        0,
        f"{tmp_path / 'job'}\n",
    )
    assert (tmp_path / "job" / "meta.json").exists()
