"""Exported files give the run's logits, for any number of frames, or are not published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from heart2heart.errors import InternalError, MissingInputError, UnknownNameError
from heart2heart.export import export
from heart2heart.export.export import FORMATS, export_run
from heart2heart.testing.tiny import SIZE
from heart2heart.training.run import Run


@pytest.fixture(scope="module")
def files(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return export_run(run, tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("name", ["pt2", "onnx"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_export_run_gives_the_logits_of_the_run(run: Run, files: dict[str, Path], name: str, count: int) -> None:
    pixels = np.random.default_rng(count).integers(0, 256, (count, SIZE, SIZE)).astype(np.uint8)
    _, read = FORMATS[name]
    np.testing.assert_allclose(read(files[name], pixels), run.predict(pixels), atol=1e-4)


def test_export_run_writes_classes_and_geometry_into_the_files(run: Run, files: dict[str, Path]) -> None:
    import onnx

    inside = {"classes": "", "geometry": "", "run_sha256": ""}
    with files["pt2"].open("rb") as handle:
        torch.export.load(handle, extra_files=inside)
    metadata = {entry.key: entry.value for entry in onnx.load(files["onnx"]).metadata_props}
    for facts in (inside, metadata):
        assert tuple(json.loads(facts["classes"])) == run.classes
        assert json.loads(facts["geometry"])["size"] == SIZE
        assert len(facts["run_sha256"]) == 64


def test_export_run_does_not_publish_a_file_that_differs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = FORMATS["pt2"]
    monkeypatch.setattr(export, "FORMATS", {"pt2": (write, lambda path, pixels: read(path, pixels) + 1)})
    with pytest.raises(InternalError, match="differs from the run"):
        export_run(run, tmp_path, ("pt2",))
    assert list(tmp_path.iterdir()) == []


def test_export_run_names_a_missing_extra(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(MissingInputError, match=r"pip install 'heart2heart\[onnx\]'"):
        export_run(run, tmp_path, ("pt2", "onnx"))
    assert list(tmp_path.iterdir()) == []


def test_export_run_lists_the_known_formats(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="onnx, onnx_int8, pt2"):
        export_run(run, tmp_path, ("h5",))
