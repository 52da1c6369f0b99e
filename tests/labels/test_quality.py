"""Image quality: agreement by weighted kappa, and the tables of quality, marked frames and notes."""

import csv
from pathlib import Path

import pytest

from heart2heart.errors import ConfigError
from heart2heart.labels.clip_events import ClipEvent, marks_text
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.quality import SCALE, export_clip_events, quality_agreement
from heart2heart.schema.enums import ClipEventKind

AT = "2026-11-28T12:00:00.000Z"


def _quality(clip: str, rater: str, value: str) -> ClipEvent:
    return ClipEvent(clip, ClipEventKind.QUALITY, rater, AT, value)


def test_quality_agreement_is_a_weighted_kappa_of_clips_that_both_rated() -> None:
    pairs = [("good", "good"), ("good", "fair"), ("poor", "poor"), ("fair", "unusable"), ("unusable", "unusable")]
    events = [event for index, (first, second) in enumerate(pairs)
              for event in (_quality(f"c{index}", "a", first), _quality(f"c{index}", "b", second))]  # fmt: skip
    (agreement,) = quality_agreement([*events, _quality("alone", "a", "good")])
    assert (agreement.raters, agreement.clips, agreement.same) == (("a", "b"), 5, 3)
    steps = [(SCALE.index(first), SCALE.index(second)) for first, second in pairs]
    observed = sum((first - second) ** 2 for first, second in steps) / 5
    expected = sum((first - second) ** 2 for first, _ in steps for _, second in steps) / 25
    assert agreement.kappa == pytest.approx(1 - observed / expected)
    assert quality_agreement([_quality("c", "a", "good"), _quality("c", "b", "good")])[0].kappa is None


def test_export_clip_events_writes_one_kind_and_no_notes_unasked(tmp_path: Path) -> None:
    label_store = LabelStore(tmp_path / "labels.db")
    label_store.append_clip_events([
        _quality("c1", "a", "good"), _quality("c1", "a", "poor"), _quality("c2", "b", "fair"),
        ClipEvent("c1", ClipEventKind.MARKS, "a", AT, marks_text({"ed": [0, 30], "es": [12]})),
        ClipEvent("c1", ClipEventKind.NOTE, "a", AT, "=doehringer"),
    ])  # fmt: skip
    tables = {}
    for kind in (ClipEventKind.QUALITY, ClipEventKind.MARKS, ClipEventKind.NOTE):
        path = tmp_path / f"{kind}.csv"
        export_clip_events(label_store, path, kind)
        with path.open(newline="", encoding="utf-8") as handle:
            tables[kind.value] = list(csv.reader(handle))
    assert tables["quality"] == [["clip", "rater", "quality", "at"], ["c1", "a", "poor", AT], ["c2", "b", "fair", AT]]
    assert [row[2:4] for row in tables["marks"][1:]] == [["ed", "0"], ["ed", "30"], ["es", "12"]]
    assert tables["note"][1][2] == "'=doehringer"  # no formula of a spreadsheet
    assert "doehringer" not in (tmp_path / "quality.csv").read_text() + (tmp_path / "marks.csv").read_text()
    with pytest.raises(ConfigError, match="written as CSV or Parquet"):
        export_clip_events(label_store, tmp_path / "quality.json", ClipEventKind.QUALITY)
