"""The demo: four SYNTHETIC hospitals, from DICOM to a cross-hospital report in a few minutes.

Each stage keeps finished work, so a demo that was stopped continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heart2heart import __version__
from heart2heart.config import find_config
from heart2heart.progress import Stage, silent_stage
from heart2heart.utils import read_json, sha256_file, sha256_json, write_json, write_text

SOURCE = "A"
"""The hospital whose patients train."""

SIZE = 48
"""Side of the demo's frames, pixels."""

FRAMES = "even:8"
"""Rule of the frames that the demo keeps from a clip."""

CONFIGS = {"labels_only": "demo/labels_only", "fixmatch_fix_a_step": "demo/fixmatch_fix_a_step"}
"""Run -> packaged configuration: the same network, number of steps and seed."""


@dataclass(frozen=True)
class DemoResult:
    """Result of a demo.

    Attributes:
        report: The HTML report.
        summary: Balanced accuracy by hospital and run, as a text table.
        was_finished: Whether an earlier call had finished this demo, so that nothing was computed now.
    """

    report: Path
    summary: str
    was_finished: bool


def run_demo(
    out: str | Path,
    *,
    scale: float = 1.0,
    seed: int = 7,
    workers: int = 2,
    overrides: Sequence[str] = (),
    stage: Stage = silent_stage,
) -> DemoResult:
    """Simulate, ingest, split, train, evaluate and report; continue a demo that was stopped.

    Args:
        out: Folder for all results of the demo.
        scale: Number of synthetic patients, relative to the full demo.
        seed: Seed of the simulation.
        workers: Processes for simulation and ingest.
        overrides: Overrides of both training configurations, such as `steps=20`.
        stage: Opens the progress of each stage.

    Returns:
        The report and its summary.
    """
    folder = Path(out)
    configs = [sha256_file(find_config(name)) for name in CONFIGS.values()]
    made_of = sha256_json([__version__, scale, seed, list(overrides), *configs])
    finished, report = folder / "finished.json", folder / "report.html"
    if finished.exists() and report.exists():
        content = read_json(finished, what="demo")
        if content["made_of"] == made_of:
            return DemoResult(report, content["summary"], was_finished=True)
    sites = simulate_hospitals(folder, scale, seed, workers, stage=stage)
    ingest_hospitals(folder, sites, seed, workers, size=SIZE, frames=FRAMES, stage=stage)
    _freeze_split(folder, sites, stage)
    _train_runs(folder, sites, overrides, stage)
    summary = _evaluate_and_report(folder, sites, report, stage)
    write_json(finished, {"made_of": made_of, "summary": summary})
    return DemoResult(report, summary, was_finished=False)


def simulate_hospitals(
    out: Path, scale: float, seed: int, workers: int, *, stage: Stage = silent_stage
) -> tuple[str, ...]:
    """Write four SYNTHETIC hospitals as DICOM folders in `out/hospitals`, and return their names."""
    from heart2heart.synthetic.hospital import simulate_hospital
    from heart2heart.synthetic.presets import four_hospitals

    hospitals = four_hospitals(scale)
    for hospital in hospitals:
        with stage(f"simulate hospital {hospital.name}", hospital.patients) as progress:
            simulate_hospital(hospital, out / "hospitals", seed, workers=workers, progress=progress)
    return tuple(hospital.name for hospital in hospitals)


