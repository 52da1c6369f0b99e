from __future__ import annotations

import pytest

from heart2heart.ingest.rate_meter import RateMeter


def test_rates_statuses_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("heart2heart.ingest.rate_meter.time.monotonic", lambda: clock[0])
    pace = RateMeter(50)
    clock[0] += 8
    codes = {"accepted": 17, "excluded:not_dicom": 2, "excluded:duplicate": 1}
    assert pace.update(20, 1360, codes) == "2.5 files/s, 170 frames/s; accepted 17, excluded 3; 0:12 left"
    clock[0] += 60  # the first 8 seconds are forgotten
    codes["failed:empty"] = 15
    assert pace.update(35, 1360, codes) == "0.2 files/s, 0 frames/s; accepted 17, excluded 3, failed 15; 1:00 left"
    clock[0] += 120
    assert pace.update(35, 1360, codes).endswith("; unknown time left")
    slow = RateMeter(9000)
    assert slow.update(0, 0, {}) == "0.0 files/s, 0 frames/s; unknown time left"
    clock[0] += 4
    assert slow.update(1, 0, {"failed:empty": 1}).endswith("failed 1; 9:59:56 left")
