"""The small seeded study behind test_golden.py: two hospitals from DICOM to a report, through the command line alone.

Every fact is plain JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import typer.main
import yaml
from pydicom import dcmread
from typer.testing import CliRunner

from heart2heart.cli import app
from tests.golden_hospital import PATIENTS, write_hospital
from tests.html_structure import page_structure

Facts = dict[str, Any]

VOCABULARY = {"A": "tmed2", "B": "clinical"}
TERMINAL = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
CONFIG: Facts = {
    "network": {"name": "WideResNet", "options": {"depth": 10, "widen": 1, "norm_momentum": 0.1}},
    "optimiser": {"name": "sgd", "lr": 0.03},
    "batch": {"labeled": 8, "unlabeled": 8},
    "ema": 0.9,
    "steps": 4,
    "evaluate_every": 4,
    "checkpoint_every": 2,
    "log_every": 1,
    "device": "cpu",
}
RUNS: dict[str, Facts] = {
    "labels_only": {"method": {"name": "labels_only"}, "batch": {"labeled": 8}},
    "fixmatch_fix_a_step": {
        "method": {"name": "fixmatch", "params": {"threshold": 0.1}},
        "fix_a_step": {"mixing": True, "gradient": "fix_a_step", "temperature": 0.5, "alpha": 0.5},
    },
}


def command(*words: str | Path) -> str:
    """Run one command line in this process and return what it printed."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, env=TERMINAL)
    assert result.exit_code == 0, f"heart2heart {' '.join(map(str, words))}: {result.output}"
    return result.stdout


def facts_of_help() -> dict[str, list[str]]:
    """Return the help of the program, of every verb and of every verb below a verb, without the boxes around it."""
    facts = {}
    for words in _verbs(typer.main.get_command(app), ()):
        lines = [line.strip("│╭╮╰╯─ ") for line in command(*words, "--help").splitlines()]
        facts[" ".join(words) or "heart2heart"] = [re.sub(" {2,}", "  ", line) for line in lines if line]
    return facts


def _verbs(node: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the words of a command and of all below it."""
    yield words
    for word, below in getattr(node, "commands", {}).items():
        yield from _verbs(below, (*words, word))


def facts_of_simulation(root: Path) -> Facts:
    """Simulate the four hospitals and describe them: files, headers, lists; pixels depend on the processor."""
    command("simulate", root, "--scale", "0.05", "--seed", "7", "--workers", "1")
    facts: Facts = {}
    for hospital in sorted(root.iterdir()):
        headers = hashlib.sha256()
        files = [path for path in sorted(hospital.rglob("*")) if path.is_file()]
        for path in files:
            if path.parent.name.startswith("study"):
                read = dcmread(path, stop_before_pixels=True)
                headers.update(json.dumps([read.file_meta.to_json_dict(), read.to_json_dict()]).encode())
        facts[hospital.name] = {
            "files": [str(path.relative_to(hospital)) for path in files],
            "headers_sha256": headers.hexdigest(),
            "labels.csv": (hospital / "labels.csv").read_text(encoding="utf-8").splitlines(),
            "simulation.json": json.loads((hospital / "simulation.json").read_text(encoding="utf-8")),
            "truth.csv": (hospital / "truth.csv").read_text(encoding="utf-8").splitlines()[0],
        }
    return facts


def facts_of_ingest(root: Path) -> Facts:
    """Ingest both hospitals with keys that never change."""
    facts: Facts = {}
    for site in PATIENTS:
        write_hospital(root / site, site)
        key, store = root / f"{site}.key", root / f"store{site}"
        key.touch(mode=0o600)
        key.write_text(hashlib.sha256(site.encode()).hexdigest() + "\n", encoding="ascii")
        words = ("--site", site, "--store", store, "--key", key, "--size", "32", "--frames", "even:2", "--workers", "1")
        command("ingest", root / site, *words)
        tables = {name: _table(store, name) for name in ("clips", "frames")}
        facts[site] = {
            "digest": command("store", "digest", store).strip(),
            "files": sorted(
                {
                    re.sub(r"[0-9a-f]{8,}", "HEX", str(p.relative_to(store)))
                    for p in store.rglob("*")
                    if "-" not in p.name
                }
            ),
            "ledger": command("store", "ledger", store).splitlines(),
            "page": page_structure(store / "ingest_report.html"),
            "schemas": {name: columns(table) for name, table in tables.items()},
            "store.json": json.loads((store / "store.json").read_text(encoding="utf-8")),
            "clips": [
                {name: str(value) for name, value in row.items() if name not in ("quality", "shard", "row")}
                for row in sorted(tables["clips"].to_pylist(), key=lambda row: str(row["clip"]))[:3]
            ],
        }
    return facts


def _table(store: Path, name: str) -> Any:
    return pq.ParquetDataset(sorted(path for path in store.rglob("*.parquet") if path.parent.name == name)).read()


def columns(table: Any) -> dict[str, str]:
    """Return each column's type."""
    return {field.name: str(field.type) for field in table.schema}


def facts_of_labels(root: Path) -> Facts:
    """Import both hospitals' labels."""
    labels, messages = root / "labels.db", {}
    for site, vocabulary in VOCABULARY.items():
        words = ("--labels", labels, "--store", root / f"store{site}", "--key", root / f"{site}.key")
        messages[site] = command("labels", "import", root / f"{site}.csv", *words, "--vocabulary", vocabulary)
    shown = command("labels", "show", "--labels", labels, "--store", root / "storeA", "--store", root / "storeB")
    command("labels", "export", root / "events.csv", "--labels", labels)
    with sqlite3.connect(labels) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    header = (root / "events.csv").read_text(encoding="utf-8").splitlines()[0]
    return {
        "import": messages,
        "show": shown.splitlines(),
        "export": header,
        "book": [" ".join(s.split()) for (s,) in rows],
    }


def facts_of_split(root: Path) -> Facts:
    """Propose, freeze and certify the split: hospital A trains, hospital B tests."""
    stores = ("--store", root / "storeA", "--store", root / "storeB")
    words = ("--labels", root / "labels.db", "--source", "A", "--validation", "0.34", "--test", "0.34")
    printed = command("split", root / "split", *stores, *words)
    members = next((root / "split").glob("*.parquet"))
    table = pq.read_table(members)
    names = [name for name in ("site", "role", "view") if name in table.column_names]
    counts = Counter(" ".join(str(row[name]) for name in names) for row in table.to_pylist())
    certificate = json.loads((root / "split" / "certificate.json").read_text(encoding="utf-8"))
    return {
        "files": sorted(path.name for path in (root / "split").iterdir()),
        "printed": printed.replace(str(root), "ROOT").splitlines(),
        "split.json": json.loads((root / "split" / "split.json").read_text(encoding="utf-8")),
        "certificate.json": sorted(keys(certificate)),
        "members": {"schema": columns(table), "counts": dict(sorted(counts.items()))},
    }


def keys(value: Any, path: str = "") -> set[str]:
    """Return the paths of all keys of nested JSON; items of a list share one path."""
    if isinstance(value, dict):
        return {f"{path}.{name}".lstrip(".") for name in value}.union(
            *(keys(inner, f"{path}.{name}") for name, inner in value.items())
        )
    if isinstance(value, list):
        return set().union(*(keys(inner, f"{path}[]") for inner in value))
    return set()


def facts_of_training(root: Path) -> Facts:
    """Train two runs for four steps."""
    facts: Facts = {"numbers": {}}
    for name, changes in RUNS.items():
        config, run = root / f"{name}.yaml", root / "runs" / name
        config.write_text(yaml.safe_dump(CONFIG | changes), encoding="utf-8")
        stores = ("--store", root / "storeA", "--store", root / "storeB")
        command("train", config, "--out", run, *stores, "--split", root / "split")
        metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        facts["numbers"][name] = [
            {key: _rounded(value) for key, value in line.items() if key.startswith("loss")} for line in metrics
        ]
        facts[name] = {
            "files": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
            "config.yaml": _without(root, yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))),
            "run.json": sorted(keys(json.loads((run / "run.json").read_text(encoding="utf-8")))),
            "metrics.jsonl": sorted({" ".join(sorted(keys(line))) for line in metrics}),
        }
    return facts


