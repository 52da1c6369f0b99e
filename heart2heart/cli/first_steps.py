"""First verbs to try: demo, configs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("demo")(demo)
    app.command("configs")(configs)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all results of the demo.")] = Path("demo_output"),
    scale: Annotated[
        float, typer.Option(min=0.05, max=20, help="Number of synthetic patients, relative to the full demo.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 7,
    seeds: Annotated[int, typer.Option(min=2, max=20, help="Training seeds of each method.")] = 3,
    workers: Annotated[int, typer.Option(min=1, help="Processes for simulation, ingest and training.")] = 2,
    override: Annotated[list[str] | None, typer.Option(help="Training override such as steps=20; repeatable.")] = None,
) -> None:
    """Run every stage on four SYNTHETIC hospitals, from DICOM to a report; a stopped demo continues.

    Example: heart2heart demo --out demo_output --scale 0.25 --override steps=100
    """
    import time

    from heart2heart.api import run_demo
    from heart2heart.progress import progress_bar

    start = time.monotonic()
    overrides = tuple(override or ())
    result = run_demo(
        out, scale=scale, seed=seed, seeds=seeds, workers=workers, overrides=overrides, stage=progress_bar
    )
    if result.was_finished:
        print(f"{result.summary}\n\nThe demo is finished (synthetic hospitals). Report: {result.report}")
        return
    print(f"\n{result.summary}\n\nDone in {time.monotonic() - start:.0f} s. All four hospitals are SYNTHETIC.")
    print(f"Report: {result.report}")


def configs(
    name: Annotated[str | None, typer.Argument(help="Name of a configuration to copy, such as demo/fixmatch.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: print the configuration.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of a training configuration, for editors.")
    ] = False,
) -> None:
    """List the packaged configurations that `train` and `sweep` take by name, or copy one to edit it.

    Example: heart2heart configs demo/fixmatch --out my_study.yaml
    """
    from heart2heart.api import config_names, copy_config, describe_config
    from heart2heart.cli.output import text_table
    from heart2heart.errors import ConfigError

    if schema:
        import json

        from heart2heart.api import training_schema

        if name is not None or out is not None:
            raise ConfigError(
                "--schema takes neither a name nor --out: every configuration has this schema",
                remedy="Give --schema alone",
            )
        print(json.dumps(training_schema(), indent=2))
        return
    if name is not None:
        text = copy_config(name, out)
        command = f"heart2heart train {out} --store STORE --split SPLIT --out RUN"
        print(text, end="") if out is None else print(f"{out}: train it with `{command}`")
        return
    if out is not None:
        raise ConfigError("no configuration to copy", where="--out", remedy="Give its name as well")
    print(text_table(("name", "description"), [(known, describe_config(known)) for known in config_names()]))
