"""The page lays the frames of a pair over one another, escapes names, and withholds what may hold text."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from heart2heart.reporting.pair_sheet import FrameFacts, PairView, pair_pictures, write_pair_sheet
from heart2heart.schema.reviewed_pairs import SuspectedPair
from heart2heart.splits.planted_copies import COPY_KINDS
from tests.store.echo_frames import echo_frames

FRAME = echo_frames(1, side=96)[0]
PAIR = SuspectedPair(
    left="<b>:0000", right="d:0000", correlation=0.913, registered=True, left_sha256="a" * 64, right_sha256="b" * 64
)


def pixels(uri: str) -> npt.NDArray[np.float64]:
    png = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(png)), np.float64)


@pytest.mark.parametrize("kind", ["flip", "shift", "turn 8 degrees", "crop 5 %"])
def test_pair_pictures_lays_a_copy_over_its_original(kind: str) -> None:
    uris, mirrored = pair_pictures(FRAME, COPY_KINDS[kind](FRAME))
    left, right, laid, difference = (pixels(uri) for uri in uris)
    assert mirrored == (kind == "flip")
    assert np.array_equal(left, FRAME)
    inside = laid > 0
    assert np.corrcoef(left[inside], laid[inside])[0, 1] > 0.95 > np.corrcoef(left.ravel(), right.ravel())[0, 1]
    assert np.array_equal(difference, np.abs(left - laid))


def test_write_pair_sheet_escapes_names_and_withholds_pictures(tmp_path: Path) -> None:
    facts = FrameFacts("<b>:0000", "A", "train", "p1"), FrameFacts("d:0000", "B", "test", "p2")
    uris, _ = pair_pictures(FRAME, FRAME)
    views = [PairView(1, PAIR, *facts, uris, False), PairView(2, PAIR, *facts, (), False)]
    out = write_pair_sheet(views, tmp_path / "p.html", split="s", total=3, synthetic=True, command="clear")
    page = out.read_text()
    assert page.count("<img") == 4
    assert page.count("text is suspected in one of the frames") == 1
    assert "<b>:0000" not in page
    assert "&lt;b&gt;:0000, train at A" in page
    assert "correlation 0.91 after registration" in page
    assert "SYNTHETIC DATA" in page
    assert "the 2 most alike are shown" in page
