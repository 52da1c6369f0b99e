"""UIDs that are derived by a hash: valid, the same again, and different for different parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heart2heart.dicom_results.derived_uid import derived_uid

PARTS = st.lists(st.one_of(st.text(max_size=8), st.none(), st.lists(st.text(max_size=4), max_size=2)), max_size=3)


@given(st.text(max_size=8), PARTS, PARTS)
def test_derived_uid_is_valid_and_tells_its_parts_apart(kind: str, one: list[object], two: list[object]) -> None:
    uid = derived_uid(kind, *one)
    assert uid.is_valid
    assert uid.startswith("2.25.")
    assert (uid == derived_uid(kind, *two)) == (one == two)
    assert derived_uid(f"{kind}x", *one) != uid