def ingest_hospitals(
    out: Path,
    sites: Sequence[str],
    seed: int,
    workers: int,
    *,
    size: int,
    frames: str,
    stage: Stage = silent_stage,
) -> None:
    """De-identify each SYNTHETIC hospital into its own store, with its own key, and import its labels.

    A real key is random. These hospitals are synthetic and hide nobody, so their keys follow from the seed: pseudonyms,
    and with them the split, are the same in every run.

    Args:
        out: Holds `hospitals/`; receives `stores/`, `keys/` and `labels.db`.
        sites: The hospitals.
        seed: Seed of the simulation.
        workers: Processes.
        size: Side of the frames, pixels.
        frames: Frames to keep of a clip, such as `even:8`.
        stage: Opens the progress of each stage.
    """
    from heart2heart.ingest.discover import find_files
    from heart2heart.ingest.pipeline import ingest
    from heart2heart.ingest.settings import IngestSettings
    from heart2heart.labels.importing import import_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.synthetic.presets import four_hospitals, fresh_hospitals

    vocabulary = {hospital.name: hospital.vocabulary for hospital in (*four_hospitals(), *fresh_hospitals())}
    for site in sites:
        folder, store, key = out / "hospitals" / site, out / "stores" / site, out / "keys" / f"{site}.key"
        if not key.exists():
            write_text(key, sha256_json(["demo key", seed, site]) + "\n", mode=0o600)
        settings = IngestSettings(size=size, frames=frames)
        with stage(f"ingest hospital {site}", len(find_files([folder]))) as progress:
            ingest([folder], site=site, store=store, key=key, settings=settings, workers=workers, progress=progress)
        import_labels(
            folder / "labels.csv",
            LabelStore(out / "labels.db"),
            FrameStores.open([store]),
            vocabulary=vocabulary[site],
            key=key,
            skip_unknown=True,  # a labeled file that was cut short in the archive is not in the store
        )


def _freeze_split(out: Path, sites: Sequence[str], stage: Stage) -> None:
    """Freeze and certify one split: patients of hospital A train, validate and test; the others are held out."""
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.splits.certify import certify
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.propose import propose
    from heart2heart.splits.settings import SplitSettings
    from heart2heart.store.frame_store import FrameStores

    stores = FrameStores.open([out / "stores" / site for site in sites])
    with stage("freeze and certify the split", 1) as progress:
        if (out / "split" / "split.json").exists():
            manifest = SplitManifest.load(out / "split")
        else:
            labels = frame_labels(LabelStore(out / "labels.db").events(), stores.frames)
            settings = SplitSettings(name="demo", source=(SOURCE,), validation=0.3, test=0.4, label_budget=4)
            manifest = propose(stores, labels, settings, out / "split")
        if not (out / "split" / "certificate.json").exists():
            certify(manifest, stores)
        manifest.require_certified()
        progress.update(1)


def _train_runs(out: Path, sites: Sequence[str], overrides: Sequence[str], stage: Stage) -> None:
    """Train both runs; a stopped run continues from its last checkpoint."""
    from heart2heart.training.config import TrainConfig
    from heart2heart.training.train import train

    stores = ", ".join(f"'{out / 'stores' / site}'" for site in sites)
    data = (f"data.stores=[{stores}]", f"data.split='{out / 'split'}'")
    for run, name in CONFIGS.items():
        config = TrainConfig.load(find_config(name), [*data, *overrides])
        with stage(f"train {run}", config.steps) as progress:
            train(config, out / "runs" / run, progress=progress)


def _evaluate_and_report(out: Path, sites: Sequence[str], report: Path, stage: Stage) -> str:
    """Score both runs at every hospital, write the report, and return its summary table."""
    from heart2heart.api.evaluation import evaluate
    from heart2heart.reporting.summary import summary_table
    from heart2heart.reporting.writer import write_report
    from heart2heart.schema.predictions import Predictions

    with stage("evaluate and report", 100) as progress:
        metrics = evaluate(
            [out / "runs" / run for run in CONFIGS],
            [out / "stores" / site for site in sites],
            out / "evaluation",
            labels=out / "labels.db",
            command="heart2heart demo",
            progress=progress,
        )
        # Read back from disk: the report uses only the file, so a reader with this file can reproduce it.
        predictions = Predictions.read(out / "evaluation" / "predictions.parquet")
        write_report(predictions, metrics, report)
    return summary_table(metrics)
