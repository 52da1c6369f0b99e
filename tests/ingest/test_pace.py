from __future__ import annotations

import pytest

from heart2heart.ingest.pace import Pace


def test_rates_statuses_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("heart2heart.ingest.pace.time.monotonic", lambda: clock[0])
    pace = Pace(50)
    clock[0] += 8
    codes = {"accepted": 17, "excluded:not_dicom": 2, "excluded:duplicate": 1}
    assert pace.note(20, 1360, codes) == "2.5 files/s, 170 frames/s; accepted 17, excluded 3; 0:12 left"
    assert Pace(9000).note(0, 0, {}).endswith("0:09 left")
    clock[0] += 4
    assert pace.note(1, 0, {"failed:empty": 1}).endswith("failed 1; 9:48 left")