def _without(root: Path, value: Any) -> Any:
    return json.loads(json.dumps(value).replace(str(root), "ROOT"))


def facts_of_evaluation(root: Path) -> Facts:
    """Predict, score and report; numbers only to a tolerance that every processor keeps."""
    out, runs = root / "evaluation", [root / "runs" / name for name in RUNS]
    stores = ("--store", root / "storeA", "--store", root / "storeB")
    command("evaluate", *runs, *stores, "--out", out, "--labels", root / "labels.db", "--replicates", "100")
    command("report", out / "predictions.parquet", "--out", root / "report.html", "--replicates", "100")
    table = pq.read_table(out / "predictions.parquet")
    rows = sorted(table.to_pylist(), key=lambda row: (str(row.get("method")), str(row.get("run")), str(row["frame"])))
    numbers = [name for name, kind in columns(table).items() if re.search("float|double", kind)]
    return {
        "files": sorted(path.name for path in out.iterdir()),
        "predictions.parquet": {
            "schema": columns(table),
            "metadata": {
                name.decode(): sorted(keys(json.loads(text))) if text[:1] in b"[{" else text.decode()
                for name, text in (table.schema.metadata or {}).items()
                if not name.startswith((b"ARROW", b"pandas"))
            },
            "rows": len(rows),
        },
        "numbers": [{name: _rounded(row[name]) for name in numbers} | {"frame": row["frame"]} for row in rows],
        "metrics.json": sorted(keys(json.loads((out / "metrics.json").read_text(encoding="utf-8")))),
        "report": page_structure(root / "report.html"),
        "beside": sorted(path.name for path in root.iterdir() if path.suffix in (".html", ".md", ".json")),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return None if value is None else round(float(value), 4)


def facts_of_queue(root: Path) -> Facts:
    """Ask what to label next, without a run and with one."""
    facts: Facts = {}
    for by, more in (("random", ()), ("entropy", ("--run", root / "runs" / "labels_only"))):
        out = root / f"{by}.parquet"
        words = ("--budget", "4", "--by", by, "--labels", root / "labels.db", "--frames", "even:2", "--out", out)
        command("queue", root / "storeA", *words, *more)
        table = pq.read_table(out)
        facts[by] = {"schema": columns(table), "rows": len(table)}
        if by == "random":
            facts[by]["clips"] = table["clip"].to_pylist()
    return facts
