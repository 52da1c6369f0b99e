"""Labels as events: who said what, when, of which clip; never overwritten."""

from heart2heart.curate.book import Entry, LabelBook
from heart2heart.curate.consensus import RULES, Opinions, agree, count_labels, opinions, resolve
from heart2heart.curate.events import LabelEvent, standing
from heart2heart.curate.exchange import ImportSummary, export_events, export_labels, import_labels

__all__ = [
    "RULES",
    "Entry",
    "ImportSummary",
    "LabelBook",
    "LabelEvent",
    "Opinions",
    "agree",
    "count_labels",
    "export_events",
    "export_labels",
    "import_labels",
    "opinions",
    "resolve",
    "standing",
]
