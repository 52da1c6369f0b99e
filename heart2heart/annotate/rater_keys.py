"""The keys of each rater on the labeling page: the layout that a rater chose, or the one that does no harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from heart2heart.schema.answer_keys import (
    FORMER,
    MNEMONIC,
    OTHER_ANSWERS,
    KeyLayout,
    complete_keys,
    keys_path,
    read_key_layouts,
    write_key_layout,
)
from heart2heart.schema.taxonomy import Taxonomy, read_taxonomy


class RaterKeys:
    """The layouts of the raters of one label store.

    Args:
        labels: The label store.
        taxonomy: Its views.
    """

    def __init__(self, labels: Path, taxonomy: Taxonomy | None = None) -> None:
        self._path, self._lock = keys_path(labels), Lock()
        self._taxonomy = taxonomy or read_taxonomy()
        self._preferred = {name: view.key for name, view in self._taxonomy.views.items()}
        self._preferred |= {answer: MNEMONIC[answer] for answer in OTHER_ANSWERS}
        self.presets = {
            "mnemonic": complete_keys({}, self._preferred),
            "former": complete_keys(FORMER, self._preferred),
        }

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
                keys = self.presets["former" if labeled_before() else "mnemonic"]
                layouts[rater] = KeyLayout.of_answers({"keys": keys}, self._preferred)
                write_key_layout(self._path, rater, layouts[rater])
        return complete_keys(layouts[rater].keys, self._preferred)

    def choose(self, rater: str, content: dict[str, Any]) -> dict[str, str]:
        """Keep the layout that a rater chose, and return its keys.

        Raises:
            ConfigError: an answer has no key, or a key cannot be typed or has two meanings.
        """
        layout = KeyLayout.of_answers(content, self._preferred)
        with self._lock:
            write_key_layout(self._path, rater, layout)
        return layout.keys

    def describe_answers(self, keys: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return name, title, key and coarser view (`parent`, or None) of each answer, in the order of the page."""
        titles = {name: view.title for name, view in self._taxonomy.views.items()} | dict(OTHER_ANSWERS)
        parents = {name: view.parent for name, view in self._taxonomy.views.items()}
        return [
            {"name": name, "title": title, "key": keys[name], "parent": parents.get(name)}
            for name, title in titles.items()
        ]
