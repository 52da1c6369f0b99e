"""Maps free text to closed vocabularies: manufacturer, model, stress stage, view, phase. Other text is dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset

from heart2heart.deidentify.manufacturers import known_manufacturer, manufacturer_name, model_name
from heart2heart.deidentify.pseudonyms import Key
from heart2heart.dicom.header_values import DECODE_ERRORS, integer, text, texts
from heart2heart.errors import DicomError
from heart2heart.schema.views import VIEWS, VOCABULARIES, view_from_code

_STAGES = {
    "rest": "rest", "resting": "rest", "baseline": "rest", "pre exercise": "rest", "pre": "rest", "low": "low dose",
    "low dose": "low dose", "mid dose": "mid dose", "mid": "mid dose", "intermediate": "mid dose",
    "intermediate dose": "mid dose", "prepeak": "mid dose", "pre peak": "mid dose", "peak": "peak",
    "peak dose": "peak", "peak exercise": "peak", "stress": "peak", "impost": "post", "imp": "post", "post": "post",
    "immediate post": "post", "post exercise": "post", "recovery": "recovery",
}  # fmt: skip

_VIEWS = {
    **{"".join(re.findall(r"[a-z0-9]+", word)): view for word, view in VOCABULARIES["clinical"].items()},
    **{"".join(re.findall(r"[a-z0-9]+", name.casefold())): name for name in VIEWS},
    "lax": "PLAX", "plaxview": "PLAX", "longaxis": "PLAX", "sax": "PSAX", "saxpm": "PSAX", "saxmv": "PSAX",
    "saxap": "PSAX", "shortaxis": "PSAX", "4ch": "A4C", "4c": "A4C", "ap4": "A4C", "ap4c": "A4C", "ap4ch": "A4C",
    "a4ch": "A4C", "apical4": "A4C", "2ch": "A2C", "2c": "A2C", "ap2": "A2C", "ap2c": "A2C", "ap2ch": "A2C",
    "a2ch": "A2C", "apical2": "A2C", "3ch": "A3C", "3c": "A3C", "ap3": "A3C", "ap3c": "A3C", "a3ch": "A3C",
    "alax": "A3C", "aplax": "A3C", "aplx": "A3C", "apicallax": "A3C", "5ch": "A5C", "ap5": "A5C", "sc4c": "SUBCOSTAL",
    "sc": "SUBCOSTAL",
}  # fmt: skip

_PHASES = {
    "ed": "ED", "end diastole": "ED", "end diastolic": "ED", "enddiastole": "ED", "rwave": "ED", "r wave": "ED",
    "r wave number": "ED", "es": "ES", "end systole": "ES", "end systolic": "ES", "endsystole": "ES",
}  # fmt: skip

_POINTED = {"diastolic": "ED", "systolic": "ES"}  # as PS3.3 C.7.6.9 describes single frames; else a whole half beat

MAX_STAGES = 99
"""Largest number of stages, or of views of a stage, in a stress protocol."""


def manufacturer(header: Dataset, key: Key | None = None) -> str | None:
    """Return the manufacturer's common name, from Manufacturer or, if it is empty, from a private creator.

    An unknown manufacturer becomes a label; see `deidentify.manufacturers`.
    """
    if stated := text(header, "Manufacturer").strip():
        return manufacturer_name(stated, key)
    creators = (text(header, tag) for tag in sorted(header.keys()) if tag.is_private_creator)
    return next((name for name in map(known_manufacturer, creators) if name is not None), None)


def model(header: Dataset, key: Key | None = None) -> str | None:
    """Return the model's name in the vocabulary, or a label for an unknown model."""
    stated = text(header, "ManufacturerModelName").strip()
    return model_name(stated, key) if stated else None


def stage(header: Dataset) -> str | None:
    """Return the stress stage (0008,2120) as a term of a closed vocabulary, or None. The tag is free text."""
    return _STAGES.get(" ".join(re.sub(r"[^a-z]+", " ", text(header, "StageName").casefold()).split()))


def protocol_number(header: Dataset, name: str) -> int | None:
    """Return a stage's or view's number, or how many there are; None outside a protocol, which scanners write as 0."""
    number = integer(header, name)
    return number if number is not None and 1 <= number <= MAX_STAGES else None


def phases(header: Dataset, name: str) -> list[str]:
    """Return `ED`, `ES` or an empty text for each value of `name`; an empty list when no value is one of the two.

    Args:
        header: The file's dataset as read.
        name: Frame Label Vector, or type or description of the frames of interest.
    """
    words = (" ".join(re.sub(r"[^a-z]+", " ", written.casefold()).split()) for written in texts(header, name))
    known = _PHASES | _POINTED if name == "FrameOfInterestDescription" else _PHASES
    labels = [known.get(word, "") for word in words]
    return labels if any(labels) else []


def view_name(header: Dataset) -> str | None:
    """Return the view that View Name (0008,2127) names by a common term, or None. The tag is free text."""
    return _VIEWS.get("".join(re.findall(r"[a-z0-9]+", text(header, "ViewName").casefold())))


def coded_view(header: Dataset) -> str | None:
    """Return the view named by View Code Sequence (0054,0220) when it is a code of CID 12226: weak evidence."""
    try:
        codes = [
            (str(item.get("CodeValue", "")).strip(), str(item.get("CodingSchemeDesignator", "")).strip() or "SCT")
            for item in header.get("ViewCodeSequence") or ()
        ]
    except DECODE_ERRORS:
        return None
    return next((view for view in (view_from_code(*code) for code in codes) if view is not None), None)


@contextmanager
def attach_manufacturer(header: Dataset) -> Iterator[None]:
    """Set the manufacturer of a `DicomError` that leaves the block, by the rules that hold for accepted clips.

    Args:
        header: The dataset, as read, of the file that the error is about.
    """
    try:
        yield
    except DicomError as error:
        error.manufacturer = manufacturer(header)
        raise
