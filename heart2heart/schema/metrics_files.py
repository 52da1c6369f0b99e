"""Reads and writes `metrics.json` and `folds.json`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from heart2heart.config import Config
from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.fold_metrics import FOLD_SCHEMA_VERSION, FoldMetrics
from heart2heart.schema.metrics import SCHEMA_VERSION, Metrics
from heart2heart.utils import read_json, write_json


def write_folds(metrics: FoldMetrics, path: Path) -> None:
    """Write `folds.json`, whole or not at all."""
    write_json(path, metrics.model_dump(mode="json"))


def read_folds(path: Path) -> FoldMetrics:
    """Read a `folds.json`.

    Raises:
        MissingInputError: no such file.
        EvaluationError: of another schema version, or not as docs/metrics.md describes it.
    """
    what = "folds.json"
    return read_versioned(path, FoldMetrics, version=FOLD_SCHEMA_VERSION, what=what, verb="folds", upgrade=_upgrade)


def _upgrade(content: dict[str, Any]) -> dict[str, Any] | None:
    """Return version 1 in the layout of version 2: its titles alone say which method extends which."""
    if content.get("schema_version") != 1:
        return None
    titles = [method["method"] for method in content["methods"]]
    methods = []
    for method in content["methods"]:
        base = max((title for title in titles if method["method"].startswith(f"{title} + ")), key=len, default=None)
        addition = method["method"].removeprefix(f"{base} + ") if base else None
        methods.append({**method, "extends": base, "addition": addition})
    return {**content, "schema_version": FOLD_SCHEMA_VERSION, "methods": methods}


def write_metrics(metrics: Metrics, path: Path) -> None:
    """Write `metrics.json`, whole or not at all."""
    write_json(path, metrics.to_json())


def read_metrics(path: Path) -> Metrics:
    """Read a `metrics.json`.

    Raises:
        MissingInputError: no such file.
        StoreError: not JSON.
        EvaluationError: of another schema version, or not as docs/metrics.md describes it.
    """
    return read_versioned(path, Metrics, version=SCHEMA_VERSION, what="metrics file", verb="evaluate")


M = TypeVar("M", bound=Config)


def read_versioned(
    path: Path,
    kind: type[M],
    *,
    version: int,
    what: str,
    verb: str,
    upgrade: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
) -> M:
    """Read a JSON file into its model.

    Args:
        path: The file.
        kind: The model.
        version: The schema version it must have.
        what: What a message calls the file.
        verb: The verb that writes it.
        upgrade: Returns the content of an older version in today's layout, or None if it cannot.

    Raises:
        MissingInputError: no such file.
        StoreError: not JSON.
        EvaluationError: of another schema version, or not as docs/metrics.md describes it.
    """
    content = read_json(path, what=what)
    if upgrade and isinstance(content, dict) and content.get("schema_version") != version:
        try:
            content = upgrade(content) or content
        except (KeyError, TypeError, AttributeError) as error:
            raise EvaluationError("these metrics are damaged", where=path, remedy="Evaluate again") from error
    if not isinstance(content, dict) or content.get("schema_version") != version:
        remedy = f"This version reads schema {version}; run `heart2heart {verb}` again"
        raise EvaluationError("these metrics have another schema version", where=path, remedy=remedy)
    try:
        return kind.parse(content, where=path)
    except ConfigError as error:
        raise EvaluationError("these metrics are damaged", where=path, remedy="Evaluate again") from error
