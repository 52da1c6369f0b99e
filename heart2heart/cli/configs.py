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
) -> None:
    """List the configurations that `train` and `sweep` know by name, or copy one to edit it.

    Example: heart2heart configs demo/fixmatch --out my_study.yaml
    """
    from heart2heart.cli.output import text_table
    from heart2heart.errors import ConfigError, ExistsError
    from heart2heart.named_configs import config_names, describe_config, find_config
    from heart2heart.utils import write_text

    if name is None:
        if out is not None:
            raise ConfigError("no configuration to copy", where="--out", remedy="Give its name too")
        print(text_table(("name", "description"), [(known, describe_config(known)) for known in config_names()]))
        return
    text = find_config(name).read_text(encoding="utf-8")
    if out is None:
        print(text, end="")
        return
    if out.exists():
        raise ExistsError("this file exists and is not overwritten", where=out, remedy="Give --out another name")
    write_text(out, text)
    print(f"{out}: train it with `heart2heart train {out} --store STORE --split SPLIT --out RUN`")
