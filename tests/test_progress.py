"""Progress: lines for logs, and parts of a larger job."""

import pytest

from heart2heart.progress import Part, Silent, stage


class _Kept:
    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def update(self, done: int, note: str = "") -> None:
        self.seen.append((done, note))


def test_a_part_reports_in_the_units_of_the_whole() -> None:
    whole = _Kept()
    part = Part(whole, start=50, span=40, total=8)
    part.update(0)
    part.update(4, "half")
    part.update(8)
    assert whole.seen == [(50, ""), (70, "half"), (90, "")]
    Part(whole, start=0, span=1, total=0).update(0)
    assert whole.seen[-1] == (0, "")


def test_lines_are_rare_and_go_to_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("heart2heart.progress.time.monotonic", lambda: clock[0])
    with stage("count", 20) as progress:
        for done in range(1, 21):
            clock[0] += 1.0
            progress.update(done, f"note {done}")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == ["  count:  50% in 10 s  note 10", "  count: 100% in 20 s  note 20"]


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Silent().update(1, "x")
    assert capsys.readouterr() == ("", "")
