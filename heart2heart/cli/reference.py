"""Renders the page of all commands from the command line itself; tools/docs_pages.py writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

_HEAD = """# Command line

Made from the command line at each build.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a fault of heart2heart (`HEART2HEART_DEBUG=1` shows the trace) |
| 2 | something that you can fix; one line says what |
| 130 | stopped by you |
"""


def verbs() -> Iterator[tuple[str, Any]]:
    """Yield every verb and its click command, groups walked through, in the order of the help."""
    from heart2heart.cli import app

    yield from _subcommands("heart2heart", typer.main.get_command(app))


def _subcommands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, inner in children.items():
        yield from _subcommands(f"{name} {child}", inner)


def render() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for name, command in verbs():
        text, _, example = (command.help or "").partition("Example: ")
        parts.append(f"## {name}\n\n{' '.join(text.split())}\n\n```\n{' '.join(example.split())}\n```\n")
        rows = [row for param in command.params if (row := _row(param)) is not None]
        if rows:
            parts.append("\n".join(["| argument | default | meaning |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _row(param: Any) -> str | None:
    if param.name == "help":
        return None
    is_option = param.param_type_name == "option"
    shown = ", ".join(param.opts) if is_option else (param.metavar or param.name.upper())
    default = "required" if param.required else param.default
    if default is None or callable(default) or default in ((), []):
        default = ""
    text = " ".join((param.help or "").split()).replace("|", "\\|")
    return f"| `{shown}` | {default} | {text} |"
