"""A link code: the keyed hash of a person's name and date of birth, the same at every hospital with one linking key.

It shows that two pseudonyms belong to one person, without a name. The linking key is another key than that of the
pseudonyms: the hospitals share it, and destroy it after linking.
"""

from __future__ import annotations

import unicodedata

from pydicom import Dataset

from heart2heart.deidentify.pseudonyms import Key, parse_date
from heart2heart.dicom.header_values import text

_CODE_DIGITS = 40


def link_code(header: Dataset, linking_key: Key) -> str | None:
    """Return the link code of the person in a header: HMAC-SHA256 of family name, given name and date of birth.

    Case, accents, blanks, hyphens, apostrophes, middle names and titles do not matter.

    Args:
        header: The file's dataset as read.
        linking_key: The key that the hospitals share.

    Returns:
        `k` and 40 hexadecimal digits; None where the family name, the given name or the date of birth is missing.

    Examples:
        >>> jane = Dataset()
        >>> jane.PatientName, jane.PatientBirthDate = "Doe^Jane", "19610203"
        >>> again = Dataset()
        >>> again.PatientName, again.PatientBirthDate = "DOE^JANE^M^^MD", "1961-02-03"
        >>> key = Key(bytes(32))
        >>> link_code(jane, key) == link_code(again, key)
        True
    """
    family, first = (_letters(part) for part in (text(header, "PatientName").split("=")[0] + "^").split("^")[:2])
    born = parse_date(header, "PatientBirthDate")
    if not family or not first or born is None:
        return None
    return "k" + linking_key.digest("link", family, first, born.isoformat()).hex()[:_CODE_DIGITS]


def _letters(name: str) -> str:
    """Return the letters and digits of a name without accents, in upper case."""
    decomposed = unicodedata.normalize("NFKD", name.upper())
    return "".join(character for character in decomposed if character.isalnum())
