"""End-diastole and end-systole where the file names them, and the rule that keeps those frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from heart2heart.deidentify.clean_copy import clean_copy
from heart2heart.deidentify.clip import load_clip
from heart2heart.deidentify.header import technical_dataset
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.dicom.timing import tagged_phases, write_phases
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames, write

N = 10
TIMES = np.arange(0, 40 * N, 40, dtype=np.float64)
SMALL = Geometry("tmed2", 32)


def header(**tags: Any) -> Dataset:
    dataset = Dataset()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return technical_dataset(dataset)


@pytest.mark.parametrize(
    ("tags", "phases"),
    [
        ({}, {}),
        ({"RWaveTimeVector": [0.0, 219.0, 361.0]}, {0: "ED", 5: "ED", 9: "ED"}),
        ({"RWaveTimeVector": 121.0}, {3: "ED"}),
        ({"RWaveTimeVector": [-900.0, -19.0, 380.1, 5000.0]}, {0: "ED"}),
        ({"RWaveTimeVector": [float("nan")]}, {}),
        ({"FrameLabelVector": ["", "ED", "", "", "end-systole", *[""] * 5]}, {1: "ED", 4: "ES"}),
        ({"FrameLabelVector": ["ED1", "ES 1"]}, {}),
        ({"FrameLabelVector": ["systolic"] * 5 + ["diastolic"] * 5}, {}),
        (
            {"FrameNumbersOfInterest": [1, 4, 11], "FrameOfInterestType": ["RWAVE", "ENDSYSTOLE", "RWAVE"]},
            {0: "ED", 3: "ES"},
        ),
        (
            {"FrameNumbersOfInterest": [2, 4], "FrameOfInterestDescription": ["Diastolic", "Systolic"]},
            {1: "ED", 3: "ES"},
        ),
        ({"FrameNumbersOfInterest": [2, 4], "FrameOfInterestType": ["RWAVE"]}, {}),
        ({"FrameNumbersOfInterest": [3], "FrameOfInterestType": ["TRIGGER"]}, {}),
        (
            {"FrameNumbersOfInterest": 5, "FrameOfInterestType": "ENDSYSTOLE", "RWaveTimeVector": [80.0]},
            {4: "ES", 2: "ED"},
        ),
        ({"FrameNumbersOfInterest": 5, "FrameOfInterestType": "RWAVE", "RWaveTimeVector": [80.0]}, {4: "ED"}),
    ],
)
def test_tagged_phases_of_a_header(tags: dict[str, Any], phases: dict[int, str]) -> None:
    assert tagged_phases(header(**tags), TIMES, N) == phases


def test_tagged_phases_ignore_r_waves_without_times() -> None:
    assert tagged_phases(header(RWaveTimeVector=[0.0]), None, N) == {}


@given(
    st.lists(st.floats(width=32), max_size=6),
    st.lists(st.integers(0, 2**16 - 1), max_size=6),
    st.lists(st.sampled_from(["RWAVE", "ENDSYSTOLE", "TRIGGER", "X"]), max_size=6),
    st.lists(st.sampled_from(["ED", "es", "end diastole", "", "Doe"]), max_size=12),
    st.integers(1, 12),
)
def test_tagged_phases_of_any_tags_name_frames_of_the_clip(
    waves: list[float], chosen: list[int], kinds: list[str], labels: list[str], n: int
) -> None:
    facts = header(
        RWaveTimeVector=waves, FrameNumbersOfInterest=chosen, FrameOfInterestType=kinds, FrameLabelVector=labels
    )
    assert "Doe" not in str(facts)
    phases = tagged_phases(facts, np.arange(0, 33 * n, 33, dtype=np.float64), n)
    assert all(0 <= index < n for index in phases)
    assert set(phases.values()) <= {"ED", "ES"}


@given(st.dictionaries(st.integers(0, N - 1), st.sampled_from(["ED", "ES"])))
def test_write_phases_writes_what_tagged_phases_read(phases: dict[int, str]) -> None:
    dataset = Dataset()
    write_phases(dataset, phases)
    assert tagged_phases(technical_dataset(dataset), TIMES, N) == phases


def test_load_clip_keeps_the_named_frames_and_their_phases(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a",
        speckle_frames(N),
        FrameNumbersOfInterest=[2, 6, 9],
        FrameOfInterestType=["RWAVE", "ENDSYSTOLE", "RWAVE"],
    )
    clip = load_clip(path, geometry=SMALL, rule="ed_es:4")
    assert [(frame["index"], frame["phase"]) for frame in clip.frames] == [(1, "ED"), (5, "ES"), (8, "ED")]
    assert clip.facts.flags == ()
    whole = load_clip(path, geometry=SMALL)
    assert np.array_equal(whole.pixels[[1, 5, 8]], clip.pixels)
    assert [frame["phase"] for frame in whole.frames].count(None) == N - 3


def test_load_clip_keeps_frames_evenly_and_flags_a_clip_without_tags(tmp_path: Path) -> None:
    clip = load_clip(write(tmp_path / "a", speckle_frames(N)), geometry=SMALL, rule="ed_es:2")
    assert [(frame["index"], frame["phase"]) for frame in clip.frames] == [(2, None), (7, None)]
    assert clip.facts.flags == ("no_phase_tags",)


def test_clean_copy_keeps_the_tags_of_phases(tmp_path: Path) -> None:
    path = write(tmp_path / "a", speckle_frames(N), RWaveTimeVector=[50.0, 200.0], FrameTime="25.0")
    clean_copy(path, pseudonymizer=Pseudonymizer(Key(bytes(32))), site="a").dataset.save_as(
        tmp_path / "b", enforce_file_format=True
    )
    before, after = (load_clip(tmp_path / name, geometry=SMALL, rule="ed_es:1") for name in "ab")
    assert [frame["index"] for frame in before.frames] == [frame["index"] for frame in after.frames] == [2, 8]
    assert np.array_equal(before.pixels, after.pixels)
