"""Labels as events: who said what, when, of which clip; never overwritten."""

from heart2heart.curate.consensus import RULES, resolve
from heart2heart.curate.events import LabelBook, LabelEvent
from heart2heart.curate.importing import ImportSummary, import_csv

__all__ = ["RULES", "ImportSummary", "LabelBook", "LabelEvent", "import_csv", "resolve"]
