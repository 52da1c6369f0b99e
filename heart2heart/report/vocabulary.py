"""How each hospital's own words became views."""

from __future__ import annotations

from dataclasses import dataclass

from heart2heart.predictions import SiteInfo
from heart2heart.report.numbers import NOT_REPORTED, listed
from heart2heart.views import MAPPINGS


@dataclass(frozen=True)
class Translation:
    """One vocabulary that a hospital's labels came in.

    Attributes:
        title: What it is called.
        words: By view the words that became it; `no view` gathers those that say nothing.
    """

    title: str
    words: dict[str, str]


def translations(info: SiteInfo) -> list[Translation]:
    """Return the mapping of every vocabulary that the label events of one hospital name."""
    return [_translation(name) for name in info.vocabularies] or [Translation(NOT_REPORTED, {})]


def _translation(recorded: str) -> Translation:
    kind, _, name = recorded.partition(":")
    if not name:
        return Translation(f"labeled with the views' own names (taxonomy {recorded})", {})
    came = {"csv": "label file", "source": "public data set"}.get(kind, kind)
    words: dict[str, list[str]] = {}
    for word, view in MAPPINGS.get(name, {}).items():
        words.setdefault(view or "no view", []).append(f"“{word}”")
    return Translation(f"{came}, vocabulary “{name}”", {view: listed(found) for view, found in words.items()})
