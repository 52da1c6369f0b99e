"""The taxonomy of views of a label store: shown as a tree, and adopted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.labels import open_label_store
from heart2heart.errors import ConfigError

if TYPE_CHECKING:
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.schema.taxonomy import Taxonomy


@dataclass(frozen=True)
class ViewRow:
    """One view of a taxonomy.

    Attributes:
        depth: Number of views above it.
        name: Name of the view.
        title: What a clinician reads.
        key: Key on the label page; empty where the page chooses.
        labels: Clips and frames that are labeled with this view.
        with_finer: The same, with those of finer views.
    """

    depth: int
    name: str
    title: str
    key: str
    labels: int
    with_finer: int


@dataclass(frozen=True)
class ViewTree:
    """A taxonomy and its labels.

    Attributes:
        taxonomy: The taxonomy.
        rows: Its views, finer ones after their parent.
    """

    taxonomy: Taxonomy
    rows: tuple[ViewRow, ...]


def views_of(labels: str | Path | LabelStore | None, views: str | Path | None = None) -> Taxonomy:
    """Return the taxonomy that is named, or else that of a label store.

    Examples:
        >>> from heart2heart.api.views import views_of
        >>> views_of("labels.db").name, views_of("labels.db", "usual").name
        ('basic', 'usual')
    """
    from heart2heart.schema.taxonomy import read_taxonomy

    if views is not None:
        return read_taxonomy(views)
    return read_taxonomy() if labels is None else open_label_store(labels).taxonomy()


def show_views(
    labels: str | Path | LabelStore | None = None, views: str | Path | None = None, *, rule: str = "latest"
) -> ViewTree:
    """Return a taxonomy as a tree, with the number of labels of each view.

    Args:
        labels: The label store. None counts no labels.
        views: Taxonomy, by file or packaged name. None takes that of the label store.
        rule: How a clip's events become one label.

    Raises:
        ConfigError: the file is no taxonomy.

    Examples:
        >>> from heart2heart.api import show_views
        >>> [(row.name, row.labels, row.with_finer) for row in show_views("labels.db", "usual").rows][:3]
        [('PLAX', 10, 10), ('PSAX', 10, 10), ('PSAX_AV', 0, 0)]
    """
    from collections import Counter

    from heart2heart.labels.consensus import consensus_labels

    taxonomy = views_of(labels, views)
    book = None if labels is None else open_label_store(labels)
    events = book.events() if book is not None and book.path.exists() else []
    counts = Counter(consensus_labels(events, rule).values())
    with_finer: Counter[str] = Counter()
    for name in taxonomy.views:
        for above in taxonomy.lineage(name):
            with_finer[above] += counts[name]
    rows = tuple(
        ViewRow(depth, name, taxonomy.views[name].title, taxonomy.views[name].key or "", counts[name], with_finer[name])
        for depth, name in taxonomy.tree()
    )
    return ViewTree(taxonomy, rows)


def adopt_views(labels: str | Path | LabelStore | None, views: str | Path | None) -> None:
    """Let a label store adopt a taxonomy; earlier labels keep their meaning.

    Args:
        labels: The label store.
        views: Taxonomy, by file or packaged name.

    Raises:
        ConfigError: no label store or no taxonomy is named, or the file is no taxonomy.
        LabelError: the taxonomy lacks views that are in use; the message counts their labels.

    Examples:
        >>> from heart2heart.api import adopt_views, show_views
        >>> adopt_views("fine.db", "usual")
        >>> show_views("fine.db").taxonomy.name
        'usual'
    """
    from heart2heart.schema.taxonomy import read_taxonomy

    if labels is None or views is None:
        raise ConfigError("a label store adopts a taxonomy", remedy="Give --labels LABELS and --views FILE or usual")
    open_label_store(labels).adopt_taxonomy(read_taxonomy(views))
