from __future__ import annotations

import numpy as np

from heart2heart.deidentify.text_finding import MOST_BLANKED, unite_areas

INSIDE = np.zeros((10, 20), bool)
INSIDE[:, :10] = True


def test_unite_areas_measures_the_share_of_the_visible_part() -> None:
    upper, beside = np.zeros_like(INSIDE), np.zeros_like(INSIDE)
    upper[:2, :10] = beside[:, 15:] = True
    finding = unite_areas([upper, None, beside], INSIDE, is_unsure=False)
    assert finding.mask is not None
    np.testing.assert_array_equal(finding.mask, upper | beside)
    assert finding.share == 0.2
    assert (finding.is_found, finding.is_small, finding.is_bounded) == (True, True, True)


def test_unite_areas_does_not_bound_areas_of_more_than_a_quarter() -> None:
    large = np.zeros_like(INSIDE)
    large[:3] = True
    finding = unite_areas([large], INSIDE, is_unsure=False)
    assert finding.share > MOST_BLANKED
    assert (finding.is_found, finding.is_small, finding.is_bounded) == (True, False, False)


def test_unite_areas_finds_text_where_a_search_is_unsure() -> None:
    doubt, nothing = (unite_areas([None, None], INSIDE, is_unsure=is_unsure) for is_unsure in (True, False))
    assert doubt.mask is None
    assert nothing.mask is None
    assert (doubt.is_found, doubt.is_bounded) == (True, False)
    assert (nothing.is_found, nothing.is_bounded) == (False, True)
