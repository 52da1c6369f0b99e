"""How accuracy rises with the number of labeled patients, on SYNTHETIC hospitals A to D and without a pool.

    python -m pipelines.learning_curve --out learning_curve_output --seeds 3

Hospital A has 48 labeled patients, of whom 40 % test and 15 % validate; B, C and D have ten each. Labels only are
trained with 4, 8 and 16 patients of A. The study can be stopped and continued.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.hospital import simulate_hospital
from heart2heart.synthetic.presets import four_hospitals
from pipelines.carry_over import CarryOverRun, CarryOverTask, plan_text, run_and_report
from pipelines.command_line import run

SITES = ("A", "B", "C", "D")
SIMULATION_SEED = 7
WAY = "weak"


def labeled_hospitals(source: int, held_out: int) -> list[HospitalConfig]:
    """Return hospitals A to D, with this number of patients at A and at each other one, all of them labeled."""
    counts = {hospital.name: source if hospital.name == SITES[0] else held_out for hospital in four_hospitals()}
    return [
        hospital.model_copy(update={"patients": counts[hospital.name], "labeled_patients": counts[hospital.name]})
        for hospital in four_hospitals()
    ]


def build_hospitals(
    out: Path, hospitals: Sequence[HospitalConfig], *, seed: int, size: int, workers: int
) -> tuple[Path, ...]:
    """Simulate and ingest hospitals, or find them; return their stores.

    Args:
        out: Receives `hospitals/`, `stores/` and `labels.db`.
        hospitals: The hospitals.
        seed: Seed of the simulation.
        size: Side of the frames, pixels.
        workers: Processes.
    """
    for hospital in hospitals:
        with progress_bar(f"simulate hospital {hospital.name}", hospital.patients) as progress:
            simulate_hospital(hospital, out / "hospitals", seed, workers=workers, progress=progress)
    words = {hospital.name: hospital.vocabulary for hospital in hospitals}
    ingest_hospitals(
        out, list(words), seed, workers, size=size, frames="even:8", vocabularies=words, stage=progress_bar
    )
    return tuple(out / "stores" / site for site in words)


def build_split(stores: FrameStores, out: Path, path: Path, budget: int, seed: int) -> Path:
    """Freeze and certify the split with the labels of `budget` patients, or find it; return its folder.

    Args:
        stores: Stores of all hospitals; `SITES[0]` trains.
        out: Holds `labels.db`.
        path: Folder of the split.
        budget: Labeled patients that train.
        seed: Seed of the split.
    """
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
    plan: Annotated[bool, typer.Option("--plan", help="Print the cost by finished runs, and stop.")] = False,
) -> None:
    """Run what is missing of the study, then write `results.md`."""
    hospitals = labeled_hospitals(source, held_out)
    stores = build_hospitals(out, hospitals, seed=SIMULATION_SEED, size=size, workers=workers)
    opened = FrameStores.open(stores)
    settings = ("steps=600", *(override or ()))
    jobs = []
    for patients in budget or [4, 8, 16]:
        splits = {
            seed: build_split(opened, out, out / "splits" / f"{patients}-patients-seed{seed}", patients, seed)
            for seed in range(seeds)
        }
        task = CarryOverTask(f"{patients:02d} labeled patients", "synthetic", stores, splits)
        jobs += [
            CarryOverRun(task, WAY, seed, settings, out / "runs" / f"{patients}-seed{seed}") for seed in range(seeds)
        ]
    if plan:
        print(plan_text(jobs, out, workers))
        return
    run_and_report(jobs, [WAY], out, workers)


if __name__ == "__main__":
    run(main)
