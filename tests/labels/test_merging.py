"""Two label stores as one: nothing lost or doubled, in any order; other taxonomies mapped or refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heart2heart.errors import ExistsError, LabelError, MissingInputError, UnknownNameError
from heart2heart.labels.agreement_coefficients import ReadingMatrix
from heart2heart.labels.clip_events import ClipEvent
from heart2heart.labels.consensus import consensus_labels
from heart2heart.labels.events import LabelEvent, migrate_taxonomy, read_taxonomy_maps
from heart2heart.labels.exporting import export_events
from heart2heart.labels.label_store import LabelStore
from heart2heart.labels.merging import merge_events, merge_files
from heart2heart.schema.enums import ClipEventKind, EventKind, LabelAnswer

_EVENT = st.builds(
    LabelEvent, st.sampled_from(["c1", "c2"]), st.just(""), st.sampled_from(["A4C", "A2C"]), st.sampled_from("ab"),
    st.sampled_from(["", "1", "2"]), st.just("test"), confidence=st.sampled_from([None, 0.5, 0.9]),
)  # fmt: skip
_BOOK = st.lists(_EVENT, max_size=7, unique_by=lambda event: event.identifier)


@given(_BOOK, _BOOK)
@settings(max_examples=60)
def test_merge_events_is_independent_of_the_order(one: list[LabelEvent], other: list[LabelEvent]) -> None:
    both = merge_events([one, other])
    assert both == merge_events([other, one])
    assert {event.identifier for event in both.events} == {event.identifier for event in [*one, *other]}
    assert len({event.identifier for event in both.events}) == len(both.events)
    assert merge_events([one]).events == merge_events([one, one]).events
    assert set(merge_events([one]).events) == set(one)
    assert {event.identifier for event in merge_events([both.events, other]).events} == {
        e.identifier for e in both.events
    }


_WITH_RETRACTIONS = st.tuples(_BOOK, st.sets(st.integers(0, 6))).map(
    lambda drawn: [*drawn[0], *(event.retraction("3") for index, event in enumerate(drawn[0]) if index in drawn[1])]
)


@given(_WITH_RETRACTIONS, _WITH_RETRACTIONS, _WITH_RETRACTIONS)
@settings(max_examples=60)
def test_merge_events_is_associative(one: list[LabelEvent], two: list[LabelEvent], three: list[LabelEvent]) -> None:
    whole = merge_events([one, two, three]).events
    for other in (
        merge_events([merge_events([one, two]).events, three]),
        merge_events([three, merge_events([two, one]).events]),
        merge_events([one, merge_events([two, three]).events]),
        merge_events([whole, two]),
        merge_events([whole, whole]),
    ):
        assert len(other.events) == len(whole)
        assert set(other.events) == set(whole)  # with their details
    again = merge_events([whole]).events
    for clip in ("c1", "c2"):  # the order of two clips says nothing
        assert [event for event in again if event.clip == clip] == [event for event in whole if event.clip == clip]


def test_merge_events_keeps_the_last_reading_under_wrong_clocks() -> None:
    """At one hospital the clock was set back between two readings; the other's is an hour ahead."""
    first, corrected = (
        LabelEvent("c1", "", view, "a", at, "page") for view, at in (("A4C", "10:30"), ("A2C", "09:30"))
    )
    ahead = LabelEvent("c1", "", "PLAX", "b", "11:00", "page")
    for parts in ([[first, corrected], [ahead]], [[ahead], [first, corrected]], [[ahead, first], [first, corrected]]):
        merged = merge_events(parts).events
        assert merged.index(first) < merged.index(corrected)
        assert ReadingMatrix.from_events(merged).values == ("A2C", "PLAX")


@given(_BOOK)
@settings(max_examples=60)
def test_merge_events_keeps_the_order_of_each_clip(one: list[LabelEvent]) -> None:
    merged = merge_events([one, one[::2]]).events
    for clip in ("c1", "c2"):
        assert [event for event in merged if event.clip == clip] == [event for event in one if event.clip == clip]
    assert consensus_labels(merged) == consensus_labels(one)


def test_merge_events_keeps_the_fuller_of_two_copies() -> None:
    plain = LabelEvent("c1", "", "A4C", "a", "1", "csv:clinical")
    full = replace(plain, source="page", confidence=0.9, seconds=2.0)
    for order in ([plain], [full]), ([full], [plain]):
        merged = merge_events(order)
        assert (merged.events, merged.shared, merged.differing) == ([full], 1, 1)


def test_merge_events_settles_contradicting_orders_by_time() -> None:
    early, late = (LabelEvent("c1", "", view, "a", at, "t") for view, at in (("A4C", "1"), ("A2C", "2")))
    assert merge_events([[late, early], [early, late]]).events == [early, late]
    assert merge_events([[late, early]]).events == [late, early]  # the order of one label store is kept


