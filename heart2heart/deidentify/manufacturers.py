"""Makers and models by a closed vocabulary: service staff type hospitals' and persons' names into both tags.

What is not in the vocabulary becomes a label that follows from the key, so that clips of one unknown machine can still
be told from those of another.
"""

from __future__ import annotations

import re

from heart2heart.deidentify.pseudonyms import Key

_MANUFACTURERS = {
    "philips": "Philips", "agilent": "Philips", "atl": "Philips", "general electric": "GE", "ge": "GE", "gems": "GE",
    "g.e.": "GE", "vingmed": "GE", "kretz": "GE", "siemens": "Siemens", "acuson": "Siemens", "toshiba": "Canon",
    "canon": "Canon", "hitachi": "Hitachi", "aloka": "Hitachi", "samsung": "Samsung", "medison": "Samsung",
    "sonosite": "SonoSite", "fujifilm": "SonoSite", "esaote": "Esaote", "mindray": "Mindray", "sonoscape": "SonoScape",
    "supersonic": "SuperSonic", "tomtec": "TomTec", "terason": "Terason", "butterfly": "Butterfly",
    "zonare": "Mindray", "biosound": "Esaote", "clarius": "Clarius", "lumify": "Philips", "konica": "Konica Minolta",
    "northwind imaging (synthetic)": "Northwind Imaging (synthetic)",
    "tarnmoor medical (synthetic)": "Tarnmoor Medical (synthetic)",
    "corvid ultrasound (synthetic)": "Corvid Ultrasound (synthetic)",
}  # fmt: skip

_MODEL_FAMILIES = (
    "EPIQ", "Affiniti", "CX50", "CX30", "iE33", "iU22", "HD3", "HD7", "HD11", "HD15", "HDI", "Sonos", "Envisor",
    "ClearVue", "Sparq", "Lumify", "InnoSight", "Compact", "Vivid", "LOGIQ", "Voluson", "Venue", "Vscan", "EchoPAC",
    "Versana", "ACUSON", "SC2000", "S1000", "S2000", "S3000", "X150", "X300", "X500", "X600", "X700", "CV70", "P500",
    "Sequoia", "Cypress", "Antares", "Freestyle", "Juniper", "Redwood", "Origin", "Aspen", "Aplio", "Artida", "Xario",
    "Viamo", "PowerVision", "Nemio", "SSA", "HI VISION", "ARIETTA", "ProSound", "SSD", "Lisendo", "Noblus", "EUB",
    "HM70", "RS80", "RS85", "WS80", "HS40", "HS50", "HS60", "HS70", "EKO7", "UGEO", "Accuvix", "SonoAce", "M-Turbo",
    "Turbo", "Edge", "X-Porte", "MicroMaxx", "Titan", "iViz", "MyLab", "DC", "Resona", "TE7", "Aixplorer",
    "Image-Arena", "uSmart", "Sonimage", "NW", "Halcyon", "TM Vista", "Corvid Q",
)  # fmt: skip
# What may follow a family: `95`, `E95`, `7C`, `70G`, `Pro`, no more digits than a machine's number has.
_VARIANT = r"(?:[A-Z]{0,3}[0-9]{1,4}[A-Z]{0,2}|[A-Z]|iq|Pro|Elite|Expert|Dimension|Ultra Edition|XL|XG|CV|CVx|SE)"
_MODELS = {
    name: re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?:[ -]?{_VARIANT})?(?![A-Za-z0-9])", re.IGNORECASE)
    for name in _MODEL_FAMILIES
}
_LABEL = re.compile(r"unknown (?:maker|model)(?: [0-9a-f]{4})?")


def known_manufacturer(written: str) -> str | None:
    """Return a manufacturer's common name, or None if `written` names none of the vocabulary."""
    tidy = " ".join(written.casefold().split())
    words = re.sub(r"[^a-z.]+", " ", tidy)
    for word, name in _MANUFACTURERS.items():
        if tidy == word or re.search(rf"(?<![a-z.]){re.escape(word)}(?![a-z])", words):
            return name
    return None


def manufacturer_name(written: str, key: Key | None) -> str:
    """Return a manufacturer's common name, or the label of an unknown one."""
    return known_manufacturer(written) or _label("maker", written, key)


def model_name(written: str, key: Key | None) -> str:
    """Return the part of `written` that is a known model, or the label of an unknown one.

    Args:
        written: Value of the tag, not empty.
        key: Key for the labels; None gives every unknown model the same label.
    """
    tidy = " ".join(written.split())
    matches = [(name, match) for name, pattern in _MODELS.items() if (match := pattern.search(tidy))]
    if not matches:
        return _label("model", written, key)
    name, match = max(matches, key=lambda pair: (len(pair[1][0]), len(pair[0])))
    return name + match[0][len(name) :]


def _label(kind: str, written: str, key: Key | None) -> str:
    tidy = " ".join(re.sub(r"[\W_]+", " ", written.casefold()).split())
    if _LABEL.fullmatch(tidy):
        return tidy  # the label that a clean copy has already
    return f"unknown {kind}" if key is None else f"unknown {kind} {key.digest(kind, tidy)[:2].hex()}"
