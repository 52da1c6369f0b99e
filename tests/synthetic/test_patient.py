from __future__ import annotations

import datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from heart2heart.synthetic.patient import age_string, draw_identity, make_uid


@given(seed=st.integers(0, 2**31), names=st.lists(st.integers(0, 99), max_size=3))
def test_make_uid_is_valid_and_follows_the_seed(seed: int, names: list[int]) -> None:
    uid = make_uid(seed, *names)
    assert UID(uid).is_valid
    assert uid == make_uid(seed, *names)
    assert uid != make_uid(seed + 1, *names)


def test_age_string_counts_whole_years() -> None:
    born = datetime.date(1950, 6, 15)
    assert age_string(born, datetime.date(2020, 6, 14)) == "069Y"
    assert age_string(born, datetime.date(2020, 6, 15)) == "070Y"


def test_draw_identity_is_synthetic_by_name_or_looks_real() -> None:
    rng = np.random.default_rng(0)
    names = [draw_identity("A", index, rng).name for index in range(6)]
    assert [name.startswith("SYNTHETIC^") for name in names] == [True, False, False, False, False, True]
