"""Codes of views against CID 12226 in pydicom's own dictionary."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from heart2heart.dicom_results.codes import view_code
from heart2heart.schema.taxonomy import read_taxonomy
from heart2heart.schema.views import PRIVATE_SCHEME, VIEWS

CONCEPTS = cast("dict[str, dict[str, dict[str, Any]]]", concepts)
CID_12226 = {
    (code, scheme) for scheme, names in cid_concepts[12226].items() for name in names for code in CONCEPTS[scheme][name]
}


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_view_code_is_of_cid_12226_or_of_the_private_scheme(name: str) -> None:
    value, scheme, meaning = view_code(name)
    assert ((value, scheme) in CID_12226) == (name not in ("A5C", "OTHER"))
    assert scheme in ("SCT", PRIVATE_SCHEME)
    assert 0 < len(value) <= 16
    assert 0 < len(meaning) <= 64


def test_view_code_knows_finer_views_and_labels_that_are_no_views() -> None:
    assert view_code("PSAX_AV")[:2] == ("399239005", "SCT")
    assert view_code("a_class_of_another_task")[:2] == ("a_class_of_anoth", PRIVATE_SCHEME)
    fine = [view_code(name) for name in read_taxonomy("usual").views]
    assert len(set(fine)) == len(fine)
