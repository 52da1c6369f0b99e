"""Raw DICOM from a PACS into a landing folder, by DICOMweb or by C-STORE; `ingest` reads it from there."""

from heart2heart.reach.credentials import Credentials
from heart2heart.reach.landing import Landing
from heart2heart.reach.pull import PullSummary, pull
from heart2heart.reach.query import Instance, Query
from heart2heart.reach.receive import ReceiveSettings, ReceiveSummary, receive
from heart2heart.reach.server import Server

__all__ = [
    "Credentials", "Instance", "Landing", "PullSummary", "Query", "ReceiveSettings", "ReceiveSummary", "Server", "pull",
    "receive",
]  # fmt: skip
