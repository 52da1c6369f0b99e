"""Slow inputs stay, those that only the load of the machine delayed go."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.slow_inputs import drop_delayed_inputs, is_slow


def test_drop_delayed_inputs_keeps_what_is_slow_and_other_findings(tmp_path: Path) -> None:
    names = {"labels-timeout-1", "labels-timeout-2", "labels-slow-unit-3", "labels-crash-4", "dicom-timeout-5"}
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert drop_delayed_inputs("labels", tmp_path, lambda target, path: path.name == "labels-timeout-2") == 2
    assert {path.name for path in tmp_path.iterdir()} == names - {"labels-timeout-1", "labels-slow-unit-3"}


def test_is_slow_runs_the_input_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "labels-timeout-1"
    path.write_bytes(seeds("labels")[0])
    assert not is_slow("labels", path)
    assert is_slow("labels", tmp_path / "no_such_file")  # a process that fails is no proof that the input is quick
