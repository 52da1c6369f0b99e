"""How accuracy rises with the number of labeled patients, on SYNTHETIC hospitals A to D and without a pool.

    python -m pipelines.learning_curve --out learning_curve_output --seeds 3

Hospital A has 48 labeled patients, of whom 40 % test and 15 % validate; B, C and D have ten each. Labels only are
trained with 4, 8 and 16 patients of A. The study can be stopped and continued.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.demo import ingest_hospitals
from heart2heart.labels.consensus import frame_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.progress import progress_bar
from heart2heart.schema.split import SplitSettings
from heart2heart.splits.certify import certify
from heart2heart.splits.manifest import SplitManifest
from heart2heart.splits.propose import propose
from heart2heart.store.frame_store import FrameStores
from heart2heart.synthetic.hospital import simulate_hospital
from heart2heart.synthetic.presets import four_hospitals
from pipelines.carry_over import CarryOverRun, CarryOverTask, run_study
from pipelines.command_line import run

SITES = ("A", "B", "C", "D")
SIMULATION_SEED = 7
WAY = "weak"


def build_hospitals(out: Path, source: int, held_out: int, *, size: int, workers: int) -> tuple[Path, ...]:
    """Simulate and ingest hospitals whose patients are all labeled, or find them; return their stores.

    Args:
        out: Receives `hospitals/`, `stores/` and `labels.db`.
        source: Patients of hospital A.
        held_out: Patients of each other hospital.
        size: Side of the frames, pixels.
        workers: Processes.
    """
    for hospital in four_hospitals():
        patients = source if hospital.name == SITES[0] else held_out
        config = hospital.model_copy(update={"patients": patients, "labeled_patients": patients})
        with progress_bar(f"simulate hospital {hospital.name}", patients) as progress:
            simulate_hospital(config, out / "hospitals", SIMULATION_SEED, workers=workers, progress=progress)
    ingest_hospitals(out, SITES, SIMULATION_SEED, workers, size=size, frames="even:8", stage=progress_bar)
    return tuple(out / "stores" / site for site in SITES)


def build_split(stores: FrameStores, out: Path, budget: int, seed: int) -> Path:
    """Freeze and certify the split with the labels of `budget` patients, or find it; return its folder."""
    path = out / "splits" / f"{budget}-patients-seed{seed}"
    if not (path / "split.json").exists():
        labels = frame_labels(LabelStore(out / "labels.db").events(), stores.frames)
        settings = SplitSettings(
            name=path.name, source=SITES[:1], validation=0.15, test=0.4, label_budget=budget, seed=seed
        )
        propose(stores, labels, settings, path)
    split = SplitManifest.load(path)
    if not (path / "certificate.json").exists():
        certify(split, stores)
    split.require_certified()
    return path


def main(
    out: Annotated[Path, typer.Option(help="Folder for all that the study makes.")] = Path("learning_curve_output"),
    budget: Annotated[list[int] | None, typer.Option(help="Labeled patients; repeatable. 4, 8 and 16.")] = None,
    source: Annotated[int, typer.Option(help="Labeled patients of hospital A.", min=4)] = 48,
    held_out: Annotated[int, typer.Option(help="Labeled patients of each other hospital.", min=2)] = 10,
    seeds: Annotated[int, typer.Option(help="Seeds of split and training.", min=1)] = 3,
    size: Annotated[int, typer.Option(help="Side of the frames, pixels.", min=16)] = 32,
    override: Annotated[list[str] | None, typer.Option(help="Setting for every run; repeatable.")] = None,
    workers: Annotated[int, typer.Option(help="Processes, each on one core.", min=1)] = 2,
) -> None:
    """Run what is missing of the study, then write `results.md`."""
    stores = build_hospitals(out, source, held_out, size=size, workers=workers)
    opened = FrameStores.open(stores)
    settings = ("steps=600", *(override or ()))
    jobs = []
    for patients in budget or [4, 8, 16]:
        splits = {seed: build_split(opened, out, patients, seed) for seed in range(seeds)}
        task = CarryOverTask(f"{patients:02d} labeled patients", "synthetic", stores, splits)
        jobs += [
            CarryOverRun(task, WAY, seed, settings, out / "runs" / f"{patients}-seed{seed}") for seed in range(seeds)
        ]
    run_study(jobs, [WAY], out, workers)


if __name__ == "__main__":
    run(main)
