"""The view taxonomy: names, CID 12226 codes, and how other data sets and hospitals call the same views.

Source of the codes: DICOM PS3.16 CID 12226 "Echocardiography Image View". A5C has no code there and is carried
under this project's private scheme (PS3.3 section 8.2 allows one whose designator begins with 99).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heart2heart.errors import UnknownNameError
from heart2heart.schema.view_words import view_of_words

TAXONOMY_VERSION = "1"
PRIVATE_SCHEME = "99HEART2HEART"


@dataclass(frozen=True)
class View:
    """One echocardiographic view.

    Attributes:
        name: Short upper-case name used everywhere in this project.
        title: What a clinician reads.
        scheme: Coding scheme designator, `SCT` for SNOMED CT.
        code: Code value in that scheme.
        older: The retired SNOMED-RT (`SRT`) code, if it had one.
    """

    name: str
    title: str
    scheme: str
    code: str
    older: str | None


VIEWS: Mapping[str, View] = {
    view.name: view
    for view in (
        View("PLAX", "Parasternal long axis", "SCT", "399139001", "G-0396"),
        View("PSAX", "Parasternal short axis", "SCT", "399306005", "G-0397"),
        View("A4C", "Apical four chamber", "SCT", "399214001", "G-A19C"),
        View("A2C", "Apical two chamber", "SCT", "399232001", "G-A19B"),
        View("A3C", "Apical long axis", "SCT", "399339008", "G-0395"),
        View("A5C", "Apical five chamber", PRIVATE_SCHEME, "A5C", None),
        View("SUBCOSTAL", "Subcostal long axis", "SCT", "399310008", "G-039E"),
        View("SUBCOSTAL_SAX", "Subcostal short axis", "SCT", "399200001", "G-039F"),
        View("SUPRASTERNAL", "Suprasternal long axis", "SCT", "399106004", "G-03A0"),
        View("RV_INFLOW", "Right ventricular inflow", "SCT", "398998003", "G-039C"),
        View("RV_OUTFLOW", "Right ventricular outflow", "SCT", "399195005", "G-039D"),
        View("OTHER", "Another view, or no heart", PRIVATE_SCHEME, "OTHER", None),
    )
}

TAXONOMIES: Mapping[str, Mapping[str, str]] = {TAXONOMY_VERSION: {name: name for name in VIEWS}}
"""Every version of the taxonomy so far -> its names -> today's. Whoever renames a view adds the version before."""

SCORED_VIEWS: tuple[str, ...] = ("PLAX", "PSAX", "A4C", "A2C")
"""The four views of the Heart2Heart benchmark, in its class order 0 to 3."""

_CHILD_CODES: Mapping[str, tuple[str, ...]] = {
    # Levels of the short axes: aortic valve, mitral chords, mitral valve, papillary muscle, venous inflow.
    "PSAX": ("399239005", "399371001", "399036006", "399271003", "G-0398", "G-0399", "G-039A", "G-039B"),
    "SUBCOSTAL_SAX": ("443609003", "443499004", "443160001", "443500008", "G-057E", "G-057B", "G-0579", "G-057C"),
    "SUPRASTERNAL": ("443562002", "G-057D"),  # long axis of the aortic arch
    "RV_INFLOW": ("443082005", "G-0577"),  # parasternal long axis of the tract
    "RV_OUTFLOW": ("443083000", "G-0578"),
}
"""Further codes of CID 12226, SNOMED CT and SNOMED-RT, of what a view here includes."""

_SNOMED_SCHEMES = ("SCT", "SRT", "SNM3", "99SDM")
"""SNOMED CT, and the designators of SNOMED-RT in older files (PS3.16 section 8.1)."""

_BY_CODE = {
    code: view.name
    for view in VIEWS.values()
    if view.scheme != PRIVATE_SCHEME
    for code in (view.code, view.older, *_CHILD_CODES.get(view.name, ()))
    if code is not None
}
_PRIVATE = {view.code: view.name for view in VIEWS.values() if view.scheme == PRIVATE_SCHEME}

