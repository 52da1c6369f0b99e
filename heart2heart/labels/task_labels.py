"""The labels of a label store as a task reads them: a finer label counts as the class that it is a part of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import LabelAnswer
from heart2heart.schema.split import TaskTaxonomy
from heart2heart.schema.taxonomy import read_taxonomy
from heart2heart.schema.views import VIEWS


def task_events(label_store: LabelStore, classes: Sequence[str]) -> list[LabelEvent]:
    """Return the events of a label store with the views that a task knows; see `Taxonomy.serve`.

    Readings are mapped before they are compared: `PSAX_AV` and `PSAX_MV` agree in a task that knows only `PSAX`. A
    reading of a view above a class becomes `unsure`.

    Args:
        label_store: The label store.
        classes: The classes of the task.

    Examples:
        >>> import heart2heart as h2h
        >>> len(task_events(h2h.LabelStore("labels.db"), ["PLAX", "PSAX"]))
        40
    """
    events, taxonomy = label_store.events(), label_store.taxonomy()
    if taxonomy == read_taxonomy():
        return events
    served = {view: taxonomy.serve(view, classes) for view in taxonomy.views}
    return [_served(event, served[event.view]) if event.view else event for event in active_events(events)]


def _served(event: LabelEvent, view: str | None) -> LabelEvent:
    return replace(event, view=view) if view else replace(event, view="", answer=LabelAnswer.UNSURE)


def task_taxonomy(label_store: LabelStore, classes: Sequence[str]) -> TaskTaxonomy | None:
    """Return what a split records of the taxonomy of its labels; None where the twelve basic views say all.

    Raises:
        UnknownNameError: a class is not a view of the taxonomy.
        ConfigError: a class is a part of another.
    """
    taxonomy = label_store.taxonomy()
    taxonomy.check_task(classes)
    if taxonomy == read_taxonomy():
        return None
    used = {event.view for event in active_events(label_store.events()) if event.view}
    if used | set(classes) <= VIEWS.keys() and all(taxonomy.serve(view, classes) == view for view in used):
        return None
    served = {view: taxonomy.serve(view, classes) for view in sorted(used)}
    return TaskTaxonomy(name=taxonomy.name, sha256=taxonomy.digest(), served=served)
