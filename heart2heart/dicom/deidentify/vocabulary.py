"""Free text that is worth keeping, but only as a word of a closed vocabulary: vendor, stress stage, view."""

from __future__ import annotations

import re

from pydicom import Dataset

from heart2heart.dicom.faults import DAMAGE
from heart2heart.dicom.values import text
from heart2heart.views import from_code

_VENDORS = {
    "philips": "Philips", "agilent": "Philips", "atl": "Philips", "general electric": "GE", "ge": "GE", "gems": "GE",
    "g.e.": "GE", "vingmed": "GE", "kretz": "GE", "siemens": "Siemens", "acuson": "Siemens", "toshiba": "Canon",
    "canon": "Canon", "hitachi": "Hitachi", "aloka": "Hitachi", "samsung": "Samsung", "medison": "Samsung",
    "sonosite": "SonoSite", "fujifilm": "SonoSite", "esaote": "Esaote", "mindray": "Mindray", "sonoscape": "SonoScape",
    "supersonic": "SuperSonic", "tomtec": "TomTec", "terason": "Terason", "butterfly": "Butterfly",
    "zonare": "Mindray", "biosound": "Esaote", "clarius": "Clarius", "lumify": "Philips", "konica": "Konica Minolta",
}  # fmt: skip

_STAGES = {
    "rest": "rest", "resting": "rest", "baseline": "rest", "pre exercise": "rest", "pre": "rest", "low": "low dose",
    "low dose": "low dose", "mid dose": "mid dose", "mid": "mid dose", "intermediate": "mid dose",
    "intermediate dose": "mid dose", "prepeak": "mid dose", "pre peak": "mid dose", "peak": "peak",
    "peak dose": "peak", "peak exercise": "peak", "stress": "peak", "impost": "post", "imp": "post", "post": "post",
    "immediate post": "post", "post exercise": "post", "recovery": "recovery",
}  # fmt: skip

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 .,()/+&_-]{0,39}")


def vendor(header: Dataset) -> str | None:
    """Return the maker's common name, from Manufacturer or, when that is empty, from a private creator.

    An unknown maker is kept as written when it reads like a product name (letters, digits, plain punctuation).
    """
    stated = text(header, "Manufacturer")
    if stated:
        return _known_vendor(stated) or plain(stated)
    creators = (text(header, tag) for tag in sorted(header.keys()) if tag.is_private_creator)
    return next((found for found in map(_known_vendor, creators) if found is not None), None)


def _known_vendor(written: str) -> str | None:
    words = re.sub(r"[^a-z.]+", " ", written.casefold())
    for word, name in _VENDORS.items():
        if re.search(rf"(?<![a-z.]){re.escape(word)}(?![a-z])", words):
            return name
    return None


def plain(written: str) -> str | None:
    """Return `written`, blanks tidied, if it reads like a product name of at most 40 characters, else None."""
    tidy = " ".join(written.split())
    return tidy if _PLAIN.fullmatch(tidy) else None


def model(header: Dataset) -> str | None:
    """Return the model name if it reads like one."""
    return plain(text(header, "ManufacturerModelName"))


def stage(header: Dataset) -> str | None:
    """Return the stress stage (0008,2120) as a word of a short vocabulary, or None: the tag is free text."""
    return _STAGES.get(" ".join(re.sub(r"[^a-z]+", " ", text(header, "StageName").casefold()).split()))


def view(header: Dataset) -> str | None:
    """Return the view named by View Code Sequence (0054,0220) when it is a code of CID 12226: weak evidence."""
    try:
        codes = [str(item.get("CodeValue", "")).strip() for item in header.get("ViewCodeSequence") or ()]
    except DAMAGE:
        return None
    return next((found for found in map(from_code, codes) if found is not None), None)
