"""A person has one link code at every hospital, however the name is written; another person or key has another."""

from __future__ import annotations

import hashlib
import hmac
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from heart2heart.deidentify.link_code import link_code
from heart2heart.deidentify.pseudonyms import Key
from heart2heart.dicom.header_values import silence_warnings

KEY = Key(b"s" * 32)


def header(name: str | None, born: str | None) -> Dataset:
    dataset = Dataset()
    with silence_warnings():
        if name is not None:
            dataset.PatientName = name
        if born is not None:
            dataset.PatientBirthDate = born
    return dataset


def test_link_code_is_the_keyed_hash_of_names_and_birth() -> None:
    message = b"".join(len(part).to_bytes(8, "big") + part for part in (b"link", b"MULLER", b"EVA", b"1950-12-31"))
    expected = hmac.new(KEY.secret, message, hashlib.sha256).hexdigest()
    assert link_code(header("Müller^Eva", "19501231"), KEY) == "k" + expected[:40]


WRITTEN = ("MÜLLER^EVA", "müller^eva", "Mu\u0308ller ^Eva", "Muller^E-va^Maria", "Müller^Eva^^Dr^MD", "Müller^Eva=i^g")
LETTERS = st.text("abcdefgh", min_size=1)


@pytest.mark.parametrize("name", WRITTEN)
def test_link_code_ignores_how_a_name_is_written(name: str) -> None:
    assert link_code(header(name, "1950-12-31"), KEY) == link_code(header("Müller^Eva", "19501231"), KEY)


@pytest.mark.parametrize(
    ("name", "born"),
    [
        (None, "19501231"), ("Müller^Eva", None), ("Müller", "19501231"), ("^Eva", "19501231"), ("", ""),
        ("Müller^Eva", "unknown"), ("Müller^Eva", "19509999"), ("-^-", "19501231"),
    ],
)  # fmt: skip
def test_link_code_is_none_without_a_whole_identity(name: str | None, born: str | None) -> None:
    assert link_code(header(name, born), KEY) is None


@given(LETTERS, LETTERS, st.dates(), st.binary(min_size=32, max_size=32))
def test_link_code_differs_by_person_and_key(family: str, given_name: str, born: date, raw: bytes) -> None:
    day = born.isoformat().replace("-", "")
    code = link_code(header(f"{family}^{given_name}", day), KEY)
    assert code is not None
    assert len(code) == 41
    assert code != link_code(header(f"{family}x^{given_name}", day), KEY)
    assert code != link_code(header(f"{family}{given_name[:1]}^{given_name[1:]}i", day), KEY)
    if raw != KEY.secret:
        assert code != link_code(header(f"{family}^{given_name}", day), Key(raw))
