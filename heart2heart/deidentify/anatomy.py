"""Flags files whose header says that they show something else than a heart; no text of the header is kept.

Echo archives hold carotids, kidneys and fetuses that were scanned on the same machines. The sources are
read in this order, closest to the picture first, and the first one that has an answer decides:

1. Anatomic Region Sequence (0008,2218), by code or meaning;
2. Body Part Examined (0018,0015);
3. the third value of Image Type (0008,0008), for which PS3.3 section C.8.5.6.1.1 has terms such as EPICARDIAL;
4. Processing Function (0018,5020), the preset, such as CARD_ADULT or OB_GENERAL;
5. the descriptions of series, protocol, step and study;
6. the transducer (0018,6031), (0018,5010): a linear one is not made for hearts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom import Dataset

from heart2heart.dicom.header_values import DECODE_ERRORS, text, texts

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
    """Tell whether the header says that the file shows something else than a heart; False if it does not say.

    Args:
        header: The file's dataset as read.
    """
    return next((heart is False for heart in _sources(header) if heart is not None), False)


def _sources(header: Dataset) -> Iterator[bool | None]:
    """Yield True (a heart), False (something else) or None (unknown) for each source."""
    yield _region(header)
    yield _words(text(header, "BodyPartExamined"))
    yield _words(" ".join(texts(header, "ImageType")[2:3]))
    yield _words(" ".join(texts(header, "ProcessingFunction")))
    for name in _DESCRIPTIONS:
        yield _words(text(header, name))
    linear = text(header, "TransducerType").upper() == "LINEAR"
    yield False if linear or _LINEAR.match(" ".join(texts(header, "TransducerData")[:1])) else None


def _region(header: Dataset) -> bool | None:
    try:
        items = list(header.get("AnatomicRegionSequence") or ())
    except DECODE_ERRORS:
        return None
    for item in items:
        if _HEART_CODES.fullmatch(text(item, "CodeValue")):
            return True
        if (is_heart := _words(text(item, "CodeMeaning"))) is not None:
            return is_heart
    return None


def _words(written: str) -> bool | None:
    """Classify a text by its words; a fetal heart does not count, and `echo` is a heart unless an organ is named."""
    words = " ".join(re.findall(r"[^\W\d_]+", written.casefold()))
    for pattern, heart in ((_FETAL, False), (_HEART, True), (_OTHER_ANATOMY, False), (r"echo", True)):
        if re.search(rf"\b({pattern})\b", words):
            return heart
    return None
