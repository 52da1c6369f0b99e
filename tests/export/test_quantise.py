"""A network of eight bits keeps the file's facts, is smaller, and decides as the run does on other patients' frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from heart2heart.errors import MissingInputError, RunError
from heart2heart.export import export
from heart2heart.export.export import INT8, export_run, export_with_parity
from heart2heart.export.exported_model import ExportedModel
from heart2heart.export.frames import ExportFrames, random_frames, split_frames
from heart2heart.training.run import Run


@pytest.mark.filterwarnings("ignore")  # the quantiser's own, of old interfaces of ONNX
def test_quantise_keeps_the_decisions_of_the_run(run: Run, tmp_path: Path) -> None:
    frames = split_frames(run, required=True)
    exported = export_with_parity(run, tmp_path, ("onnx", INT8), frames=frames)
    path, parity = exported[INT8]
    whole, whole_parity = exported["onnx"]
    assert whole_parity.agreement == 1.0
    assert whole_parity.max_difference < 1e-3 < parity.max_difference
    assert path.name == "model_int8.onnx"
    small, model = ExportedModel.load(path), ExportedModel.load(whole)
    assert (small.classes, small.geometry, small.split_sha256) == (model.classes, model.geometry, model.split_sha256)
    expected = run.predict(frames.compared)
    for count in (1, 5):  # any number of frames
        np.testing.assert_allclose(
            small.predict(frames.compared[:count]), expected[:count], atol=parity.max_difference + 1e-3
        )
    decided = (small.predict(frames.compared).argmax(1) == expected.argmax(1)).mean()
    assert parity.agreement == pytest.approx(decided)
    assert "validation frames of its split" in parity.sentence()


def test_export_run_needs_frames_to_quantise(run: Run, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="calibrated on training frames"):
        export_run(run, tmp_path, (INT8,))
    assert list(tmp_path.iterdir()) == []


def test_export_run_refuses_a_network_that_decides_otherwise(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = export.FORMATS["pt2"]
    monkeypatch.setattr(export, "FORMATS", {INT8: (write, lambda path, pixels: -read(path, pixels))})
    frames = ExportFrames(random_frames(run).compared, "noise", random_frames(run).compared)
    with pytest.raises(RunError, match="decides otherwise too often"):
        export_run(run, tmp_path, (INT8,), frames=frames)
    assert list(tmp_path.iterdir()) == []
