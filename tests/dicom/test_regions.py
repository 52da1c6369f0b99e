"""Regions: clipped, classified, and the one that the picture is about."""

from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from heart2heart.dicom.regions import clip_box, read_scan_area
from tests.dicom.build import region

SIDE = st.integers(-50, 300)


def scan_of(*items: Dataset) -> tuple[str | None, tuple[int, int, int, int], tuple[str, ...]]:
    header = Dataset()
    header.SequenceOfUltrasoundRegions = list(items)
    scan = read_scan_area(header, rows=200, columns=300)
    return scan.kind, scan.box, scan.flags


@given(SIDE, SIDE, SIDE, SIDE, st.integers(1, 200), st.integers(1, 200))
def test_clip_box_is_the_intersection(x0: int, y0: int, x1: int, y1: int, columns: int, rows: int) -> None:
    box = clip_box(x0, y0, x1, y1, columns, rows)
    inside = {x for x in range(columns) if x0 <= x <= x1}, {y for y in range(rows) if y0 <= y <= y1}
    if not all(inside):
        assert box is None
    else:
        assert box == (min(inside[0]), min(inside[1]), max(inside[0]) + 1, max(inside[1]) + 1)


def test_read_scan_area_of_one_2d_region_that_ends_at_columns() -> None:
    assert scan_of(region((20, 10, 300, 199))) == ("b_mode", (20, 10, 300, 200), ())


def test_read_scan_area_of_a_colour_region_makes_the_whole_picture_colour() -> None:
    whole, jet = region((0, 0, 299, 199)), region((100, 50, 150, 90), data=2)
    assert scan_of(whole, jet) == ("colour", (0, 0, 300, 200), ())


def test_read_scan_area_prefers_traces_to_the_picture_beside_them() -> None:
    picture, trace = region((0, 0, 299, 79)), region((0, 80, 299, 199), form=3, data=4)
    assert scan_of(picture, trace)[:2] == ("spectral", (0, 80, 300, 200))
    assert scan_of(picture, region((0, 80, 299, 199), form=2))[0] == "m_mode"
    assert scan_of(picture, region((0, 190, 60, 199), form=3, data=3))[0] == "b_mode"
    assert scan_of(picture, region((0, 80, 299, 199), form=3, data=5))[0] == "b_mode"
    assert scan_of(picture, region((0, 80, 299, 199), form=4, data=10))[0] == "b_mode"


def test_read_scan_area_of_a_split_screen_takes_the_larger() -> None:
    scan = scan_of(region((0, 0, 140, 199)), region((141, 0, 299, 199)))
    assert scan == ("b_mode", (141, 0, 300, 200), ("split_screen",))


def test_read_scan_area_without_a_picture_among_the_regions() -> None:
    assert scan_of(region((0, 0, 20, 100), form=5, data=13)) == ("other", (0, 0, 300, 200), ("no_region",))
    bare = read_scan_area(Dataset(), rows=200, columns=300)
    assert (bare.kind, bare.flags, bare.spacing_mm) == (None, ("no_region",), None)


def test_read_scan_area_keeps_the_kind_but_not_the_box_of_a_larger_picture() -> None:
    assert scan_of(region((100, 60, 500, 390))) == ("b_mode", (0, 0, 300, 200), ("region_mismatch",))
    assert scan_of(region((100, 60, 299, 390)))[1:] == ((100, 60, 300, 200), ())


def test_read_scan_area_gives_spacing_only_where_both_axes_are_plausible_lengths() -> None:
    header = Dataset()
    for change, spacing in (
        ({}, (0.5, 0.5)),
        ({"PhysicalDeltaX": -0.025}, (0.5, 0.25)),
        ({"PhysicalUnitsXDirection": 4}, None),
        ({"PhysicalDeltaY": 0.0}, None),
        ({"PhysicalDeltaY": 50.0}, None),
    ):
        item = region((0, 0, 299, 199))
        for name, value in change.items():
            setattr(item, name, value)
        header.SequenceOfUltrasoundRegions = [item]
        assert read_scan_area(header, rows=200, columns=300).spacing_mm == spacing


def test_regions_without_corners_are_passed_over() -> None:
    item = region()
    del item.RegionLocationMaxX1
    assert scan_of(item)[2] == ("no_region",)
