"""Codes of what an answer says: views by CID 12226, and codes of a private scheme where DICOM has none."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydicom import Dataset

from heart2heart.schema.clip_answer import AnswerReason, AnswerStatus
from heart2heart.schema.taxonomy import read_taxonomy
from heart2heart.schema.views import PRIVATE_SCHEME, VIEWS

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept

Triple = tuple[str, str, str]
"""Code value, coding scheme designator and meaning."""

IMAGE_VIEW: Triple = ("111031", "DCM", "Image View")
CERTAINTY: Triple = ("111012", "DCM", "Certainty of Finding")
"""0 to 100 percent, as a device states it."""
COMMENT: Triple = ("121106", "DCM", "Comment")
OF_INTEREST: Triple = ("113000", "DCM", "Of Interest")
ECHOCARDIOGRAPHY: Triple = ("40701008", "SCT", "Echocardiography")
MODIFYING_EQUIPMENT: Triple = ("109103", "DCM", "Modifying Equipment")
PROCESSING_SOURCE: Triple = ("121322", "DCM", "Source image for image processing operation")
ANSWER_OF_MODEL: Triple = ("ANSWER", PRIVATE_SCHEME, "Answer of the model")
POSSIBLE_VIEW: Triple = ("POSSIBLE_VIEW", PRIVATE_SCHEME, "Possible image view")
REASON: Triple = ("REASON", PRIVATE_SCHEME, "Reason why not one view is given")

STATUSES = MappingProxyType(
    {
        AnswerStatus.ANSWERED: ("ANSWERED", PRIVATE_SCHEME, "One view"),
        AnswerStatus.SET: ("SET", PRIVATE_SCHEME, "One of several views"),
        AnswerStatus.NOT_ANSWERED: ("NOT_ANSWERED", PRIVATE_SCHEME, "No answer"),
        AnswerStatus.FAILED: ("FAILED", PRIVATE_SCHEME, "No frames could be read"),
    }
)
"""Code of each status of an answer."""

_SHORT = {AnswerReason.MODE_TISSUE_DOPPLER: "MODE_TISSUE"}
"""A code value has at most 16 characters."""

REASONS = MappingProxyType(
    {
        reason: (_SHORT.get(reason, reason.value.upper()), PRIVATE_SCHEME, reason.words[:1].upper() + reason.words[1:])
        for reason in AnswerReason
    }
)
"""Code of each reason."""


@cache
def view_code(name: str) -> Triple:
    """Return the code of a view: of CID 12226 where it has one.

    Args:
        name: Name of a class of a model.

    Examples:
        >>> view_code("A4C")
        ('399214001', 'SCT', 'Apical four chamber')
        >>> view_code("A5C")
        ('A5C', '99HEART2HEART', 'Apical five chamber')
    """
    usual = read_taxonomy("usual")
    if name in VIEWS or name in usual.views:
        view = usual.view(name)
        return view.code, view.scheme, view.title
    return name[:16], PRIVATE_SCHEME, name[:64]


def concept(triple: Triple) -> CodedConcept:
    """Return a code as highdicom takes it.

    Examples:
        >>> concept(("111031", "DCM", "Image View")).meaning
        'Image View'
    """
    from highdicom.sr import CodedConcept

    value, scheme, meaning = triple
    return CodedConcept(value, scheme, meaning)


def code_item(triple: Triple) -> Dataset:
    """Return a code as an item of a code sequence.

    Examples:
        >>> code_item(("111031", "DCM", "Image View")).CodeValue
        '111031'
    """
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = triple
    return item


def private_scheme_item() -> Dataset:
    """Return the item that identifies the private scheme (PS3.3 section C.12.1).

    Examples:
        >>> private_scheme_item().CodingSchemeDesignator
        '99HEART2HEART'
    """
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeName = PRIVATE_SCHEME, "heart2heart view taxonomy"
    item.CodingSchemeResponsibleOrganization = "The heart2heart developers"
    return item
