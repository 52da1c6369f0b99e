"""Where a picture goes inside its square frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import StoreError, UnknownNameError
from heart2heart.store.geometry import VERSIONS, Geometry

EXTENT = st.floats(0.01, 1e4)


@given(st.sampled_from(sorted(VERSIONS)), st.integers(8, 1024), EXTENT, EXTENT)
def test_letterbox_fills_the_longest_side_and_pads_the_rest(name: str, size: int, height: float, width: float) -> None:
    spot = Geometry(name, size).letterbox(height, width)
    assert max(spot.height, spot.width) == size
    assert min(spot.height, spot.width) >= 1
    assert spot.top + spot.height <= size
    assert spot.left + spot.width <= size
    assert abs(spot.height - height / spot.step) <= 1
    assert abs(spot.width - width / spot.step) <= 1
    if name == "tmed2":
        assert (spot.top, spot.left) == (0, 0)
    else:
        assert abs(size - spot.height - 2 * spot.top) <= 1
        assert abs(size - spot.width - 2 * spot.left) <= 1


def test_geometry_has_names_sizes_and_json() -> None:
    geometry = Geometry("centred", 96)
    assert Geometry.from_json(geometry.to_json()) == geometry
    assert str(geometry) == "centred-96 (version 1)"
    with pytest.raises(UnknownNameError, match="tmed2"):
        Geometry("round", 112)
    for size in (7, 1025):
        with pytest.raises(StoreError, match="out of range"):
            Geometry("tmed2", size)
