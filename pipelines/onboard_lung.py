"""The onboarding on real ultrasound: a network trained on lung clips of one site, and the decision about another site.

    python -m pipelines.onboard_lung --lung LUNG --out onboarding_lung --direction avi-northumbria

The clips are those of `lung_data`. It is not echocardiography and no clinical claim: a few patient groups a site show
how wide the intervals are, not whether a network may be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import heart2heart as h2h
from heart2heart.cli import yield_cores
from heart2heart.csv_files import CsvWriter
from heart2heart.errors import UnknownNameError
from heart2heart.progress import progress_bar
from heart2heart.schema.enums import SplitRole
from heart2heart.utils import write_text
from pipelines.command_line import run
from pipelines.lung_data import DIRECTIONS, build_lung_split, build_lung_store
from pipelines.onboard_hospital import onboard
from pipelines.onboarding_journal import PAGE
from pipelines.onboarding_settings import OnboardingSettings

CRITERIA = """\
question: May this network tell pneumonia from normal lungs at {site}?
written_by: Demonstration
balanced_accuracy: 75
patients: 10
"""


def main(
    lung: Annotated[Path, typer.Option(help="Folder of the lung clips, with clips.csv.")],
    out: Annotated[Path, typer.Option(help="Folder for store, split, run and onboarding.")],
    direction: Annotated[str, typer.Option(help=f"Of {', '.join(DIRECTIONS)}.")] = "avi-northumbria",
    size: Annotated[int, typer.Option(help="Side of the frames, pixels.", min=32)] = 48,
    frames: Annotated[str, typer.Option(help="Frames to keep of a clip.")] = "even:12",
    steps: Annotated[int, typer.Option(help="Steps of the training.", min=1)] = 300,
    studies: Annotated[int, typer.Option(help="Simulated studies of the plan.", min=50)] = 1000,
    replicates: Annotated[int, typer.Option(help="Bootstrap replicates.", min=100)] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of split and training.", min=0)] = 0,
) -> None:
    """Build store and split, train, and go from the first step to the decision."""
    if direction not in DIRECTIONS:
        raise UnknownNameError.among("direction", direction, list(DIRECTIONS))
    _, site = DIRECTIONS[direction]
    store = build_lung_store(lung, out / f"store-{size}", size=size, frames=frames)
    split = build_lung_split(lung, store, direction, seed, out / f"split-{direction}-{seed}")
    trained = h2h.train(
        "demo/labels_only",
        out / f"run-{direction}-{seed}",
        stores=store.root,
        split=split.path,
        overrides={"steps": steps, "seed": seed},
        stage=progress_bar,
    )
    labels, criteria = out / f"labels-{site}.csv", out / f"criteria-{site}.yaml"
    rows = split.members.select(["clip", "role", "view"]).to_pylist()
    views = {row["clip"]: row["view"] for row in rows if row["role"] == SplitRole.TEST}
    labels.parent.mkdir(parents=True, exist_ok=True)
    with labels.open("w", encoding="utf-8", newline="") as file:
        CsvWriter(file).writerows([("clip", "label"), *sorted(views.items())])
    write_text(criteria, CRITERIA.format(site=site))
    settings = OnboardingSettings(
        site=site,
        run=trained.path,
        out=out / f"onboarding-{site}",
        filled_store=store.root,
        labels=labels,
        criteria=criteria,
        split=split.path,
        task="pneumonia",
        studies=studies,
        replicates=replicates,
        seed=seed,
    )
    onboard(settings)
    print(f"{settings.out / PAGE} tells every step")


if __name__ == "__main__":
    yield_cores()
    run(main)
