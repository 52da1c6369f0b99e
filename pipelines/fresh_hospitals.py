"""Hospitals that chose nothing: SYNTHETIC hospitals E to H, drawn anew, for the proof of a recipe that is frozen.

    python -m pipelines.fresh_hospitals --out fresh_output --seed 2027 --budget 16
    python -m pipelines.carry_over --hospitals fresh_output --out fresh_study --way weak --seeds 5 --first-seed 10
    python -m pipelines.adaptation --hospitals fresh_output --runs fresh_study/runs/synthetic --out fresh_adaptation

The folder looks like that of a demo: stores, keys, labels and a split that trains at hospital A, of which all patients
are drawn anew as well. A has an unlabeled pool; E to H have unlabeled patients to whom a model can be adapted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.presets import FRESH_SEED, four_hospitals, fresh_hospitals
from pipelines.command_line import run
from pipelines.learning_curve import build_hospitals, build_split


def proof_hospitals(
    source: int, pool: int, held_out: int, unlabeled: int, draw: int = FRESH_SEED
) -> list[HospitalConfig]:
    """Return hospital A and hospitals E to H.

    Args:
        source: Labeled patients of A.
        pool: Unlabeled patients of A.
        held_out: Labeled patients of each other hospital.
        unlabeled: Unlabeled patients of each other hospital.
        draw: Seed that draws their machines.
    """
    counts = {"A": (source, pool)}
    return [
        hospital.model_copy(update={"patients": sum(count), "labeled_patients": count[0]})
        for hospital in (four_hospitals()[0], *fresh_hospitals(seed=draw))
        for count in [counts.get(hospital.name, (held_out, unlabeled))]
    ]


def main(
    out: Annotated[Path, typer.Option(help="Folder for hospitals, stores, labels and the split.")],
    seed: Annotated[int, typer.Option(help="Seed of the simulation and of the split.", min=0)],
    budget: Annotated[int, typer.Option(help="Labeled patients of hospital A that train.", min=1)] = 16,
    source: Annotated[int, typer.Option(help="Labeled patients of hospital A.", min=4)] = 40,
    pool: Annotated[int, typer.Option(help="Unlabeled patients of hospital A.", min=0)] = 60,
    held_out: Annotated[int, typer.Option(help="Labeled patients of each other hospital.", min=2)] = 12,
    unlabeled: Annotated[int, typer.Option(help="Unlabeled patients of each other hospital.", min=0)] = 24,
    size: Annotated[int, typer.Option(help="Side of the frames, pixels.", min=16)] = 40,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
    draw: Annotated[int, typer.Option(help="Seed that draws the machines of the other hospitals.")] = FRESH_SEED,
) -> None:
    """Simulate, ingest, and freeze the split, or find what is there."""
    hospitals = proof_hospitals(source, pool, held_out, unlabeled, draw)
    stores = FrameStores.open(build_hospitals(out, hospitals, seed=seed, size=size, workers=workers))
    split = SplitManifest.load(build_split(stores, out, out / "split", budget, seed))
    for site, role, patients, frames in split.counts():
        print(f"{site}: {role}, {patients} patients, {frames} frames")


if __name__ == "__main__":
    run(main)
