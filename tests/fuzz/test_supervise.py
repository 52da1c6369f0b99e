"""A fuzzer that ends without an input is started again; with an input it is a finding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.supervise import MOST_CRASHES, FuzzerEnd, exit_name, supervise


def fuzzer(codes: list[int], inputs: set[str], breaks_at: int = -1) -> Callable[[int, int], int]:
    """Return a fuzzer that ends with the codes in turn, and writes an input at one of its runs."""

    def start(seconds: int, crashes: int) -> int:
        assert 1 <= seconds <= 60
        if crashes == breaks_at:
            inputs.add("dicom-crash-1")
        return codes[crashes]

    return start


@pytest.mark.parametrize(
    ("codes", "breaks_at", "end"),
    [
        ([0], -1, FuzzerEnd(0, ())),
        ([-11, 0], -1, FuzzerEnd(0, ())),
        ([-11, 1, 0], -1, FuzzerEnd(0, ())),
        ([-11, -11, -11], -1, FuzzerEnd(-11, ())),
        ([77], 0, FuzzerEnd(77, ("dicom-crash-1",))),
        ([0], 0, FuzzerEnd(0, ("dicom-crash-1",))),  # the run goes on after a finding
        ([-11, 77], 1, FuzzerEnd(77, ("dicom-crash-1",))),
    ],
)
def test_supervise_starts_again_what_ends_without_an_input(codes: list[int], breaks_at: int, end: FuzzerEnd) -> None:
    inputs = {"earlier"}
    assert supervise(fuzzer(codes, inputs, breaks_at), lambda: set(inputs), 60, "dicom") == end
    assert end.failed == (bool(end.found) or end.code != 0)


def test_supervise_says_why_it_starts_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    end = supervise(fuzzer([-11] * MOST_CRASHES, set()), set, 60, "dicom")
    again = "dicom: the fuzzer ended by signal SIGSEGV without an input; started again\n"
    assert capsys.readouterr().out == again * (MOST_CRASHES - 1)
    assert "ERROR: 3 times signal SIGSEGV without an input" in end.verdict(tmp_path / "dicom.log")


def test_exit_name_names_signals() -> None:
    assert [exit_name(code) for code in (77, -9, -250)] == ["exit code 77", "signal SIGKILL", "signal 250"]
