"""Labels as events: the answer of one rater for one clip or frame, with its time; never overwritten."""

from heart2heart.labels.consensus import (
    CONSENSUS_RULES,
    TargetReadings,
    consensus_labels,
    count_labels,
    frame_labels,
    readings_by_target,
)
from heart2heart.labels.events import LabelEvent, active_events
from heart2heart.labels.exporting import export_events, export_labels
from heart2heart.labels.importing import ImportSummary, import_labels
from heart2heart.labels.label_store import LabelStore, StoredEvent

__all__ = [
    "CONSENSUS_RULES",
    "ImportSummary",
    "LabelEvent",
    "LabelStore",
    "StoredEvent",
    "TargetReadings",
    "active_events",
    "consensus_labels",
    "count_labels",
    "export_events",
    "export_labels",
    "frame_labels",
    "import_labels",
    "readings_by_target",
]
