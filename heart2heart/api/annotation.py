"""The page in a browser where clips are labeled, and its raters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heart2heart.api.audit import audited
from heart2heart.api.stores import path_list
from heart2heart.errors import MissingInputError
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.annotate.auth import Raters


@dataclass(frozen=True)
class PageInfo:
    """A page that is ready.

    Attributes:
        address: Its address.
        queued: Clips of the queue.
        unknown: Clips of the queue that are in none of the stores.
        share: Share of clips that two raters read.
        seed: Chooses which clips are read twice.
        waiting: Clips that the page leaves out until a person clears them with `heart2heart review`.
        flagged: Other clips that the page leaves out by the flags rule.
        replaced_lock: Owner of a stale lock of the label store that was replaced; empty without one.
    """

    address: str
    queued: int
    unknown: int
    share: float
    seed: int
    waiting: int = 0
    flagged: int = 0
    replaced_lock: str = ""


@audited(AuditAction.LABEL, beside="labels", reads=["stores"], writes=["labels"])
def annotate(
    stores: str | Path | Sequence[str | Path],
    labels: str | Path,
    *,
    predictions: str | Path | None = None,
    run: str | None = None,
    queue: str | Path | None = None,
    modes: Sequence[str] = (),
    flags: str | Path | None = None,
    views: str | Path | None = None,
    ready: Callable[[PageInfo], None] | None = None,
    **settings: Any,
) -> None:
    """Serve the page where clips are labeled, until Ctrl-C.

    Args:
        stores: Frame stores with the clips.
        labels: Label store.
        predictions: `predictions.parquet`, for the grid and for suggestions.
        run: Run of the predictions, if they hold several.
        queue: Clips to label, in order. None takes all clips.
        modes: Modes of the clips. Empty takes B-mode and colour.
        flags: Flags rule, by file or packaged name. None is `usual`.
        views: Taxonomy that the label store adopts, by file or packaged name. None keeps its own.
        ready: Called once the page answers.
        settings: Other keys of `AnnotationSettings`, such as `port=8080`.

    Raises:
        ConfigError: a setting that does not exist, or the extra `curate` is not installed.
        MissingInputError: no clip of the queue is in the stores.

    Examples:
        >>> from heart2heart.api import annotate
        >>> annotate("store", "labels.db", bind="0.0.0.0")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ...
        heart2heart.errors.ConfigError: each rater needs a token
    """
    from heart2heart.annotate import require_web_extra
    from heart2heart.annotate.settings import AnnotationSettings
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.schema.enums import POOL_MODES
    from heart2heart.schema.flags_rule import read_flags_rule
    from heart2heart.schema.taxonomy import read_taxonomy

    parsed = AnnotationSettings.parse(settings | {"modes": tuple(modes or POOL_MODES)}, where="heart2heart curate")
    with require_web_extra():
        from heart2heart.annotate.server import AnnotationServer
    from heart2heart.annotate.assignments import Assignments
    from heart2heart.annotate.catalog import ClipCatalog
    from heart2heart.annotate.suggestions import read_queue, read_required_readings, read_suggestions

    book = LabelStore(labels, timeout=5)
    if views is not None:
        book.adopt_taxonomy(read_taxonomy(views))
    catalog = ClipCatalog(path_list(stores), parsed.modes, read_flags_rule(flags))
    queue_file = None if queue is None else Path(queue)
    order = None if queue_file is None else read_queue(queue_file)
    unknown = [clip for clip in order or () if clip not in catalog.clips]
    if order is not None and len(unknown) == len(order):
        remedy = "Name the stores that it was made of, and the same --mode"
        raise MissingInputError("no clip of this queue is in these stores", where=queue, remedy=remedy)
    assignments = Assignments(
        book,
        catalog,
        parsed,
        suggestions=None if predictions is None else read_suggestions(Path(predictions), run),
        queue=order,
        readings=None if queue_file is None else read_required_readings(queue_file),
    )

    def report_ready(address: str) -> None:
        plan = assignments.plan
        if ready is not None:
            ready(
                PageInfo(
                    address,
                    len(order or ()),
                    len(unknown),
                    plan.share,
                    plan.seed,
                    catalog.waiting,
                    catalog.flagged,
                    server.lock.replaced,
                )
            )

    server = AnnotationServer(assignments)
    server.run(report_ready)


def read_raters(path: str | Path) -> Raters:
    """Read the file of raters.

    Examples:
        >>> from heart2heart.api import add_rater, read_raters
        >>> token = add_rater("readers.json", "Reader 1")
        >>> [rater.name for rater in read_raters("readers.json").raters]
        ['Reader 1']
    """
    from heart2heart.annotate.auth import Raters

    return Raters.read(Path(path))


def add_rater(path: str | Path, name: str, *, adjudicator: bool = False, days: int = 90) -> str:
    """Add a rater to a file, which is created if missing, and return the token; the file holds only its hash.

    Args:
        path: The file of raters (mode 0600).
        name: Name of the rater in the label store.
        adjudicator: Whether the rater may decide disagreements.
        days: Days that the token is accepted.

    Examples:
        >>> from heart2heart.api import add_rater
        >>> len(add_rater("new_raters.json", "Reader 1", days=7)) >= 43  # 32 random bytes
        True
    """
    from heart2heart.annotate.auth import Raters, today_utc

    file = Path(path)
    known = Raters.read(file) if file.exists() else Raters()
    more, token = known.with_added(name, adjudicator=adjudicator, days=days, today=today_utc())
    more.write(file)
    return token


def remove_rater(path: str | Path, name: str) -> None:
    """Remove a rater from a file: the token is refused from now on, and the labels stay.

    Examples:
        >>> from heart2heart.api import add_rater, read_raters, remove_rater
        >>> token = add_rater("raters.json", "Reader 1")
        >>> remove_rater("raters.json", "Reader 1")
        >>> read_raters("raters.json").raters
        ()
    """
    read_raters(path).without(name).write(Path(path))
