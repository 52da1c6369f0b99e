"""Labels as events: who said what, when, of which clip; never overwritten."""

from heart2heart.curate.consensus import RULES, count_labels, resolve
from heart2heart.curate.events import LabelBook, LabelEvent
from heart2heart.curate.exporting import export_csv
from heart2heart.curate.importing import ImportSummary, import_csv

__all__ = ["RULES", "ImportSummary", "LabelBook", "LabelEvent", "count_labels", "export_csv", "import_csv", "resolve"]
