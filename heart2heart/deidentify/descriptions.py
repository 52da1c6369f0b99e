"""Cleans free-text descriptions: only words of echocardiography stay (PS3.15, Clean Descriptors Option).

The words are a closed list, so no name, number or date passes. A word that is also a name, such as `long` or `short`,
stays only inside a phrase of the list. A word of a person's name in the header never stays; a
department such as `Echo Lab` is no person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom import Dataset

from heart2heart.dicom.header_values import DECODE_ERRORS, text

DESCRIPTIONS = ("StudyDescription", "SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription")
"""Elements that are cleaned; other free text is dropped."""

_CHAMBERS = r"(?:[2345]|two|three|four|five)"
_PHRASES = (
    rf"{_CHAMBERS}[ -]?chambers?", r"a?[2345]ch?", r"(?:apical|parasternal) (?:long|short)(?: axis)?", r"long[ -]axis",
    r"short[ -]axis", r"left (?:ventric\w{2,5}|atri\w{2,3})", r"right (?:ventric\w{2,5}|atri\w{2,3})", r"aortic arch",
    r"pulmonary (?:artery|veins?)", r"bubble (?:study|test)", r"follow[ -]?up", r"m[ -]mode", r"b[ -]mode", r"[234]d",
    r"pediatric", r"paediatric", r"neonatal", r"adult", r"transthoracic", r"trans(?:o)?esophageal", r"intracardiac",
    r"tte", r"tee", r"toe", r"echo(?:cardio(?:gram|graphy|graphic))?", r"cardiac", r"ultrasound", r"stress",
    r"dobutamine", r"adenosine", r"dipyridamole", r"exercise", r"treadmill", r"bicycle", r"ergometer", r"rest(?:ing)?",
    r"baseline", r"peak", r"recovery", r"low dose", r"peak dose", r"complete", r"limited", r"contrast", r"strain",
    r"apical", r"parasternal", r"subcostal", r"suprasternal", r"subxiphoid", r"plax", r"psax", r"mitral", r"aortic",
    r"tricuspid", r"pulmonic", r"valves?", r"sept(?:um|al)", r"pericardi(?:um|al)", r"lv", r"rv", r"lvot", r"rvot",
    r"ivc", r"inflow", r"outflow", r"doppler", r"colou?r", r"cw", r"pw", r"tdi", r"continuous wave", r"pulsed wave",
    r"views?",
)  # fmt: skip
_KNOWN = re.compile(rf"(?<![^\W_])(?:{'|'.join(sorted(_PHRASES, key=len, reverse=True))})(?![^\W_])")
_LONGEST = 64  # characters of a value of VR LO


def clean_description(written: str, names: frozenset[str] = frozenset()) -> str:
    """Return the words of a description that are terms of echocardiography, in lower case and in their order.

    Args:
        written: Free text.
        names: Words, in lower case, that are dropped though they are terms; see `name_words`.

    Examples:
        >>> clean_description("DOE, JANE 1943-11-22: Apical 4 Chamber, color Doppler")
        'apical 4 chamber color doppler'
        >>> clean_description("Dr Long, St. Nowhere")
        ''
    """
    kept: list[str] = []
    for match in _KNOWN.finditer(" ".join(written.casefold().split())):
        phrase = match[0]
        if not names.intersection(re.split("[ -]", phrase)) and len(" ".join([*kept, phrase])) <= _LONGEST:
            kept.append(phrase)
    return " ".join(kept)


def name_words(header: Dataset) -> frozenset[str]:
    """Return the words, in lower case, of the names of persons in a header, nested ones excluded.

    Args:
        header: The file's dataset as read.

    Examples:
        >>> header = Dataset()
        >>> header.PatientName = "Stress^Anna"
        >>> sorted(name_words(header))
        ['anna', 'stress']
    """
    return frozenset(word for name in _written_names(header) for word in re.findall(r"[^\W_]+", name.casefold()))


def _written_names(header: Dataset) -> Iterator[str]:
    for tag in list(header.keys()):
        try:
            if header[tag].VR == "PN":
                yield text(header, tag)
        except DECODE_ERRORS:
            continue


def write_descriptions(header: Dataset, target: Dataset) -> None:
    """Write the cleaned descriptions of a header; one of which nothing stays is left out.

    Args:
        header: The file's dataset as read.
        target: The dataset to write to.

    Examples:
        >>> header, target = Dataset(), Dataset()
        >>> header.StudyDescription = "TTE of Jane Doe"
        >>> write_descriptions(header, target)
        >>> target.StudyDescription
        'tte'
    """
    names = name_words(header)
    for name in DESCRIPTIONS:
        if cleaned := clean_description(text(header, name), names):
            setattr(target, name, cleaned)
