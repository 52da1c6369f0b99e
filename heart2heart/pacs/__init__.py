"""Fetches and receives raw DICOM from a PACS, by DICOMweb or C-STORE, into a spool folder that `ingest` reads."""

from heart2heart.pacs.connection import Credentials
from heart2heart.pacs.dicomweb import DicomWebClient, PacsQuery
from heart2heart.pacs.retrieve import RetrieveSummary, retrieve
from heart2heart.pacs.search import InstanceReference
from heart2heart.pacs.spool import Spool
from heart2heart.pacs.storage_scp import ReceiveSettings, ReceiveSummary, receive

__all__ = [
    "Credentials",
    "DicomWebClient",
    "InstanceReference",
    "PacsQuery",
    "ReceiveSettings",
    "ReceiveSummary",
    "RetrieveSummary",
    "Spool",
    "receive",
    "retrieve",
]
