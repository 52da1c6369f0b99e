"""The door: the only code that sees a name, an identifier or a date from outside.

Two things leave it. `pseudonyms` turns who and when into keyed pseudonyms and shifted dates; `technical` builds a new
dataset from an allow-list of technical tags. Every other tag of the file is dropped, private and free text included.
"""

from heart2heart.dicom.deidentify.allow import technical
from heart2heart.dicom.deidentify.key import Key
from heart2heart.dicom.deidentify.pseudonyms import Pseudonymizer, Pseudonyms, pseudonyms

__all__ = ["Key", "Pseudonymizer", "Pseudonyms", "pseudonyms", "technical"]
