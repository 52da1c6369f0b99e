"""The demo: four SYNTHETIC hospitals, from DICOM to a cross-hospital report in a few minutes.

Three methods are trained, each with three seeds; the one that validates best at the source is then adapted at every
held-out hospital with frames of patients who are not scored. Each stage keeps finished work, so a demo that was stopped
continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart import __version__
from heart2heart.config import find_config
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import SplitRole
from heart2heart.utils import read_json, sha256_file, sha256_json, write_json, write_text

if TYPE_CHECKING:
    from heart2heart.training.run import Run
    from heart2heart.training.seeds import SeedRuns

SOURCE = "A"
"""The hospital whose patients train."""

SIZE = 40
"""Side of the demo's frames, pixels."""

FRAMES = "even:8"
"""Rule of the frames that the demo keeps from a clip."""

SEEDS = 3
"""Training seeds of each method: one training run is never the ground of a claim."""

ADAPTATION_PATIENTS = 12
"""Unlabeled patients that adapt a network to a hospital; there are more, but the demo is to be short."""

METHODS = ("labels_only", "fixmatch", "fixmatch_fix_a_step")
"""Packaged configurations `demo/NAME`: the same network and number of steps."""


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
    seeds: int = SEEDS,
    workers: int = 2,
    overrides: Sequence[str] = (),
    stage: Stage = silent_stage,
) -> DemoResult:
    """Simulate, ingest, split, train, evaluate and report; continue a demo that was stopped.

    Args:
        out: Folder for all results of the demo.
        scale: Number of synthetic patients, relative to the full demo.
        seed: Seed of the simulation.
        seeds: Number of training seeds of each method, at least 2.
        workers: Processes for simulation, ingest and training.
        overrides: Overrides of all training configurations, such as `steps=20`.
        stage: Opens the progress of each stage.

    Returns:
        The report and its summary.
    """
    folder = Path(out)
    configs = [sha256_file(find_config(f"demo/{name}")) for name in METHODS]
    made_of = sha256_json([__version__, scale, seed, seeds, list(overrides), *configs])
    finished, report = folder / "finished.json", folder / "report.html"
    if finished.exists() and report.exists():
        content = read_json(finished, what="demo")
        if content["made_of"] == made_of:
            return DemoResult(report, content["summary"], was_finished=True)
    sites = simulate_hospitals(folder, scale, seed, workers, stage=stage)
    ingest_hospitals(folder, sites, seed, workers, size=SIZE, frames=FRAMES, stage=stage)
    _freeze_split(folder, sites, stage)
    trained = _train_methods(folder, sites, overrides, seeds, workers, stage)
    adapted = _adapt_best(folder, sites, trained, workers, stage)
    summary = _evaluate_and_report(folder, sites, trained, adapted, report, stage)
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
    vocabularies: Mapping[str, str] | None = None,
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
        vocabularies: Vocabulary of the labels by hospital; None: those of `four_hospitals` and `fresh_hospitals`.
        stage: Opens the progress of each stage.
    """
    from heart2heart.ingest.pipeline import ingest
    from heart2heart.ingest.settings import IngestSettings
    from heart2heart.ingest.source_files import find_files
    from heart2heart.labels.importing import import_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.synthetic.presets import four_hospitals, fresh_hospitals

    vocabulary = vocabularies or {each.name: each.vocabulary for each in (*four_hospitals(), *fresh_hospitals())}
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
    from heart2heart.schema.split import SplitSettings
    from heart2heart.splits.certify import certify
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.propose import propose
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


def _train_methods(
    out: Path, sites: Sequence[str], overrides: Sequence[str], seeds: int, workers: int, stage: Stage
) -> dict[str, SeedRuns]:
    """Train every method with every seed; a stopped run continues from its last checkpoint.

    The runs of all methods wait in one queue, the longest first, so that no process is idle until the last ones.
    """
    from heart2heart.training.config import TrainConfig
    from heart2heart.training.seed_processes import train_in_processes
    from heart2heart.training.seeds import seed_folder, train_seeds

    stores = ", ".join(f"'{out / 'stores' / site}'" for site in sites)
    data = (f"data.stores=[{stores}]", f"data.split='{out / 'split'}'")
    configs = {method: TrainConfig.load(find_config(f"demo/{method}"), [*data, *overrides]) for method in METHODS}
    waiting, folders = dict[str, TrainConfig](), dict[str, Path]()
    for method in reversed(METHODS):
        for seed in range(seeds):
            name = f"{method}, seed {seed}"
            waiting[name] = configs[method].with_overrides([f"seed={seed}"])
            folders[name] = seed_folder(out / "runs" / method, seed)
    steps = sum(config.steps for config in waiting.values())
    with stage(f"train {len(METHODS)} methods, {seeds} seeds each", steps) as progress:
        train_in_processes(waiting, folders, workers, progress)
    # A run that failed is named here, where it is begun again; the others are finished, and are combined.
    return {
        method: train_seeds(configs[method], range(seeds), out / "runs" / method, workers=workers) for method in METHODS
    }


def _adapt_best(
    out: Path, sites: Sequence[str], trained: Mapping[str, SeedRuns], workers: int, stage: Stage
) -> list[Run]:
    """Adapt every seed of the method that validates best at the source at each held-out hospital."""
    from heart2heart.parallel import map_ordered
    from heart2heart.training.run import Run

    best = max(METHODS, key=lambda method: trained[method].record.mean)
    held_out = [site for site in sites if site != SOURCE]
    work = []
    for run in trained[best].members:
        for site in held_out:
            folder = out / "runs" / "adapted" / f"{best}-{run.path.name}-at-{site}"
            work.append(_Adaptation(run.path, out / "stores" / site, site, _unscored_patients(out, site), folder))
    with stage(f"adapt {best} at {', '.join(held_out)}", len(work)) as progress:
        for done, _ in enumerate(map_ordered(_adapt_run, work, workers), start=1):
            progress.update(done)
    return [Run.load(each.out) for each in work]


@dataclass(frozen=True)
class _Adaptation:
    """One adaptation: the run, the hospital's store, name and patients, and the folder of the new run."""

    run: Path
    store: Path
    site: str
    patients: tuple[str, ...]
    out: Path


