"""The two files of a scope: they read back, and what is changed or foreign is refused."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from heart2heart.errors import ConfigError, MissingInputError, RunError
from heart2heart.schema.scope import SCOPE_ARRAYS, SCOPE_FILE
from heart2heart.scope.scope_files import read_scope, scope_beside, write_scope
from heart2heart.utils import read_json, sha256_file, write_json
from tests.scope.clips import fitted, in_scope


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "scope"
    write_scope(fitted(), path)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "scope"))


def test_read_scope_gives_the_same_scores_and_hash(folder: Path, tmp_path: Path) -> None:
    scope, clips = read_scope(folder), in_scope(9, 3)
    assert (scope.scores(clips) == fitted().scores(clips)).all()
    again = write_scope(fitted(), tmp_path / "again")
    assert again.record.digest() == scope.record.digest()
    assert again.record.arrays_sha256 == sha256_file(folder / SCOPE_ARRAYS)


def test_read_scope_refuses_changed_arrays(copy: Path) -> None:
    data = bytearray((copy / SCOPE_ARRAYS).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / SCOPE_ARRAYS).write_bytes(data)
    with pytest.raises(RunError, match="were changed"):
        read_scope(copy)
    (copy / SCOPE_ARRAYS).unlink()
    with pytest.raises(RunError, match="are missing"):
        read_scope(copy)


def npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("reference.npy", "w") as file:
        for _ in range(1100):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", npz(reference=np.zeros((2, 2))), npz(reference=np.array([{"a": 1}], dtype=object)), bomb()],
    ids=["empty", "cut", "others", "pickle", "bomb"],
)
def test_read_scope_refuses_arrays_that_cannot_be_read(copy: Path, data: bytes) -> None:
    (copy / SCOPE_ARRAYS).write_bytes(data)
    record = read_json(copy / SCOPE_FILE, what="scope")
    write_json(copy / SCOPE_FILE, record | {"arrays_sha256": sha256_file(copy / SCOPE_ARRAYS)})
    with pytest.raises(RunError, match="cannot be read"):
        read_scope(copy)


def test_read_scope_refuses_another_version_and_unknown_keys(copy: Path) -> None:
    record = read_json(copy / SCOPE_FILE, what="scope")
    write_json(copy / SCOPE_FILE, record | {"schema_version": 9})
    with pytest.raises(RunError, match="another version"):
        read_scope(copy)
    write_json(copy / SCOPE_FILE, record | {"thresholds": {"other": 1}})
    with pytest.raises(ConfigError, match="thresholds"):
        read_scope(copy)
    with pytest.raises(MissingInputError):
        read_scope(copy / "none")


def test_scope_beside_needs_the_weights_that_it_was_fitted_for(folder: Path, tmp_path: Path) -> None:
    assert scope_beside(tmp_path, "0" * 64) is None
    scope = scope_beside(folder.parent, "0" * 64)
    assert scope is not None
    assert scope_beside(folder.parent / "model.pt2", "0" * 64) is not None
    with pytest.raises(RunError, match="other weights"):
        scope_beside(folder.parent, "1" * 64)
