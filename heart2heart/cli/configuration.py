"""Renders the page of all configuration keys from the configuration classes; tools/docs_pages.py writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic_core import PydanticUndefined

from heart2heart.api.configuration import configuration_sections
from heart2heart.config import Config

_HEAD = """# Configuration

Made from the code at each build. An unknown key is an error, values are checked, and nothing is evaluated.
"""


def render() -> str:
    """Return the whole page."""
    parts = [_HEAD]
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
    """Return the configuration that a field holds, itself or in a tuple."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Config):
            return candidate
    return None


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    return f"`{json.dumps(default, default=str)}`"
