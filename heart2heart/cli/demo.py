"""The verb that shows everything at once: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path("demo_output"),
    scale: Annotated[
        float, typer.Option(min=0.05, max=20, help="Number of synthetic patients, relative to the full demo.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 7,
    workers: Annotated[int, typer.Option(min=1, help="Processes for simulation and ingest.")] = 2,
    override: Annotated[list[str] | None, typer.Option(help="Training override such as steps=20; repeatable.")] = None,
) -> None:
    """Run the whole way on four SYNTHETIC hospitals, from DICOM to a report; run it again to continue.

    Example: heart2heart demo --out demo_output --scale 0.25 --override steps=100
    """
    import time

    from heart2heart.api import run_demo
    from heart2heart.progress import progress_bar

    start = time.monotonic()
    result = run_demo(out, scale=scale, seed=seed, workers=workers, overrides=tuple(override or ()), stage=progress_bar)
    if result.was_finished:
        print(f"{result.summary}\n\nThe demo is finished (synthetic hospitals). Report: {result.report}")
        return
    print(f"\n{result.summary}\n\nDone in {time.monotonic() - start:.0f} s. All four hospitals are SYNTHETIC.")
    print(f"Report: {result.report}")
