"""Metrics: means, the first step that diverged, and a log that survives a kill."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from heart2heart.errors import DivergedError, NoSpaceError
from heart2heart.training import checkpoint
from heart2heart.training.metrics import Meter, MetricsLog


def test_meter_gives_means_since_the_last_reading() -> None:
    meter = Meter()
    for value in (1.0, 2.0, 6.0):
        meter.add({"loss_labeled": torch.tensor(value), "conflict_rate": torch.tensor(value > 1.5)})
    assert meter.read(3) == {"loss_labeled": 3.0, "conflict_rate": pytest.approx(2 / 3)}
    meter.add({"loss_labeled": torch.tensor(5.0)})
    assert meter.read(4) == {"loss_labeled": 5.0}


def test_meter_averages_a_metric_over_the_steps_that_have_it() -> None:
    meter = Meter()
    meter.add({"loss_labeled": torch.tensor(1.0)})
    meter.add({"loss_labeled": torch.tensor(3.0), "loss_unlabeled": torch.tensor(4.0)})
    assert meter.read(2) == {"loss_labeled": 2.0, "loss_unlabeled": 4.0}
    for value in (1.0, float("inf")):
        meter.add({"loss_labeled": torch.tensor(1.0)})
        meter.add({"loss_labeled": torch.tensor(1.0), "loss_unlabeled": torch.tensor(value)})
    with pytest.raises(DivergedError, match="loss of step 6 is not finite"):
        meter.read(6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_meter_names_the_step_of_a_loss_that_is_not_finite(bad: float) -> None:
    meter = Meter()
    for value in (1.0, bad, bad):
        meter.add({"loss_unlabeled": torch.tensor(value), "other": torch.tensor(float("nan"))})
    with pytest.raises(DivergedError, match="loss of step 19 is not finite"):
        meter.read(20)


def test_truncate_drops_rows_after_the_checkpoint_and_a_torn_line(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    assert log.read() == []
    for step in (2, 4, 6):
        log.append(step, {"loss_labeled": step / 10})
    with log.path.open("a") as handle:
        handle.write('{"step": 8, "loss_la')
    assert [line["step"] for line in log.read()] == [2, 4, 6]
    log.truncate(4)
    assert log.path.read_text() == '{"step": 2, "loss_labeled": 0.2}\n{"step": 4, "loss_labeled": 0.4}\n'


def test_append_and_save_name_a_full_disk_and_keep_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoSpaceError, match="no space left"):
        MetricsLog(Path("/dev/full")).append(1, {"loss_labeled": 1.0})
    checkpoint.save(tmp_path / "last.pt", {"step": 1})

    def full(self: Path, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NoSpaceError, match="no space left"):
        checkpoint.save(tmp_path / "last.pt", {"step": 2})
    assert checkpoint.load(tmp_path / "last.pt")["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