def _unscored_patients(out: Path, site: str) -> tuple[str, ...]:
    """Return the first patients of a held-out hospital who are not scored."""
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStore

    members = SplitManifest.load(out / "split").members.to_pylist()
    scored = {row["patient"] for row in members if row["role"] == SplitRole.TEST}
    everyone = set(FrameStore.open(out / "stores" / site).clips["patient"].to_pylist())
    return tuple(sorted(everyone - scored)[:ADAPTATION_PATIENTS])


def _adapt_run(work: _Adaptation) -> None:
    """Adapt a run, unless an earlier call finished it; a folder that was left half-written is made anew."""
    import shutil

    import torch

    from heart2heart.api.adaptation import adapt

    if (work.out / "run.json").exists():
        return
    shutil.rmtree(work.out, ignore_errors=True)
    torch.set_num_threads(1)  # the processes are the parallelism
    adapt(work.run, work.store, work.out, site=work.site, patients=work.patients)


def _evaluate_and_report(
    out: Path, sites: Sequence[str], trained: Mapping[str, SeedRuns], adapted: Sequence[Run], report: Path, stage: Stage
) -> str:
    """Score every run at every hospital, write the report, and return its summary table."""
    from heart2heart.api.evaluation import evaluate
    from heart2heart.reporting.score_table import summary_table
    from heart2heart.reporting.writer import write_report
    from heart2heart.schema.predictions import Predictions

    members = [run for method in METHODS for run in trained[method].members]
    with stage("evaluate and report", 100) as progress:
        metrics = evaluate(
            [*members, *adapted],
            [out / "stores" / site for site in sites],
            out / "evaluation",
            labels=out / "labels.db",
            command="heart2heart demo",
            progress=progress,
        )
        # Read back: the report is made from the file, as anyone who receives that file could make it.
        predictions = Predictions.read(out / "evaluation" / "predictions.parquet")
        write_report(predictions, metrics, report)
    return summary_table(metrics)
