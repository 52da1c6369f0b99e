"""Labels from and for others: hospital tables, exports of events, DICOM headers and reports, Label Studio."""

from heart2heart.curate.exchange.exporting import FORMATS as EXPORT_FORMATS
from heart2heart.curate.exchange.exporting import export_events, export_labels
from heart2heart.curate.exchange.importing import FORMATS as IMPORT_FORMATS
from heart2heart.curate.exchange.importing import ImportSummary, import_labels

__all__ = ["EXPORT_FORMATS", "IMPORT_FORMATS", "ImportSummary", "export_events", "export_labels", "import_labels"]
