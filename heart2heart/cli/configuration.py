"""Renders the page of all configuration keys from the configuration classes; tools/docs_pages.py writes it."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic_core import PydanticUndefined

from heart2heart.config import Config

_HEAD = """# Configuration

Made from the code at each build. An unknown key is an error, values are checked, and nothing is evaluated.
"""


def sections() -> tuple[tuple[str, str, type[Config]], ...]:
    """Return title, explanation and class of each configuration."""
    from heart2heart.active_learning.queue import QueueSettings
    from heart2heart.annotate.settings import AnnotationSettings
    from heart2heart.ingest.settings import IngestSettings, Limits
    from heart2heart.pacs.connection import Credentials
    from heart2heart.pacs.query import PacsQuery
    from heart2heart.pacs.storage_scp import ReceiveSettings
    from heart2heart.splits.settings import SplitSettings
    from heart2heart.synthetic.config import HospitalConfig
    from heart2heart.training.config import TrainConfig

    train = (
        "`heart2heart train` takes one YAML file and any number of dotted overrides (`optimiser.lr=0.01`). Every\n"
        "resolved value is written to `config.yaml` in the run's folder."
    )
    return (
        ("Training", train, TrainConfig),
        *_methods(),
        ("Ingest", "Options of `heart2heart ingest`, and `IngestSettings` in Python.", IngestSettings),
        (
            "Limits of one file",
            "`--file-seconds` and `--file-memory` of `heart2heart ingest`, and `Limits` in Python.",
            Limits,
        ),
        (
            "Query of a PACS",
            "The file of `heart2heart pull --query`, and `Query` in Python. See [From a PACS](../reach.md).",
            PacsQuery,
        ),
        ("Receiver", "Options of `heart2heart receive`, and `ReceiveSettings` in Python.", ReceiveSettings),
        ("Page of labels", "Options of `heart2heart curate`, and `AnnotationSettings` in Python.", AnnotationSettings),
        ("Queue of clips to label", "Options of `heart2heart queue`, and `QueueSettings` in Python.", QueueSettings),
        (
            "Credentials of a DICOMweb server",
            "The file of `heart2heart pull --credentials`, which must have mode 0600, and `Credentials` in Python.",
            Credentials,
        ),
        ("Split", "Options of `heart2heart split`, and `SplitSettings` in Python.", SplitSettings),
        (
            "Synthetic hospitals",
            "`HospitalConfig` in Python; `heart2heart simulate` uses four presets.",
            HospitalConfig,
        ),
    )


def _methods() -> Iterator[tuple[str, str, type[Config]]]:
    """Yield a section for each method that has settings."""
    from heart2heart.training.algorithms import ALGORITHMS

    for name, kind in ALGORITHMS.items():
        if kind.model_fields:
            page = (inspect.getdoc(sys.modules[kind.__module__]) or "").splitlines()[0]
            yield f"Method {name}", f"{page} Given under `method.params`.", kind


def render() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for title, text, kind in sections():
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
