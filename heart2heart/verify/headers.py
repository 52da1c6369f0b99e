"""Compares clean copies with the table of PS3.15 annex E (2026c) in the package dicom-anonymizer.

A tag that the Basic Profile removes, empties or replaces (X, Z, D, U and their combinations) must not carry a value
that the same tag has in a file of the archive. Values that an option in (0012,0064) retains are left out: patient
characteristics under 113108, dates under 113107, which `verify.study_dates` checks, and descriptions under 113105: the
search for identities reads what stays of them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from heart2heart.errors import ConfigError
from heart2heart.verify.dicom_elements import read_elements, read_syntax

_PACKAGE = "dicomanonymizer"
_TABLE = f"{_PACKAGE}.dicom_anonymization_databases.dicomfields_2026c"
_ACTIONS = ("D", "Z", "X", "U", "Z_D", "X_Z", "X_D", "X_Z_D", "X_Z_U_STAR")
_CHARACTERISTICS = {0x00100040, 0x00101010, 0x00101020, 0x00101030}  # sex, age, size, weight
_DESCRIPTIONS = {0x00081030, 0x0008103E, 0x00181030, 0x00400254}  # of study, series, protocol and performed step
_DATE_VRS = ("DA", "DT", "TM")
_CODE_VALUE = 0x00080100


def profile_available() -> bool:
    """Return whether the table is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


@cache
def basic_profile_actions() -> dict[int, str]:
    """Return the Basic Profile's action for each tag, by tag number.

    Raises:
        ConfigError: the package is not installed.
    """
    if not profile_available():
        remedy = "Run: pip install 'heart2heart[verify]'"
        raise ConfigError("the table of tags to remove is not installed", remedy=remedy)
    fields = importlib.import_module(_TABLE)
    return {
        group << 16 | element: action
        for action in _ACTIONS
        for group, element, *mask in getattr(fields, f"{action}_TAGS")
        if not mask  # repeating groups are curves and overlays, which hold no text
    }


@cache
def compared_tags() -> frozenset[int]:
    """Return the tags whose values are compared; none if the table is not installed."""
    return frozenset(basic_profile_actions()) if profile_available() else frozenset()


def unchanged_tags(path: Path, originals: dict[int, set[str]]) -> Iterator[str]:
    """Yield the tags of a clean copy that still carry a value which the profile removes or replaces.

    Args:
        path: A DICOM file.
        originals: Values of each tag in the archive, `Identities.headers`.
    """
    with path.open("rb") as handle:
        syntax, _ = read_syntax(handle)
        if syntax.deflated:
            return
        elements = list(read_elements(handle, syntax))
    options = {value for element in elements if element.tag == _CODE_VALUE for value in element.values}
    for element in elements:
        retained = (
            ("113108" in options and element.tag in _CHARACTERISTICS)
            or ("113107" in options and element.vr in _DATE_VRS)
            or ("113105" in options and element.tag in _DESCRIPTIONS)
        )
        same = any(value in originals.get(element.tag, ()) for value in element.values)
        if element.tag in compared_tags() and same and not retained:
            yield f"{element.name}, action {basic_profile_actions()[element.tag]}"