def _books(tmp_path: Path) -> tuple[LabelStore, LabelStore]:
    one, other = LabelStore(tmp_path / "one.db"), LabelStore(tmp_path / "other.db")
    shared = LabelEvent("c0", "", "A4C", "a", "1", "page", confidence=0.5)
    one.append([shared, LabelEvent("c1", "", "A2C", "a", "2", "page")])
    other.append(
        [shared, shared.retraction("3"), LabelEvent("c9", "", "", "b", "4", "page", answer=LabelAnswer.UNSURE)]
    )
    return one, other


def test_merge_files_of_label_stores_and_exports(tmp_path: Path) -> None:
    one, other = _books(tmp_path)
    export_events(other, tmp_path / "other.csv")
    export_events(other, tmp_path / "other.parquet")
    for name in ("other.db", "other.csv", "other.parquet"):
        merged = merge_files([one.path, tmp_path / name], tmp_path / f"all-{name}.db")
        assert (len(merged.events), merged.shared, merged.differing) == (4, 1, 0)
        assert LabelStore(tmp_path / f"all-{name}.db").events() == merged.events
        assert consensus_labels(merged.events) == {"c1": "A2C"}
    assert [path.name for path in tmp_path.glob("*-wal")] == []


def test_merge_files_keeps_gold_readings_and_what_is_no_reading(tmp_path: Path) -> None:
    one, other = _books(tmp_path)
    gold = LabelEvent("c5", "", "A4C", "a", "5", "page", kind=EventKind.GOLD)
    one.append([gold])
    note, poor, fair = (
        ClipEvent("c1", kind, "a", at, value)
        for kind, at, value in (
            (ClipEventKind.NOTE, "2", "rib"),
            (ClipEventKind.QUALITY, "1", "poor"),
            (ClipEventKind.QUALITY, "3", "fair"),
        )
    )
    one.append_clip_events([poor, note])
    other.append_clip_events([fair, note])
    for paths in ([one.path, other.path], [other.path, one.path]):
        out = LabelStore(tmp_path / f"{paths[0].stem}-first.db")
        merge_files(paths, out.path)
        assert [event for _, event in out.clip_events()] == [poor, note, fair]
        assert gold in [entry.event for entry in out.stored_events(gold=True)]
        assert gold not in out.events()


def test_merge_files_refuse(tmp_path: Path) -> None:
    one, other = _books(tmp_path)
    with pytest.raises(ExistsError, match="would be overwritten"):
        merge_files([one.path], other.path)
    with pytest.raises(MissingInputError, match="no label store and no export here"):
        merge_files([tmp_path / "none.db"], tmp_path / "all.db")
    with pytest.raises(MissingInputError, match="no label store and no export here"):
        merge_files([one.path, tmp_path], tmp_path / "all.db")
    (tmp_path / "labels.csv").write_text("clip,view\nc0,A4C\n")
    with pytest.raises(LabelError, match="not an export of label events"):
        merge_files([one.path, tmp_path / "labels.csv"], tmp_path / "all.db")
    assert not (tmp_path / "all.db").exists()


def _old() -> list[LabelEvent]:
    first = LabelEvent("c0", "", "4CH", "a", "1", "page", taxonomy="0", suggestion="2CH", suggested_by="run")
    return [first, first.retraction("2"), LabelEvent("c1", "", "2CH", "a", "1", "page", taxonomy="0")]


def test_migrate_taxonomy_names_views_without_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"2CH of version 0 \(2\), 4CH of version 0 \(1\)"):
        migrate_taxonomy(_old())
    with pytest.raises(LabelError, match=r"without a mapping: 2CH of version 0 \(2\)\."):
        migrate_taxonomy(_old(), {"0": {"4CH": "A4C"}})


def test_migrate_taxonomy_maps_retractions(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text('"0": {4CH: A4C, 2CH: A2C}\n')
    migrated = migrate_taxonomy(_old(), read_taxonomy_maps(tmp_path / "map.yaml"))
    assert [(event.view, event.suggestion, event.taxonomy) for event in migrated] == [
        ("A4C", "A2C", "1"), ("", "", "1"), ("A2C", "", "1"),
    ]  # fmt: skip
    assert migrated[1].retracts == migrated[0].identifier
    assert migrated[0].source == "page taxonomy:0"
    assert consensus_labels(migrated) == {"c1": "A2C"}
    label_store = LabelStore(tmp_path / "labels.db")
    assert label_store.append(migrated) == 3
    today = LabelEvent("c0", "", "A4C", "a", "1", "page")
    assert migrate_taxonomy([today]) == [today]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[1, 2]", LabelError, "must have the form"), ("a: b", LabelError, "must have the form"),
        ("{", LabelError, "not readable"),
        ("0: {4CH: A9C}", UnknownNameError, "unknown view 'A9C'"),
    ],
)  # fmt: skip
def test_read_taxonomy_maps_refuse_bad_files(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(error, match=message):
        read_taxonomy_maps(tmp_path / "map.yaml")
    with pytest.raises(MissingInputError):
        read_taxonomy_maps(tmp_path / "none.yaml")
