"""Frames for an export are of the run's split: its validation patients compare, its training patients calibrate."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from heart2heart.errors import MissingInputError
from heart2heart.export.frames import random_frames, split_frames
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.tiny import TinyStore
from heart2heart.training.run import Run


def test_split_frames_are_of_different_patients(run: Run, tiny: TinyStore) -> None:
    frames = split_frames(run)
    assert frames.calibration is not None
    manifest, store = SplitManifest.load(tiny.split), FrameStore.open(tiny.store)
    for pixels, role in ((frames.compared, "validation"), (frames.calibration, "train")):
        expected = store.read(manifest.select(store, role).rows)
        assert sorted(map(bytes, pixels)) == sorted(map(bytes, expected))


def test_split_frames_falls_back_to_random_pixels_where_nothing_is_required(
    run: Run, tiny: TinyStore, tmp_path: Path
) -> None:
    with pytest.raises(MissingInputError, match="Name its folders with --split and --store"):
        split_frames(run, split=tmp_path, required=True)
    frames = split_frames(run, split=tmp_path)
    np.testing.assert_array_equal(frames.compared, random_frames(run).compared)
    assert (frames.source, frames.calibration) == ("random pixels", None)
    shutil.copytree(tiny.split, tmp_path / "moved")
    assert split_frames(run, split=tmp_path / "moved", stores=[tiny.store]).calibration is not None
