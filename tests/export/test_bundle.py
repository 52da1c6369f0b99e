"""A MONAI bundle: MONAI verifies and runs it; here it is read as weights, never as configuration."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heart2heart.api.prediction import predict_files
from heart2heart.errors import ExistsError, RunError
from heart2heart.export.bundle import BUNDLE, is_bundle, load_bundle, write_bundle
from heart2heart.schema.clip_probabilities import log_softmax
from heart2heart.testing.tiny import SIZE
from heart2heart.training.run import Run
from tests.dicom.build import speckle_frames, write

SPECIFIED = {
    "type": "object",
    "required": [
        "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task",
        "description", "authors", "copyright", "network_data_format",
    ],
    "properties": {
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "changelog": {"type": "object", "additionalProperties": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": [
                        "type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data",
                        "channel_def",
                    ],
                    "properties": {"spatial_shape": {"type": "array"}, "channel_def": {"type": "object"}},
                },
            },
        },
    },
}  # fmt: skip
"""The fields that MONAI's specification of bundles requires; its own schema is only on the network."""


@pytest.fixture(scope="module")
def written(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(run, tmp_path_factory.mktemp("written") / BUNDLE)


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / BUNDLE)
    return tmp_path / BUNDLE


def pixels(count: int = 3) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE)).astype(np.uint8)


def test_write_bundle_has_the_layout_of_the_specification(run: Run, written: Path) -> None:
    files = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert files == {
        "LICENSE",
        "configs/inference.json",
        "configs/inference_frames.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/model.pt",
        "models/model.pt2",
    }
    assert is_bundle(written)
    assert not is_bundle(run.path)
    state = torch.load(written / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(state[name], tensor.cpu()) for name, tensor in run.network.state_dict().items())
    text = "".join((written / name).read_text() for name in files if not name.startswith("models"))
    assert str(run.path) not in text
    with pytest.raises(ExistsError):
        write_bundle(run, written)


@pytest.mark.filterwarnings("ignore")  # MONAI's own, of optional packages and of its loader
def test_write_bundle_is_accepted_and_run_by_monai(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from monai.bundle import scripts

    folder = bundle.parent
    monkeypatch.chdir(folder)
    Path("schema.json").write_text(json.dumps(SPECIFIED))
    np.save("frames.npy", pixels())
    with caplog.at_level("INFO", logger="monai.bundle.scripts"):
        scripts.verify_metadata(meta_file="bundle/configs/metadata.json", filepath="schema.json")
    assert "metadata is verified with no error" in caplog.text
    config = "bundle/configs/inference_frames.json"
    scripts.run(config_file=config, bundle_root="bundle", frames="frames.npy", output="p.json")
    rows = json.loads((bundle.parent / "p.json").read_text())
    expected = np.exp(log_softmax(run.predict(pixels()).astype(np.float64)))
    assert [tuple(row) for row in rows] == [run.classes] * 3
    np.testing.assert_allclose([list(row.values()) for row in rows], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # MONAI's own, of optional packages and of its loader
def test_write_bundle_reads_ultrasound_by_its_own_transforms(
    run: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monai.bundle import scripts

    monkeypatch.chdir(bundle.parent)
    (bundle.parent / "clips" / "a").mkdir(parents=True)
    write(bundle.parent / "clips" / "a" / "clip.dcm", speckle_frames(5, seed=2))
    (bundle.parent / "clips" / "note.txt").write_text("no clip")
    scripts.run(
        config_file="bundle/configs/inference.json", bundle_root="bundle", dataset_dir="clips", frames="even:3",
        output="answers.json",
    )  # fmt: skip
    clip, note = json.loads(Path("answers.json").read_text())
    (expected,) = predict_files(run, bundle.parent / "clips" / "a" / "clip.dcm", rule="even:3")
    assert (clip["file"], clip["view"], clip["mode"]) == ("a/clip.dcm", expected.view, expected.mode)
    assert clip["frame_indices"] == [frame.index for frame in expected.frames]
    np.testing.assert_allclose(list(clip["probabilities"].values()), expected.probabilities, atol=1e-5)
    assert note == {"file": "note.txt", "code": "excluded:not_dicom"}


def test_load_bundle_predicts_as_the_run_without_reading_its_configuration(run: Run, bundle: Path) -> None:
    marker = bundle.parent / "evaluated"
    (bundle / "configs" / "inference.json").write_text(json.dumps({"run": f"$open({str(marker)!r}, 'w')"}))
    (bundle / "models" / "model.pt").write_bytes(b"never read")
    model = load_bundle(bundle)
    np.testing.assert_allclose(model.predict(pixels()), run.predict(pixels()), atol=1e-4)
    assert (model.name, model.classes, model.info().method) == (BUNDLE, run.classes, "bundle export")
    assert not marker.exists()


def change_metadata(bundle: Path, **update: Any) -> None:
    file = bundle / "configs" / "metadata.json"
    content = json.loads(file.read_text())
    content["heart2heart"] |= update
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"classes": ["a", "b"]}, "contradict its weights"),
        ({"split_sha256": "0" * 64}, "contradict its weights"),
        ({"program_sha256": "0" * 64}, r"not those of its metadata.*model:changed"),
        ({"layout": 9, "version": "7.0"}, r"of heart2heart '7\.0'.*model:other_version"),
    ],
)
def test_load_bundle_refuses_changed_facts(bundle: Path, update: dict[str, Any], message: str) -> None:
    change_metadata(bundle, **update)
    with pytest.raises(RunError, match=message):
        load_bundle(bundle)


def test_load_bundle_refuses_a_foreign_or_damaged_bundle(bundle: Path) -> None:
    metadata = bundle / "configs" / "metadata.json"
    for text, message in (
        ('{"version": "0.1.0"}', "not of heart2heart"),
        ("[]", "not of heart2heart"),
        ("{", "damaged"),
        (" " * (2**20 + 1), "larger than"),
    ):
        metadata.write_text(text)
        with pytest.raises(RunError, match=message):
            load_bundle(bundle)


def test_load_bundle_refuses_other_weights(bundle: Path) -> None:
    program = bundle / "models" / "model.pt2"
    kept = program.read_bytes()
    program.write_bytes(kept[:-1] + b"x")
    with pytest.raises(RunError, match="not those of its metadata"):
        load_bundle(bundle)
    program.unlink()
    with pytest.raises(RunError, match=r"no models/model\.pt2"):
        load_bundle(bundle)
    (bundle.parent / "elsewhere.pt2").write_bytes(kept)
    program.symlink_to(bundle.parent / "elsewhere.pt2")
    with pytest.raises(RunError, match=r"no models/model\.pt2"):
        load_bundle(bundle)
