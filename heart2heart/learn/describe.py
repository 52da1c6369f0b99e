"""Renders the training section of docs/configuration.md from the configuration itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic_core import PydanticUndefined

from heart2heart.config import Config

HEAD = """## `heart2heart train`

A run takes one YAML file and any number of dotted overrides (`optimiser.lr=0.01`). An unknown key is refused. Every
resolved value is written to `config.yaml` in the run's folder.

"""


def configuration_section(kind: type[Config]) -> str:
    """Return the Markdown section that lists every key of `kind` with its default and meaning."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, default, meaning in keys(kind):
        lines.append(f"| `{key}` | {default} | {meaning} |")
    return HEAD + "\n".join(lines) + "\n"


def keys(kind: type[Config], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield dotted key, default as shown, and meaning of every leaf."""
    for name, field in kind.model_fields.items():
        inner = _nested(field.annotation)
        key = f"{prefix}{name}"
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        if inner is None:
            yield key, _shown(field.get_default(call_default_factory=True)), meaning
        elif isinstance(field.annotation, type):
            yield from keys(inner, f"{key}.")
        else:
            yield key, "see the code" if field.default is not None else "null", meaning
            yield from keys(inner, f"{key}.")


def _nested(annotation: Any) -> type[Config] | None:
    """Return the configuration that a field holds, itself or in a tuple."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Config):
            return candidate
    return None


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    return f"`{json.dumps(default, default=str)}`"
