"""Ingest: many clips into a store, the ledger of every file, and the processes that do the work."""

from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings, IngestSummary, Limits, parse_memory, status_table
from heart2heart.ingest.source_files import find_files, locate_files
from heart2heart.schema.status import CODES, FLAGS, StatusCode

__all__ = [
    "CODES",
    "FLAGS",
    "IngestSettings",
    "IngestSummary",
    "Ledger",
    "Limits",
    "StatusCode",
    "find_files",
    "ingest",
    "locate_files",
    "parse_memory",
    "status_table",
]
