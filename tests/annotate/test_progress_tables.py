"""Progress and agreement by hand."""

from pathlib import Path

from heart2heart.annotate.progress_tables import (
    PageTable,
    agreement_tables,
    chance_corrected,
    pairwise_agreement,
    progress_tables,
)
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import EventKind, LabelAnswer
from tests.annotate.support import make_assignments


def _event(clip: str, rater: str, word: str, kind: str = "label", seconds: float | None = None) -> LabelEvent:
    view, answer = ("", LabelAnswer(word)) if word in ("unsure", "unusable") else (word, LabelAnswer.VIEW)
    return LabelEvent(clip, "", view, rater, "", "t", kind=EventKind(kind), answer=answer, seconds=seconds)


def _facts(table: PageTable) -> dict[str, str]:
    return {row[0]: row[1] for row in table.rows}


def test_progress_tables(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path, double=1.0)
    one, two, three, four = assignments.clip_order()[:4]
    assignments.label_store.append(
        [
            _event(one, "a", "A4C", seconds=2.0), _event(one, "b", "A4C", seconds=4.0),
            _event(two, "a", "PLAX", seconds=9000.0),
            _event(three, "a", "A4C"), _event(three, "b", "unusable", seconds=6.0),
            _event(four, "a", "A4C"), _event(four, "b", "unsure"), _event(four, "z", "A2C", "adjudication"),
            _event(four, "a", "A2C", "adjudication"),
        ]
    )  # fmt: skip
    assignments.refresh()
    overall, site, rater, view = progress_tables(assignments)
    # 10 clips, each read twice: 6 unread and one half read leave 13 readings. The medians of a (2 s, and a pause that
    # counts as 300 s) and b (4 s, 6 s) are 151 s and 5 s
    assert _facts(overall) == {
        "Clips to label": "10", "Done": "2", "Disagreements to decide": "1", "Readings left": "13",
        "Median time of a reading": "78.0 s", "Time left, one person": "17 min",
    }  # fmt: skip
    assert site.rows == (("A", "10", "2", "20 %", "13", "1"),)
    # a decided on a clip that a had read; a may read 6 clips, and b these and the one that a alone has read
    assert rater.rows == (
        ("a", "4", "0", "0", "1", "1", "151.0 s", "15 min"), ("b", "3", "1", "1", "0", "0", "5.0 s", "1 min"),
        ("z", "0", "0", "0", "1", "0", "not known", "not known"),
    )  # fmt: skip
    tables = progress_tables(assignments, reader="a")
    assert "Disagreements to decide" not in _facts(tables[0])
    assert (tables[1].columns[-1], tables[1].rows) == ("readings left", (("A", "10", "2", "20 %", "13"),))
    assert view.rows == (("A2C", "1"), ("A4C", "1"))


def test_progress_tables_without_labels(tmp_path: Path) -> None:
    assignments = make_assignments(tmp_path)
    overall, _, rater, view = progress_tables(assignments)
    assert _facts(overall)["Time left, one person"] == "not known yet"
    assert (rater.rows, view.rows) == ((), ())
    assert [table.rows for table in agreement_tables(assignments.events())] == [(), ()]


def test_pairwise_agreement_counts_equal_answers() -> None:
    events = [
        _event("c1", "a", "A4C"), _event("c1", "b", "A4C"), _event("c2", "a", "A4C"), _event("c2", "b", "A2C"),
        _event("c3", "a", "unusable"), _event("c3", "c", "unusable"),
        _event("c4", "a", "unsure"), _event("c4", "b", "A4C"),
        _event("c2", "z", "A4C", "adjudication"),
    ]  # fmt: skip
    assert pairwise_agreement(events).rows == (("a", "b", "2", "1", "50 %"), ("a", "c", "1", "1", "100 %"))


def test_chance_corrected_agreement() -> None:
    events = [_event(f"c{index}", rater, view) for index, view in enumerate(("A4C", "A2C")) for rater in "ab"]
    assert chance_corrected(events).rows == (
        ("Krippendorff's alpha", "all", "all", "2", "1.00"), ("Krippendorff's alpha", "A2C", "all", "2", "1.00"),
        ("Krippendorff's alpha", "A4C", "all", "2", "1.00"), ("Fleiss' kappa", "all", "all", "2", "1.00"),
        ("Cohen's kappa", "all", "a, b", "2", "1.00"),
    )  # fmt: skip
    assert chance_corrected(events[:2]).rows[0][-1] == "not estimable: all readings have the same value"
