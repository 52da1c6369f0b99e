"""Label events of another version of the view taxonomy: mapped as a whole, or refused with what has no mapping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from heart2heart.errors import LabelError, MissingInputError, UnknownNameError
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.views import TAXONOMIES, TAXONOMY_VERSION, VIEWS

TaxonomyMaps = Mapping[str, Mapping[str, str]]
"""Version -> that version's name of a view -> today's name."""


def migrate_taxonomy(events: Sequence[LabelEvent], maps: TaxonomyMaps | None = None) -> list[LabelEvent]:
    """Return the events in today's taxonomy; their source tells from which version they came.

    A retraction follows the event that it takes back, whose identifier changes with its view.

    Args:
        events: All events of a file or book.
        maps: For versions that `views.TAXONOMIES` does not know; of a version that it knows, it adds names.

    Raises:
        LabelError: views without a mapping; the message lists them with their number.
    """
    known = {version: {**TAXONOMIES.get(version, {}), **dict((maps or {}).get(version, {}))}
             for version in {event.taxonomy for event in events}}  # fmt: skip
    missing = Counter(
        (event.taxonomy, word)
        for event in events
        if event.taxonomy != TAXONOMY_VERSION
        for word in {event.view, event.suggestion} - {""} - set(known[event.taxonomy])
    )
    if missing:
        listed = ", ".join(
            f"{word} of version {version} ({count})" for (version, word), count in sorted(missing.items())
        )
        remedy = "Give --taxonomy-map FILE, YAML of the form {version: {old name: new name}}; today's version is "
        raise LabelError(
            f"views without a mapping: {listed}", remedy=f"{remedy}{TAXONOMY_VERSION}; nothing was written"
        )
    renamed: dict[str, str] = {}
    found = []
    for event in events:
        if event.taxonomy == TAXONOMY_VERSION:
            found.append(event)
            continue
        words = {"": "", **known[event.taxonomy]}
        new = replace(
            event, view=words[event.view], suggestion=words[event.suggestion], taxonomy=TAXONOMY_VERSION,
            source=f"{event.source} taxonomy:{event.taxonomy}", retracts=renamed.get(event.retracts, event.retracts),
        )  # fmt: skip
        renamed[event.identifier] = new.identifier
        found.append(new)
    return found


def read_taxonomy_maps(path: Path) -> TaxonomyMaps:
    """Read a map file: YAML of the form `{version: {old name: new name}}`.

    Raises:
        MissingInputError: no such file.
        LabelError: it has another form.
        UnknownNameError: a new name is no view.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInputError("no taxonomy map here", where=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LabelError("this taxonomy map is not readable YAML", where=path) from error
    if not isinstance(content, dict) or not all(isinstance(names, dict) for names in content.values()):
        raise LabelError("a taxonomy map has the form {version: {old name: new name}}", where=path)
    maps = {str(version): {str(old): str(new) for old, new in names.items()} for version, names in content.items()}
    for names in maps.values():
        for new in names.values():
            if new not in VIEWS:
                raise UnknownNameError.among("view", new, list(VIEWS))
    return maps
