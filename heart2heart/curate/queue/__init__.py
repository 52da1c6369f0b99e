"""What to label next: clips chosen by one of many methods, each with its reason."""

from heart2heart.curate.queue.build import Queue, build_queue, choose
from heart2heart.curate.queue.methods import METHODS, Method, get_method
from heart2heart.curate.queue.output import write_queue
from heart2heart.curate.queue.pool import Pool
from heart2heart.curate.queue.settings import QueueSettings
from heart2heart.curate.queue.shortlist import Pick, Shortlist

__all__ = [
    "METHODS",
    "Method",
    "Pick",
    "Pool",
    "Queue",
    "QueueSettings",
    "Shortlist",
    "build_queue",
    "choose",
    "get_method",
    "write_queue",
]
