"""Picks the clips to label next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.splits import open_stores
from heart2heart.errors import ConfigError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from heart2heart.store.frame_tables import FrameTables
    from heart2heart.training.run import Run


@dataclass(frozen=True)
class QueueResult:
    """Clips that are worth labeling next.

    Attributes:
        table: One row a clip, in order: `rank`, `clip`, `site`, `why`, `cost` and more.
        path: The file, for `heart2heart curate --queue`.
        available: Clips that could be picked.
        patients: Patients of the picked clips.
        labeled: Clips that had a label before.
    """

    table: pa.Table
    path: Path
    available: int
    patients: int
    labeled: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a pandas DataFrame."""
        from heart2heart.notebook import data_frame

        return data_frame(self.table)

    def __repr__(self) -> str:
        """Return the counts in one line."""
        return f"<QueueResult({self.path.name!r}): {len(self.table)} of {self.available} clips>"


@audited(AuditAction.PREDICT, beside="out", reads=["stores"], writes=["out"])
def make_queue(
    stores: str | Path | Sequence[str | Path] | FrameTables,
    out: str | Path,
    *,
    budget: int,
    by: str,
    run: str | Path | Run | None = None,
    labels: str | Path | None = None,
    earlier: str | Path | Run | None = None,
    per_patient: int | None = None,
    spread: bool = False,
    cost: str = "equal",
    spend: float | None = None,
    rare: Sequence[str] = (),
    modes: Sequence[str] = (),
    flags: str | Path | None = None,
    frames: str = "even:8",
    seed: int = 0,
    repeats: bool = False,
    predictions: str | Path | None = None,
    stage: Stage = silent_stage,
) -> QueueResult:
    """Pick the clips that are worth labeling next, each with its reason.

    Args:
        stores: The stores with the clips.
        out: File to write, `.parquet` or `.csv`.
        budget: Clips to pick.
        by: Strategy; `heart2heart queue --help` lists them.
        run: Finished run; every strategy except `random` and `audit` needs one.
        labels: Label store; labeled clips are left out.
        earlier: Run of the previous round, for `tod`.
        per_patient: Most clips of one patient.
        spread: Pick a second clip of a patient only when every patient has one.
        cost: `equal`, `time` (seconds by view, from the label store), or a file of clip and cost.
        spend: Largest total cost of the clips.
        rare: Views that `similar` looks for.
        modes: Modes of the clips. Empty takes B-mode and colour.
        flags: Flags rule, by file or packaged name. None is `usual`.
        frames: Frames of a clip to predict.
        seed: Random seed.
        repeats: Allow several clips of the same picture; an audit always does.
        predictions: File for the probabilities of all clips without a label, `.parquet` or `.csv`; it needs a run.
        stage: Opens the progress.

    Raises:
        ConfigError, UnknownNameError: arguments that do not fit the strategy.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.make_queue("store", "queue.csv", budget=3, by="random", labels="labels.db")
        <QueueResult('queue.csv'): 3 of 9 clips>
    """
    from heart2heart.active_learning.queue import QueueSettings, build_queue
    from heart2heart.active_learning.queue_file import check_queue_suffix, write_pool_predictions, write_queue
    from heart2heart.active_learning.strategies import get_strategy
    from heart2heart.active_learning.strategies.audit import AUDITS
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.task_labels import task_events
    from heart2heart.schema.enums import POOL_MODES
    from heart2heart.schema.flags_rule import read_flags_rule
    from heart2heart.schema.views import VIEWS
    from heart2heart.store.frame_sampling import FrameRule
    from heart2heart.store.near_duplicates import find_near_duplicates
    from heart2heart.utils import check_writable

    target = Path(out)
    get_strategy(by)
    check_queue_suffix(target)
    check_writable(target)
    if by in AUDITS and (per_patient is not None or spend is not None):
        what = "an audit is a random draw, which limits by patient or cost would change"
        raise ConfigError(what, where="--per-patient or --spend", remedy="Leave them out")
    if predictions is not None:
        check_queue_suffix(Path(predictions))
        if run is None:
            raise ConfigError(
                "predictions need a model", where="--predictions", remedy="Give a finished run: --run RUN"
            )
        check_writable(Path(predictions))
    FrameRule.parse(frames)
    content = {
        "by": by,
        "budget": budget,
        "spend": spend,
        "per_patient": per_patient,
        "spread": spread,
        "frames": frames,
        "modes": tuple(modes or POOL_MODES),
        "rare": tuple(rare),
        "seed": seed,
    }
    settings = QueueSettings.parse(content, where="heart2heart queue")
    if earlier is not None and by != "tod":
        raise ConfigError(
            "only the strategy tod compares with an earlier run", where="--earlier", remedy="Leave it out"
        )
    flags_rule = read_flags_rule(flags)
    opened = open_stores(stores)
    outputs, name = None, None
    if run is not None:
        from heart2heart.training.model_outputs import ModelOutputs
        from heart2heart.training.run import Run

        latest, before = (each if each is None or isinstance(each, Run) else Run.load(each) for each in (run, earlier))
        assert latest is not None
        outputs, name = ModelOutputs(latest, before), latest.name
    book = None if labels is None else LabelStore(labels)
    events = [] if book is None else book.events() if outputs is None else task_events(book, outputs.classes)
    with stage("look at the frames", len(opened.frames)) as progress:
        queue = build_queue(
            opened,
            settings,
            events=events,
            model_outputs=outputs,
            cost=cost,
            find_duplicates=None if repeats or by in AUDITS else find_near_duplicates,
            flags=flags_rule,
            views=VIEWS if book is None else book.taxonomy().views,
            progress=progress,
        )
    table = write_queue(queue, settings, target, run=name, flags=flags_rule)
    if predictions is not None:
        write_pool_predictions(queue, Path(predictions))
    patients = len({int(queue.pool.patient[pick.index]) for pick in queue.selected})
    return QueueResult(table, target, queue.pool.available, patients, int(queue.pool.labeled_mask.sum()))
