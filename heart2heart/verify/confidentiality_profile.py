"""Compares clean copies with the table of PS3.15 annex E (2026c) in the package dicom-anonymizer.

A tag that the Basic Profile removes, empties or replaces (X, Z, D, U and their combinations) must not carry a value
that the same tag has in a file of the archive. Values that an option in (0012,0064) retains are left out: patient
characteristics under 113108, and dates under 113107, which `verify.patterns` checks.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from heart2heart.errors import ConfigError

_PACKAGE = "dicomanonymizer"
_TABLE = f"{_PACKAGE}.dicom_anonymization_databases.dicomfields_2026c"
_ACTIONS = ("D", "Z", "X", "U", "Z_D", "X_Z", "X_D", "X_Z_D", "X_Z_U_STAR")
_CHARACTERISTICS = {0x00100040, 0x00101010, 0x00101020, 0x00101030}  # sex, age, size, weight
_DATE_VRS = ("DA", "DT", "TM")


def profile_available() -> bool:
    """Tell whether the table is installed."""
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


def unchanged_tags(path: Path, originals: dict[int, set[str]]) -> Iterator[str]:
    """Yield the tags of one clean copy that should not carry their value and do.

    Args:
        path: A DICOM file.
        originals: Values of each tag in the archive, `Identities.headers`.
    """
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path, force=True, stop_before_pixels=True)
        options = {str(item.get("CodeValue", "")) for item in dataset.get("DeidentificationMethodCodeSequence") or ()}
        for element in dataset.iterall():
            tag = int(element.tag)
            retained = ("113108" in options and tag in _CHARACTERISTICS) or (
                "113107" in options and str(element.VR) in _DATE_VRS
            )
            if tag in basic_profile_actions() and not retained and element.VR != "SQ":
                value = str(element.value)
                if value and value in originals.get(tag, ()):
                    yield f"{element.tag}, action {basic_profile_actions()[tag]}"