USUAL = "usual"
"""The vocabulary of usual words in several languages, and of the words on which all other vocabularies agree."""

VOCABULARIES: Mapping[str, Mapping[str, str | None]] = {
    USUAL: {name: name for name in VIEWS},
    "heart2heart": {name: name for name in VIEWS},
    # None: the row carries no usable view label, and stays unlabeled.
    "tmed2": {
        "PLAX": "PLAX", "PSAX": "PSAX", "A4C": "A4C", "A2C": "A2C",
        "A4CorA2CorOther": "OTHER", "Not_Provided": None,
    },
    "unity": {"PLAX": "PLAX", "A4C": "A4C", "A2C": "A2C"},
    "camus": {"2CH": "A2C", "4CH": "A4C"},
    "echonet": {"A4C": "A4C"},
    "cameo": {
        "PLAX": "PLAX", "PSAX-Aortic": "PSAX", "PSAX-Mitral": "PSAX", "PSAX-Papillary": "PSAX", "PSAX-Apical": "PSAX",
        "A4C": "A4C", "A2C": "A2C", "A3C": "A3C", "S4C": "SUBCOSTAL",
    },
    "cactus": {"A4C": "A4C", "SC": "SUBCOSTAL", "PL": "PLAX", "PSAV": "PSAX", "PSMV": "PSAX", "Random": "OTHER"},
    "echocv": {
        "plax": "PLAX", "psax": "PSAX", "a2c": "A2C", "a3c": "A3C", "a4c": "A4C", "a5c": "A5C",
        "subcostal": "SUBCOSTAL", "suprasternal": "SUPRASTERNAL", "other": "OTHER",
    },
    "clinical": {
        "parasternal long axis": "PLAX", "parasternal short axis": "PSAX", "apical 4 chamber": "A4C",
        "apical four chamber": "A4C", "apical 2 chamber": "A2C", "apical two chamber": "A2C",
        "apical long axis": "A3C", "apical 3 chamber": "A3C", "apical 5 chamber": "A5C",
        "subcostal": "SUBCOSTAL", "other": "OTHER",
    },
}  # fmt: skip
"""How each vocabulary calls the views; `None` means the word says nothing about the view. `usual` knows more words,
those of `heart2heart.schema.view_words`."""


def get_view(name: str) -> View:
    """Return the view called `name`, or raise `UnknownNameError` listing all names."""
    if name not in VIEWS:
        raise UnknownNameError.among("view", name, list(VIEWS))
    return VIEWS[name]


def view_from_code(code: str, scheme: str = "SCT") -> str | None:
    """Return the view that a code means, or None if it is none of ours.

    Args:
        code: A code value of CID 12226, SNOMED CT or the older SNOMED-RT, or one of `PRIVATE_SCHEME`.
        scheme: Its coding scheme designator; the same value in a scheme of others means nothing.
    """
    if scheme == PRIVATE_SCHEME:
        return _PRIVATE.get(code)
    return _BY_CODE.get(code) if scheme in _SNOMED_SCHEMES else None


def translate_label(label: str, mapping: str) -> str | None:
    """Translate one hospital's `label` by the vocabulary called `mapping`.

    Returns:
        A view name, or None when the vocabulary says that the label carries no view.

    Raises:
        UnknownNameError: the mapping does not exist, or it does not contain the label.
    """
    if mapping not in VOCABULARIES:
        raise UnknownNameError.among("label vocabulary", mapping, list(VOCABULARIES))
    words = VOCABULARIES[mapping]
    if mapping == USUAL and (view := view_of_words(label)) is not None:
        return view
    key = " ".join(label.split()).casefold()
    vocabularies = VOCABULARIES.values() if mapping == USUAL else [words]
    views = {view for vocabulary in vocabularies for word, view in vocabulary.items() if word.casefold() == key}
    if len(views) != 1:
        raise UnknownNameError.among(f"view label of vocabulary {mapping}", label, list(words))
    return views.pop()
