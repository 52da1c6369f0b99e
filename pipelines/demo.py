"""The whole way in a few minutes: four SYNTHETIC hospitals from DICOM to a cross-hospital report.

Command: make demo            (or: python -m pipelines.demo --out demo_output)
Every stage leaves finished work alone, so a demo that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from heart2heart import __version__
from heart2heart.cli import yield_cores
from heart2heart.files import read_json, sha256_file, sha256_json, write_json
from heart2heart.progress import stage
from pipelines.entry import run
from pipelines.synthetic import SOURCE, ingest, simulate

SIZE = 48
FRAMES = "even:8"
CONFIGS = {
    "labels_only": Path("configs/demo_labels_only.yaml"),
    "fixmatch_fix_a_step": Path("configs/demo_fixmatch_fix_a_step.yaml"),
}
"""Two runs of the same network, budget of steps and seed."""


def split(out: Path, sites: tuple[str, ...]) -> None:
    """Freeze and certify one split: patients of hospital A train, validate and test; the others are held out."""
    from heart2heart.curate import LabelBook, resolve
    from heart2heart.frames.store import FrameStores
    from heart2heart.splits import SplitManifest, SplitSettings, certify, propose

    stores = FrameStores.open([out / "stores" / site for site in sites])
    with stage("freeze and certify the split", 1) as progress:
        if (out / "split" / "split.json").exists():
            manifest = SplitManifest.load(out / "split")
        else:
            labels = resolve(LabelBook(out / "labels.db").events(), stores.frames)
            settings = SplitSettings(name="demo", source=(SOURCE,), validation=0.3, test=0.4, label_budget=4)
            manifest = propose(stores, labels, settings, out / "split")
        if not (out / "split" / "certificate.json").exists():
            certify(manifest, stores)
        manifest.require_certified()
        progress.update(1)


def train(out: Path, sites: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Train the two runs; a stopped one goes on from its last checkpoint."""
    from heart2heart.learn import TrainConfig
    from heart2heart.learn import train as train_run

    stores = ", ".join(f"'{out / 'stores' / site}'" for site in sites)
    data = (f"data.stores=[{stores}]", f"data.split='{out / 'split'}'")
    for name, path in CONFIGS.items():
        config = TrainConfig.load(path, [*data, *overrides])
        with stage(f"train {name}", config.steps) as progress:
            train_run(config, out / "runs" / name, progress=progress)


def evaluate(out: Path, sites: tuple[str, ...]) -> str:
    """Score both runs at every hospital, write the report, and return its summary table."""
    from heart2heart.predictions import Predictions
    from heart2heart.report import summary_table, write_report
    from heart2heart.workflow import evaluate_runs

    with stage("evaluate and report", 100) as progress:
        metrics = evaluate_runs(
            [out / "runs" / name for name in CONFIGS],
            [out / "stores" / site for site in sites],
            out / "evaluation",
            labels=out / "labels.db",
            command="make demo",
            progress=progress,
        )
        # Read back: the report is made from the file, as anyone who is sent that file could make it.
        predictions = Predictions.read(out / "evaluation" / "predictions.parquet")
        write_report(predictions, metrics, out / "report.html")
    return summary_table(metrics)


def main(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo_output"),
    scale: Annotated[float, typer.Option(help="Number of synthetic patients, relative to the demo's.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 7,
    workers: Annotated[int, typer.Option(help="Processes for simulation and ingest.")] = 2,
    override: Annotated[list[str] | None, typer.Option(help="Training override such as steps=20; repeatable.")] = None,
) -> None:
    """Run the demo, or go on with one that was stopped."""
    overrides = tuple(override or ())
    made_of = sha256_json(
        [__version__, scale, seed, list(overrides), *(sha256_file(path) for path in CONFIGS.values())]
    )
    finished = out / "finished.json"
    if finished.exists() and (out / "report.html").exists():
        content = read_json(finished, what="demo")
        if content["made_of"] == made_of:
            print(f"{content['summary']}\n\nThe demo is finished (synthetic hospitals). Report: {out / 'report.html'}")
            return
    start = time.monotonic()
    sites = simulate(out, scale, seed, workers)
    ingest(out, sites, seed, workers, size=SIZE, frames=FRAMES)
    split(out, sites)
    train(out, sites, overrides)
    summary = evaluate(out, sites)
    write_json(finished, {"made_of": made_of, "summary": summary})
    print(f"\n{summary}\n\nDone in {time.monotonic() - start:.0f} s. All four hospitals are SYNTHETIC.")
    print(f"Report: {out / 'report.html'}")


if __name__ == "__main__":
    yield_cores()
    run(main)
