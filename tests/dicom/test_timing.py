"""Frame times: the order of sources, and values no clip has."""

from typing import Any

import pytest
from pydicom import Dataset

from heart2heart.dicom.timing import cumulative_times, frame_times


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"FrameTimeVector": ["0", "10", "30"], "FrameTime": "50"}, [0, 10, 40]),
        ({"FrameTimeVector": ["0", "10"], "FrameTime": "50"}, [0, 50, 100]),
        ({"FrameTimeVector": ["0", "10", "0"], "FrameTime": "50"}, [0, 50, 100]),
        ({"FrameTime": "40", "CineRate": "50"}, [0, 40, 80]),
        ({"FrameTime": "0", "CineRate": "50"}, [0, 20, 40]),
        ({"CineRate": "50", "RecommendedDisplayFrameRate": "25"}, [0, 20, 40]),
        ({"RecommendedDisplayFrameRate": "25"}, [0, 40, 80]),
        ({"FrameTime": "99999"}, None),
        ({"CineRate": "0"}, None),
        ({}, None),
    ],
)
def test_frame_times_take_the_first_plausible_source(tags: dict[str, Any], expected: list[float] | None) -> None:
    header = Dataset()
    for name, value in tags.items():
        setattr(header, name, value)
    times = frame_times(header, 3)
    assert (None if times is None else times.tolist()) == expected


def test_cumulative_times_is_none_if_a_step_is_not_plausible() -> None:
    times = cumulative_times([10, 30, 2000])
    assert times is not None
    assert times.tolist() == [0, 10, 40, 2040]
    assert cumulative_times([]) is not None  # one frame, at 0
    for step in (0.0, -5.0, 2001.0, float("nan")):
        assert cumulative_times([10, step]) is None
