"""What an ingest does with text inside the scan."""

from __future__ import annotations

from enum import StrEnum


class TextPolicy(StrEnum):
    """What an ingest does with a clip that has text inside the scan; it is flagged `text_suspected` in any case."""

    BLANK = "blank"
    """The text is blanked in the stored frames. A clip whose text cannot be bounded is quarantined."""
    QUARANTINE = "quarantine"
    """The clip is stored as it is, and used for nothing until a person clears it."""
    REFUSE = "refuse"
    """The file is left out: `excluded:text_in_scan`."""
