"""The keys of each rater on the labeling page: the layout that a rater chose, or the one that does no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from heart2heart.schema.answer_keys import (
    FORMER,
    MNEMONIC,
    OTHER_ANSWERS,
    KeyLayout,
    keys_path,
    read_key_layouts,
    write_key_layout,
)
from heart2heart.schema.views import VIEWS

PRESETS = {"mnemonic": dict(MNEMONIC), "former": dict(FORMER)}
"""Layouts that a rater may choose by name."""


class RaterKeys:
    """The layouts of the raters of one label store.

    Args:
        labels: The label store.
    """

    def __init__(self, labels: Path) -> None:
        self._path, self._lock = keys_path(labels), Lock()

    def layout(self, rater: str, labeled_before: Callable[[], bool]) -> dict[str, str]:
        """Return the keys of a rater by answer, and keep them.

        A rater who labeled before there was a choice keeps the former keys; a new rater gets the mnemonic ones.

        Args:
            rater: Name of the rater.
            labeled_before: Whether the rater has labeled on the page; called only where no layout is known.
        """
        with self._lock:
            layouts = read_key_layouts(self._path)
            if rater not in layouts:
                layouts[rater] = KeyLayout(keys=PRESETS["former" if labeled_before() else "mnemonic"])
                write_key_layout(self._path, rater, layouts[rater])
        return PRESETS["mnemonic"] | layouts[rater].keys

    def choose(self, rater: str, layout: KeyLayout) -> None:
        """Keep the layout that a rater chose."""
        with self._lock:
            write_key_layout(self._path, rater, layout)


def describe_answers(keys: dict[str, str]) -> list[dict[str, Any]]:
    """Return name, title and key of each answer, in the order of the page."""
    titles = {view.name: view.title for view in VIEWS.values()} | dict(OTHER_ANSWERS)
    return [{"name": name, "title": title, "key": keys[name]} for name, title in titles.items()]
