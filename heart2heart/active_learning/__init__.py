"""What to label next: clips chosen by one of many methods, each with its reason."""

from heart2heart.active_learning.budgeted_selection import BudgetedSelection, QueryStrategy, SelectedClip
from heart2heart.active_learning.pool import ClipPool
from heart2heart.active_learning.queue import LabelingQueue, QueueSettings, build_queue, select_clips
from heart2heart.active_learning.queue_file import write_queue
from heart2heart.active_learning.strategies import STRATEGIES, get_strategy

__all__ = [
    "STRATEGIES",
    "BudgetedSelection",
    "ClipPool",
    "LabelingQueue",
    "QueryStrategy",
    "QueueSettings",
    "SelectedClip",
    "build_queue",
    "get_strategy",
    "select_clips",
    "write_queue",
]
