"""One clip from file to frames, and its row for the store."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heart2heart.deidentify.clip import KnownContentError, load_clip
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.schema.store import CLIPS, FRAMES
from heart2heart.store.geometry import Geometry
from tests.dicom.build import speckle_frames, write

GEOMETRY = Geometry("tmed2", 64)
MAKE = Pseudonymizer(Key(bytes(32)))


def test_load_clip_gives_rows_of_the_schema(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", speckle_frames(4), SyntheticData="YES")
    clip = load_clip(path, geometry=GEOMETRY, pseudonymizer=MAKE, site="s")
    row = clip.row("s", "c1")
    assert set(row) == set(CLIPS.names) - {"n_frames", "pixel_hash"}
    assert {name for name in CLIPS.names if not CLIPS.field(name).nullable} - {"n_frames", "pixel_hash"} <= {
        name for name, value in row.items() if value is not None
    }
    assert set(clip.frames[0]) == {"index", "time_ms", "phase", "quality", "dhash"} < set(FRAMES.names)
    assert row["synthetic"] is True
    assert row["content"] == MAKE.content(path)
    assert row["instance"] == MAKE.uid("1.2.3.4.1")


def test_load_clip_writes_the_stress_protocol_into_the_row_of_the_clip(tmp_path: Path) -> None:
    protocol: dict[str, Any] = {
        "StageName": "Peak Exercise",
        "StageNumber": 2,
        "NumberOfStages": 3,
        "ViewName": "AP4",
        "ViewNumber": 4,
    }
    row = load_clip(write(tmp_path / "a", speckle_frames(2), **protocol), geometry=GEOMETRY).row("s", "c")
    names = ("stage", "stage_number", "n_stages", "view_name", "view_number", "n_views", "view_code")
    assert [row[name] for name in names] == ["peak", 2, 3, "A4C", 4, None, None]
    free: dict[str, Any] = {"StageName": "Ward 7", "StageNumber": 0, "ViewName": "Bed by window"}
    row = load_clip(write(tmp_path / "b", speckle_frames(2), **free), geometry=GEOMETRY).row("s", "c")
    assert [row[name] for name in names] == [None] * 7


def test_load_clip_gives_a_frame_that_does_not_depend_on_the_others_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", speckle_frames(20))
    whole, few = (load_clip(path, geometry=GEOMETRY, rule=rule) for rule in ("all", "even:4"))
    kept = [frame["index"] for frame in few.frames]
    assert np.array_equal(few.pixels, whole.pixels[kept])
    assert few.frames == [whole.frames[index] for index in kept]
    assert few.facts == whole.facts


def test_load_clip_makes_everything_outside_region_and_sector_black(tmp_path: Path) -> None:
    pictures = speckle_frames(8)
    marked = pictures.copy()
    marked[:, :8] = 255  # above the region
    marked[:, 60:90, 18:24] = 255  # inside the region, beside the fan
    plain, blanked = (
        load_clip(write(tmp_path / f"{name}.dcm", p), geometry=GEOMETRY) for name, p in (("a", pictures), ("b", marked))
    )
    assert plain.facts.box == blanked.facts.box
    assert np.array_equal(plain.pixels, blanked.pixels)
    assert plain.facts.flags == ()


def test_load_clip_does_not_decode_known_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm")
    content = MAKE.content(path)
    with pytest.raises(KnownContentError) as error:
        load_clip(path, geometry=GEOMETRY, pseudonymizer=MAKE, known={content})
    assert error.value.content == content
    assert error.value.code == "excluded:duplicate"


def test_load_clip_makes_unequal_spacing_square(tmp_path: Path) -> None:
    from tests.dicom.build import region

    item = region()
    item.PhysicalDeltaY = 0.025  # pixels are twice as wide as high
    path = write(tmp_path / "a.dcm", speckle_frames(4), SequenceOfUltrasoundRegions=[item])
    clip = load_clip(path, geometry=GEOMETRY)
    x0, y0, x1, y1 = clip.facts.box
    filled = clip.pixels.max(axis=(0, 2)) > 0
    assert clip.facts.spacing_mm == (0.25, 0.5)
    assert filled[: round(64 * 0.5 * (y1 - y0) / (x1 - x0)) - 2].any()
    assert not filled[round(64 * 0.5 * (y1 - y0) / (x1 - x0)) + 1 :].any()
