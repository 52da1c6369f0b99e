"""Maps free text of a header to closed vocabularies: manufacturer, model, organ, stress stage, view, phase.

Other text is dropped, because people type names of hospitals and persons into these tags. An unknown manufacturer or
model becomes a label that is derived from the key, so that clips of different unknown machines stay distinguishable.

`is_not_cardiac` reads these tags in order, closest to the picture first; the first one that names an organ decides:

1. Anatomic Region Sequence (0008,2218), by code or meaning;
2. Body Part Examined (0018,0015);
3. the third value of Image Type (0008,0008), for which PS3.3 section C.8.5.6.1.1 has terms such as EPICARDIAL;
4. Processing Function (0018,5020), the preset, such as CARD_ADULT or OB_GENERAL;
5. the descriptions of series, protocol, step and study;
6. the transducer (0018,6031), (0018,5010): a linear one is not made for hearts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydicom import Dataset

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.dicom.header_values import DECODE_ERRORS, integer, text, texts
from heart2heart.errors import DicomError
from heart2heart.schema.view_words import view_of_words
from heart2heart.schema.views import view_from_code

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
# Suffixes of a family, such as `95`, `E95`, `7C`, `70G` or `Pro`; at most four digits, so that no identifier matches.
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


_FETAL = r"fo?et(al|us|o)|obs|obst\w*|ob"
_HEART = (
    r"heart|card(i\w*)?|intracard\w*|epicard\w*|echocard\w*|tte|tee|toe|transthoracic|trans(o)?esophageal|mitral|aortic"
)
_OTHER_ANATOMY = (
    r"abd(om\w*)?|gyn\w*|pelvi\w*|ur[eo]\w*|renal\w*|kidneys?|bladder|liver|hepat\w*|bil(e|iary)|gallbladder|pancrea\w*|"
    r"spleen|thyroid\w*|parathyroid\w*|neck|breasts?|mamm\w*|scrot\w*|testi\w*|prostat\w*|musculo\w*|msk|tendon|"
    r"shoulder|elbow|wrist|hand|hip|knee|ankle|foot|nerve|vasc\w*|peripheral|carotid\w*|venous|veins?|dvt|lungs?|pleura\w*|"
    r"transcranial|cranial|cephalic|brain|head|eye|ocular|ophthalm\w*|endovagin\w*|transvagin\w*|endorect\w*|uter\w*|"
    r"ovar\w*|bowel|append\w*|hernia|lymph\w*|intravascular|ivus|small ?parts?|sm prts|chest wall|soft tissue"
)
_HEART_CODES = re.compile(r"80891009|T-3[23]\w{3}")  # the heart in SNOMED CT; the heart and its parts in SNOMED-RT
_DESCRIPTIONS = (
    "SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription", "RequestedProcedureDescription",
    "StudyDescription",
)  # fmt: skip
_LINEAR = re.compile(r"(m?l\d|\d+l\b)", re.IGNORECASE)  # L12-5, ML6-15, 9L


def is_not_cardiac(header: Dataset) -> bool:
    """Return whether the header names another organ than the heart; False if it names none.

    Args:
        header: The file's dataset as read.
    """
    return next((not is_heart for is_heart in _organ_evidence(header) if is_heart is not None), False)


def _organ_evidence(header: Dataset) -> Iterator[bool | None]:
    """Yield True (heart), False (another organ) or None (unknown) for each tag."""
    yield _region_is_heart(header)
    yield _names_heart(text(header, "BodyPartExamined"))
    yield _names_heart(" ".join(texts(header, "ImageType")[2:3]))
    yield _names_heart(" ".join(texts(header, "ProcessingFunction")))
    for name in _DESCRIPTIONS:
        yield _names_heart(text(header, name))
    linear = text(header, "TransducerType").upper() == "LINEAR"
    yield False if linear or _LINEAR.match(" ".join(texts(header, "TransducerData")[:1])) else None


def _region_is_heart(header: Dataset) -> bool | None:
    try:
        items = list(header.get("AnatomicRegionSequence") or ())
    except DECODE_ERRORS:
        return None
    for item in items:
        if _HEART_CODES.fullmatch(text(item, "CodeValue")):
            return True
        if (is_heart := _names_heart(text(item, "CodeMeaning"))) is not None:
            return is_heart
    return None


def _names_heart(written: str) -> bool | None:
    """Return whether a text names the heart, or None; a fetal heart does not count, `echo` alone does."""
    words = " ".join(re.findall(r"[^\W\d_]+", written.casefold()))
    for pattern, heart in ((_FETAL, False), (_HEART, True), (_OTHER_ANATOMY, False), (r"echo", True)):
        if re.search(rf"\b({pattern})\b", words):
            return heart
    return None


_STAGES = {
    "rest": "rest", "resting": "rest", "baseline": "rest", "pre exercise": "rest", "pre": "rest", "low": "low dose",
    "low dose": "low dose", "mid dose": "mid dose", "mid": "mid dose", "intermediate": "mid dose",
    "intermediate dose": "mid dose", "prepeak": "mid dose", "pre peak": "mid dose", "peak": "peak",
    "peak dose": "peak", "peak exercise": "peak", "stress": "peak", "impost": "post", "imp": "post", "post": "post",
    "immediate post": "post", "post exercise": "post", "recovery": "recovery",
}  # fmt: skip

_VIEWS = {
    "lax": "PLAX", "longaxis": "PLAX", "sax": "PSAX", "saxpm": "PSAX", "saxmv": "PSAX", "saxap": "PSAX",
    "shortaxis": "PSAX",
}  # fmt: skip
"""Words of View Name that usually mean a parasternal view, though they need not."""

_PHASES = {
    "ed": "ED", "end diastole": "ED", "end diastolic": "ED", "enddiastole": "ED", "rwave": "ED", "r wave": "ED",
    "r wave number": "ED", "es": "ES", "end systole": "ES", "end systolic": "ES", "endsystole": "ES",
}  # fmt: skip

_POINTED = {"diastolic": "ED", "systolic": "ES"}  # as PS3.3 C.7.6.9 describes single frames; else a whole half beat

MAX_STAGES = 99
"""Largest number of stages, or of views of a stage, in a stress protocol."""


def manufacturer(header: Dataset, key: Key | None = None) -> str | None:
    """Return the manufacturer's common name, from Manufacturer or, if it is empty, from a private creator.

    An unknown manufacturer becomes a label; see `manufacturer_name`.
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
    stated = text(header, "ViewName")
    return view_of_words(stated) or _VIEWS.get("".join(re.findall(r"[a-z0-9]+", stated.casefold())))


def coded_view(header: Dataset, known: Callable[[str, str], str | None] = view_from_code) -> str | None:
    """Return the view named by View Code Sequence (0054,0220) when it is a code of CID 12226: weak evidence.

    Args:
        header: The file's dataset as read.
        known: Returns the view of a code value and its scheme.
    """
    try:
        codes = [
            (str(item.get("CodeValue", "")).strip(), str(item.get("CodingSchemeDesignator", "")).strip() or "SCT")
            for item in header.get("ViewCodeSequence") or ()
        ]
    except DECODE_ERRORS:
        return None
    return next((view for view in (known(*code) for code in codes) if view is not None), None)


@contextmanager
def attach_manufacturer(header: Dataset) -> Iterator[None]:
    """Set the manufacturer of a `DicomError` that leaves the block, by the rules that hold for accepted clips.

    Args:
        header: The dataset as read.
    """
    try:
        yield
    except DicomError as error:
        error.manufacturer = manufacturer(header)
        raise
