"""Labels of a pool by the truth of its simulation: what readers would give who make no mistakes.

    python -m pipelines.pool_labels fresh_output --split split --out pool_labels.db

The folder is that of `pipelines.fresh_hospitals`. The new label store holds the labels of the folder, and one for every
clip in B-mode or colour of hospital A whose patient the split does not score. Views that are no class of the split
are `OTHER`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import ExistsError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.table_files import read_rows
from heart2heart.schema.enums import POOL_MODES, ClipMode
from heart2heart.schema.scope import REJECT_CLASS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore
from pipelines.command_line import run

SITE = "A"
SCORED = {"validation", "test"}
AT = "2026-11-28T10:00:00.000Z"


def true_events(hospitals: Path, split: SplitManifest) -> list[LabelEvent]:
    """Return one label for each clip of hospital A whose patient the split does not score.

    Args:
        hospitals: Folder with `hospitals`, `stores` and `keys`.
        split: The split, whose classes keep their names.
    """
    clips = FrameStore.open(hospitals / "stores" / SITE).clips.to_pylist()
    names = Pseudonymizer(Key.load(hospitals / "keys" / f"{SITE}.key"))
    rows, _, _ = read_rows(hospitals / "hospitals" / SITE / "truth.csv")
    views = {names.uid(row["sop_instance_uid"]): row["view"] for row in rows}
    roles = zip(split.members["patient"].to_pylist(), split.members["role"].to_pylist(), strict=True)
    scored = {patient for patient, role in roles if role in SCORED}
    return [
        LabelEvent(clip["clip"], "", view if view in split.classes else REJECT_CLASS, "truth", AT, "simulation")
        for clip in clips
        if clip["patient"] not in scored and ClipMode(clip["mode"]) in POOL_MODES
        and (view := views.get(clip["instance"])) is not None
    ]  # fmt: skip


def main(
    hospitals: Annotated[Path, typer.Argument(help="Folder of pipelines.fresh_hospitals.")],
    split: Annotated[Path, typer.Option(help="Split whose scored patients stay without these labels.")],
    out: Annotated[Path, typer.Option(help="The new label store.")],
) -> None:
    """Write the label store."""
    if out.exists():
        raise ExistsError("this label store exists", where=out, remedy="Name another file")
    manifest = SplitManifest.load(split)
    events = true_events(hospitals, manifest)
    shutil.copy(hospitals / "labels.db", out)
    LabelStore(out).append(events)
    others = sum(event.value == REJECT_CLASS for event in events)
    print(f"{len(events)} clips labeled by the truth of the simulation, {others} of them {REJECT_CLASS}")


if __name__ == "__main__":
    run(main)
