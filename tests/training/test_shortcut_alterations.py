"""The alterations of the shortcut probes, pixel by pixel."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.training.shortcut_probes import choose_donors, mask_sector, swap_backgrounds


def test_scan_and_background_change_places_by_the_mask() -> None:
    frames = np.array([[[1, 2], [3, 4]]], np.uint8)
    donors = np.array([[[5, 6], [7, 8]]], np.uint8)
    mask = np.array([[[True, False], [False, False]]])
    theirs = np.array([[[False, True], [False, False]]])
    assert mask_sector(frames, mask).tolist() == [[[0, 2], [3, 4]]]
    # Own scan kept; where the donor's scan lies, black; the rest is the donor's.
    assert swap_backgrounds(frames, mask, donors, theirs).tolist() == [[[1, 0], [7, 8]]]
    assert mask_sector(frames, mask).dtype == np.uint8


@given(st.integers(0, 500), st.integers(1, 4), st.integers(1, 6))
def test_donors_are_of_another_view_and_patient(seed: int, views: int, patients: int) -> None:
    rng = np.random.default_rng(seed)
    view = np.array([f"v{k}" for k in rng.integers(0, views, 30)], object)
    patient = np.array([f"p{k}" for k in rng.integers(0, patients, 30)], object)
    donors = choose_donors(view, patient, 3)
    np.testing.assert_array_equal(donors, choose_donors(view, patient, 3))
    for place, donor in enumerate(donors.tolist()):
        fitting = (view != view[place]) & (patient != patient[place])
        assert fitting[donor] if donor >= 0 else not fitting.any()
