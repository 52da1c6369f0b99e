"""De-identification: the only code that reads names, identifiers and dates of DICOM files.

`pseudonymize` turns identifiers and dates into keyed pseudonyms and shifted dates. `technical_dataset` builds a new
dataset from an allow-list of technical tags; it drops every other tag, private tags and free text included. `load_clip`
turns one file into de-identified frames.
"""

from heart2heart.deidentify.clip import PreparedClip, load_clip
from heart2heart.deidentify.header import technical_dataset
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer, Pseudonyms, pseudonymize

__all__ = [
    "Key",
    "PreparedClip",
    "Pseudonymizer",
    "Pseudonyms",
    "load_clip",
    "pseudonymize",
    "technical_dataset",
]
