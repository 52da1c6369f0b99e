"""Renders two reference pages: all commands and all configuration keys; tools/docs_pages.py writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import typer.main
from pydantic_core import PydanticUndefined

from heart2heart.api.configuration import configuration_sections
from heart2heart.config import Config

_COMMANDS_HEAD = """# Command line

Generated from the command line at each build.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a fault of heart2heart (`HEART2HEART_DEBUG=1` shows the trace) |
| 2 | an error that you can fix; one line says what and how |
| 3 | `monitor`, `service-audit`: a test has raised the alarm |
| 130 | stopped by you |
"""

_CONFIGURATION_HEAD = """# Configuration

Generated from the code at each build. An unknown key is an error, values are checked, and nothing is evaluated.
"""


def verbs() -> Iterator[tuple[str, Any]]:
    """Yield every verb and its click command, also those of groups, in the order of the help."""
    from heart2heart.cli import app

    yield from _subcommands("heart2heart", typer.main.get_command(app))


def _subcommands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, inner in children.items():
        yield from _subcommands(f"{name} {child}", inner)


def render_commands() -> str:
    """Return the page of all commands."""
    parts = [_COMMANDS_HEAD]
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


def render_configuration() -> str:
    """Return the page of all configuration keys."""
    parts = [_CONFIGURATION_HEAD]
    for title, text, kind in configuration_sections():
        rows = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in keys(kind)]
        parts.append(
            "\n".join([f"## {title}\n", f"{text}\n", "| key | default | meaning |", "|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def keys(kind: type[Config], prefix: str = "", filled: Config | None = None) -> Iterator[tuple[str, str, str]]:
    """Yield dotted key, default as shown, and meaning of every leaf.

    Args:
        kind: The configuration.
        prefix: Put before every key.
        filled: An instance whose values are the defaults here, where `kind` is the default of a larger configuration.
    """
    for name, field in kind.model_fields.items():
        default = field.get_default(call_default_factory=True) if filled is None else getattr(filled, name)
        inner, key = _nested(field.annotation), f"{prefix}{name}"
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        if inner is None:
            yield key, _shown(default), meaning
        elif isinstance(field.annotation, type):
            yield from keys(inner, f"{key}.", default if isinstance(default, Config) else None)
        else:
            count = len(default) if isinstance(default, tuple) else 0
            yield key, f"{count} entries" if count else _shown(default), meaning
            yield from keys(inner, f"{key}.")


def _nested(annotation: Any) -> type[Config] | None:
    """Return the configuration class of a field, or of the items of its tuple; None for other fields."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Config):
            return candidate
    return None


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    return f"`{json.dumps(default, default=str)}`"
