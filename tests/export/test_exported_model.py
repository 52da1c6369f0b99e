"""Exported files are read back as frozen models, or refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from heart2heart.errors import MissingInputError, RunError
from heart2heart.export.export import export_run
from heart2heart.export.exported_model import ExportedModel
from heart2heart.testing.tiny import SIZE
from heart2heart.training.run import Run


@pytest.fixture(scope="module")
def files(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return export_run(run, tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_load_gives_the_run_back(run: Run, files: dict[str, Path], form: str) -> None:
    model = ExportedModel.load(files[form])
    pixels = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE)).astype(np.uint8)
    np.testing.assert_allclose(model.predict_at(pixels, ["E"] * 5), run.predict(pixels), atol=1e-4)
    assert model.predict(pixels[:0]).shape == (0, 4)
    assert (model.classes, model.geometry) == (run.classes, run.geometry)
    assert (model.split_sha256, model.adapted_at) == (run.directory.record.split_sha256, "")
    assert model.info().run == f"model.{form}"


def test_load_takes_files_that_do_not_record_their_split(files: dict[str, Path], tmp_path: Path) -> None:
    content = onnx.load(files["onnx"])
    kept = [entry for entry in content.metadata_props if entry.key in ("classes", "geometry")]
    del content.metadata_props[:]
    content.metadata_props.extend(kept)
    onnx.save(content, tmp_path / "model.onnx")
    model = ExportedModel.load(tmp_path / "model.onnx")
    assert (model.split_sha256, model.adapted_at) == (None, None)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classes", None, "does not name its classes"),
        ("classes", '["one"]', "gives 4 logits, but names 1 classes"),
        ("geometry", '{"name": "tmed2", "version": 1, "size": "wide"}', "does not name its classes and the geometry"),
        ("geometry", '{"name": "other", "version": 1, "size": 16}', "does not name its classes and the geometry"),
    ],
)
def test_load_refuses_a_file_whose_facts_do_not_fit(
    files: dict[str, Path], tmp_path: Path, key: str, value: str | None, message: str
) -> None:
    content = onnx.load(files["onnx"])
    for entry in list(content.metadata_props):
        if entry.key == key:
            content.metadata_props.remove(entry)
            if value is not None:
                content.metadata_props.add(key=key, value=value)
    onnx.save(content, tmp_path / "model.onnx")
    with pytest.raises(RunError, match=message):
        ExportedModel.load(tmp_path / "model.onnx")


def test_load_refuses_what_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="heart2heart export"):
        ExportedModel.load(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(RunError, match="cannot be read"):
        ExportedModel.load(tmp_path / "model.onnx")
