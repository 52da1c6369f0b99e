"""A model folder holds all that travels with a model; a changed byte anywhere in it is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heart2heart.api.exported_models import load_model
from heart2heart.errors import ConfigError, ExistsError, ModelError
from heart2heart.export.model_folder import is_model_folder, load_model_folder, read_parity, write_model_folder
from heart2heart.schema.model_fault import ModelFault
from heart2heart.schema.model_folder import ModelManifest
from heart2heart.schema.split import Certificate
from heart2heart.schema.validation import VALIDATION_CHECKS, TrainingData, ValidationCertificate
from heart2heart.testing.tiny import SIZE, TinyStore
from heart2heart.training.run import Run
from heart2heart.utils import sha256_file, write_json


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "echo")
    return tmp_path / "echo"


def pixels() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE)).astype(np.uint8)


def validation(run: Run, folder: Path, **changes: Any) -> Path:
    checks = tuple({"name": name, "status": "pass", "detail": "none"} for name in VALIDATION_CHECKS)
    content: dict[str, Any] = {
        "sites": ("B",), "rows_sha256": "a" * 64, "model_sha256": sha256_file(run.directory.best_checkpoint),
        "store_sha256": "b" * 64, "manifest_sha256": None, "training_data": TrainingData.COMPARED, "checks": checks,
    }  # fmt: skip
    certificate = ValidationCertificate.parse(content | changes, where="test")
    write_json(folder / "certificate.json", certificate.model_dump(mode="json"))
    return folder


def test_write_model_folder_is_opened_as_the_run(run: Run, tiny: TinyStore, folder: Path) -> None:
    model = load_model_folder(folder)
    np.testing.assert_allclose(model.predict(pixels()), run.predict(pixels()), atol=1e-4)
    certificate = Certificate.read(tiny.split / "certificate.json")
    assert (model.name, model.folder, model.info().method) == ("echo", folder, "model export")
    assert (model.split_sha256, model.certificate_sha256) == (certificate.split_sha256, certificate.digest())
    files = {path.name for path in folder.iterdir()}
    assert files == {"CARD.md", "LICENSE", "certificate.json", "manifest.json", "model.pt2", "parity.json"}
    assert read_parity(folder)["pt2"].agreement == 1.0
    assert is_model_folder(folder)
    assert not is_model_folder(run.path)
    texts = "".join(path.read_text() for path in folder.iterdir() if path.suffix != ".pt2")
    assert str(run.path) not in texts
    assert str(tiny.store) not in texts
    with pytest.raises(ExistsError, match="a model of this name"):
        write_model_folder(run, folder)


def test_load_model_opens_every_kind(run: Run, folder: Path) -> None:
    assert type(load_model(run.path)).__name__ == "Run"
    for path in (folder, folder / "model.pt2"):
        model = load_model(path)
        np.testing.assert_allclose(model.probabilities(pixels()), run.probabilities(pixels()), atol=1e-5)
        assert repr(model).startswith(f"<ExportedModel('{path.name}')")


def test_write_model_folder_takes_what_travels_along(run: Run, tmp_path: Path) -> None:
    source = Run.load(shutil.copytree(run.path, tmp_path / "run"))
    write_json(source.path / "scope" / "scope.json", {"threshold": 1})
    written = write_model_folder(
        source, tmp_path / "echo", licence="CC-BY-4.0", validations=[validation(run, tmp_path / "at_b")]
    )
    manifest = ModelManifest.parse(json.loads((written / "manifest.json").read_text()), where="test")
    assert manifest.licence == "CC-BY-4.0"
    assert {"scope/scope.json", "validations/at_b.json"} <= manifest.files.keys()
    card = (written / "CARD.md").read_text()
    assert "Validation at_b at B: passed" in card
    assert "Licence of the weights: CC-BY-4.0" in card
    load_model_folder(written)


def test_write_model_folder_refuses_certificates_that_fail(run: Run, tiny: TinyStore, tmp_path: Path) -> None:
    other = validation(run, tmp_path / "other", model_sha256="0" * 64)
    with pytest.raises(ModelError, match=r"of another model.*model:certificate"):
        write_model_folder(run, tmp_path / "echo", validations=[other])
    with pytest.raises(ConfigError, match="two validations have one name"):
        write_model_folder(run, tmp_path / "echo", validations=[validation(run, tmp_path / "b")] * 2)
    split = Path(shutil.copytree(tiny.split, tmp_path / "split"))
    content = json.loads((split / "certificate.json").read_text())
    content["checks"][0]["status"] = "fail"
    write_json(split / "certificate.json", content)
    with pytest.raises(ModelError, match=r"failed \(patient_disjoint\).*model:certificate"):
        write_model_folder(run, tmp_path / "echo", split=split)
    assert not (tmp_path / "echo").exists()


def flip_byte(folder: Path) -> None:
    content = bytearray((folder / "model.pt2").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.pt2").write_bytes(bytes(content))


def add_file(folder: Path) -> None:
    (folder / "scope").mkdir()
    (folder / "scope" / "scope.json").write_text("{}")


def link(folder: Path) -> None:
    (folder / "LICENSE").rename(folder.parent / "LICENSE")
    (folder / "LICENSE").symlink_to(folder.parent / "LICENSE")


def edit_manifest(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        write_json(folder / "manifest.json", content | changes)

    return change


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def fail_certificate(folder: Path) -> None:
    """Change the certificate and seal the folder again, as someone without the signing key could."""
    certificate = json.loads((folder / "certificate.json").read_text())
    certificate["checks"][0]["status"] = "fail"
    write_json(folder / "certificate.json", certificate)
    reseal(folder, certificate_sha256=Certificate.parse(certificate, where="test").digest())


def reseal(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "manifest.json").read_text()) | changes
    for name in content["files"]:
        path = folder / name
        content["files"][name] = {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    write_json(folder / "manifest.json", ModelManifest.parse(content, where="test").sealed().model_dump(mode="json"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (flip_byte, ModelFault.CHANGED),
        (add_file, ModelFault.CHANGED),
        (link, ModelFault.CHANGED),
        (damage_manifest, ModelFault.CHANGED),
        (edit_manifest(licence="MIT"), ModelFault.CHANGED),
        (edit_manifest(files={}), ModelFault.CHANGED),
        (edit_manifest(surprise=1), ModelFault.CHANGED),
        (edit_manifest(schema_version=9, version="7.0"), ModelFault.OTHER_VERSION),
        (edit_manifest(kind="other"), ModelFault.NOT_A_MODEL),
        (fail_certificate, ModelFault.CERTIFICATE),
        (lambda folder: reseal(folder, classes=("a", "b")), ModelFault.CHANGED),
    ],
    ids=["byte", "added", "link", "manifest", "licence", "files", "key", "version", "kind", "certificate", "classes"],
)
def test_load_model_folder_refuses_what_was_changed(
    copy: Path, change: Callable[[Path], None], fault: ModelFault
) -> None:
    change(copy)
    with pytest.raises(ModelError, match=str(fault)) as refusal:
        load_model_folder(copy)
    assert refusal.value.code == fault


def test_load_model_refuses_pickled_weights(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="model:pickled"):
        load_model(tmp_path / "weights.pth")
