"""The verb that lists and copies the packaged configurations: configs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("configs")(configs)


def configs(
    name: Annotated[str | None, typer.Argument(help="Name of a configuration to copy, such as demo/fixmatch.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: the configuration is printed.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of a training configuration, for editors.")
    ] = False,
) -> None:
    """List the configurations that `train` and `sweep` know by name, or copy one to edit it.

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
                "the schema is printed, and the same for every configuration", remedy="Give --schema alone"
            )
        print(json.dumps(training_schema(), indent=2))
        return
    if name is not None:
        text = copy_config(name, out)
        command = f"heart2heart train {out} --store STORE --split SPLIT --out RUN"
        print(text, end="") if out is None else print(f"{out}: train it with `{command}`")
        return
    if out is not None:
        raise ConfigError("no configuration to copy", where="--out", remedy="Give its name too")
    print(text_table(("name", "description"), [(known, describe_config(known)) for known in config_names()]))
