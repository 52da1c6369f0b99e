"""Tables of image quality, marked frames and notes come back as they were exported; faulty ones change nothing."""

from pathlib import Path

import pytest

from heart2heart.api.second_labels import export_clip_events, import_clip_events
from heart2heart.errors import LabelError
from heart2heart.labels.clip_events import ClipEvent, marks_text
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.enums import ClipEventKind
from heart2heart.store.frame_store import FrameStore
from tests.annotate.support import make_assignments

Stored = tuple[Path, str, str]
AT = "2026-11-28T12:00:00.000Z"


@pytest.fixture(name="stored", scope="module")
def _stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Make a store, and return it with two of its clips."""
    folder = tmp_path_factory.mktemp("stored")
    make_assignments(folder, patients=1)
    first, second = FrameStore.open(folder / "store").clips["clip"].to_pylist()[:2]
    return folder / "store", first, second


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_import_clip_events_restores_what_was_exported(tmp_path: Path, stored: Stored, ending: str) -> None:
    store, first, second = stored
    events = [
        ClipEvent(first, ClipEventKind.QUALITY, "a", AT, "poor"),
        ClipEvent(second, ClipEventKind.QUALITY, "b", AT, "good"),
        ClipEvent(first, ClipEventKind.MARKS, "a", AT, marks_text({"ed": [0, 30], "es": [12]})),
        ClipEvent(second, ClipEventKind.MARKS, "a", AT, marks_text({"es": [7]})),
        ClipEvent(first, ClipEventKind.NOTE, "a", AT, "=septum, oblique"),
    ]
    source = LabelStore(tmp_path / "source.db")
    source.append_clip_events(events)
    target = LabelStore(tmp_path / "target.db")
    for kind, count in ((ClipEventKind.QUALITY, 2), (ClipEventKind.MARKS, 2), (ClipEventKind.NOTE, 1)):
        table = tmp_path / f"{kind}.{ending}"
        export_clip_events(table, source, kind)
        assert import_clip_events(table, target, store) == count
        assert import_clip_events(table, target, store) == 0, "what is there already is not written again"
    assert {event for _, event in target.clip_events()} == set(events)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clip,rater\nCLIP,a\n", "lacks a column"),
        ("clip,quality,note\nCLIP,good,x\n", "two kinds"),
        ("clip,phase\nCLIP,ed\n", "lacks a column"),
        ("clip,quality\nCLIP,good\nCLIP,excellent\n", r"1 rows are not valid.*rows 3"),
        ("clip,quality\nCLIP,good\nCLIP,poor\n", r"contradict an earlier row.*rows 3"),
        ("clip,quality\nCLIP,\n", "not valid"),
        ("clip,phase,frame\nCLIP,ed,4\nCLIP,es,4\n", r"contradict an earlier row.*rows 3"),
        ("clip,phase,frame\nCLIP,ed,-1\n", "not valid"),
        ("clip,phase,frame\nCLIP,mid,1\n", "not valid"),
        ("clip,quality\nelsewhere,good\n", "not in the store"),
        ("clip,quality,at\nCLIP,good,yesterday\n", "no date"),
    ],
    ids=["no value", "two kinds", "no frame", "word", "two", "empty", "both", "negative", "phase", "clip", "time"],
)
def test_import_clip_events_refuses_a_faulty_table_whole(
    tmp_path: Path, stored: Stored, content: str, message: str
) -> None:
    store, clip, _ = stored
    table = tmp_path / "table.csv"
    table.write_text(content.replace("CLIP", clip))
    with pytest.raises(LabelError, match=message):
        import_clip_events(table, tmp_path / "new.db", store)
    assert not (tmp_path / "new.db").exists()


def test_import_clip_events_leaves_out_unknown_clips_where_asked(tmp_path: Path, stored: Stored) -> None:
    store, clip, _ = stored
    table = tmp_path / "table.csv"
    table.write_text(f"clip;quality\nelsewhere;good\n{clip};fair\n")
    assert import_clip_events(table, tmp_path / "new.db", store, skip_unknown=True) == 1
    assert [event.value for _, event in LabelStore(tmp_path / "new.db").clip_events()] == ["fair"]
