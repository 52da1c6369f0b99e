"""Labels as events: who said what, when, of which clip; never overwritten."""

from heart2heart.curate.book import Entry, LabelBook
from heart2heart.curate.consensus import RULES, Opinions, agree, count_labels, opinions, resolve
from heart2heart.curate.events import LabelEvent, standing
from heart2heart.curate.exporting import export_csv
from heart2heart.curate.importing import ImportSummary, import_csv

__all__ = [
    "RULES",
    "Entry",
    "ImportSummary",
    "LabelBook",
    "LabelEvent",
    "Opinions",
    "agree",
    "count_labels",
    "export_csv",
    "import_csv",
    "opinions",
    "resolve",
    "standing",
]
