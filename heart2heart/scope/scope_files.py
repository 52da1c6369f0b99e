"""Writes and reads the two files of a scope, `scope.json` and `scope.npz`, without pickle."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heart2heart.errors import RunError
from heart2heart.schema.scope import SCOPE_ARRAYS, SCOPE_FILE, SCOPE_FOLDER, SCOPE_SCHEMA_VERSION, ScopeRecord
from heart2heart.scope.scope_model import ScopeModel
from heart2heart.utils import atomic_path, make_private_folder, read_json, sha256_file, write_json

MAX_ARRAY_BYTES = 1 << 30
"""Largest size of the arrays of a scope, packed or not."""
_ARRAYS = ("reference", "means", "precision", "centre", "spread", "site_centre", "site_spread")
_OTHER_ARRAYS = ("other_means", "other_precision")
_REMEDY = "Fit it again with: heart2heart scope fit"


def write_scope(scope: ScopeModel, folder: Path) -> ScopeModel:
    """Write both files, the record last, and return the scope with the hash of its arrays.

    Args:
        scope: The scope.
        folder: The folder, made if it is missing.
    """
    make_private_folder(folder)
    with atomic_path(folder / SCOPE_ARRAYS) as temporary, temporary.open("wb") as handle:
        np.savez(handle, allow_pickle=False, **dict(scope.arrays))
    record = scope.record.model_copy(update={"arrays_sha256": sha256_file(folder / SCOPE_ARRAYS)})
    write_json(folder / SCOPE_FILE, record.model_dump(mode="json"))
    return replace(scope, record=record)


def read_scope(folder: Path) -> ScopeModel:
    """Read both files of a folder.

    Raises:
        MissingInputError: no scope here.
        ConfigError: a key or value of the record is not acceptable.
        RunError: the scope is of another version, or was changed or damaged.
    """
    path = folder / SCOPE_FILE
    content = read_json(path, what="scope of a model")
    if not isinstance(content, dict) or content.get("schema_version") != SCOPE_SCHEMA_VERSION:
        raise RunError("this scope is of another version", where=path, remedy=_REMEDY)
    record = ScopeRecord.parse(content, where=path)
    arrays = folder / SCOPE_ARRAYS
    if not arrays.is_file() or sha256_file(arrays) != record.arrays_sha256:
        raise RunError("the arrays of this scope are missing, or were changed", where=arrays, remedy=_REMEDY)
    return ScopeModel(record, _read_arrays(arrays))


def scope_beside(model: Path, weights_sha256: str) -> ScopeModel | None:
    """Return the scope beside a model, or None if there is none.

    Args:
        model: Folder of the run, or the exported file.
        weights_sha256: Hash of its weights.

    Raises:
        RunError: the scope was fitted for other weights, or cannot be read.
    """
    folder = (model if model.is_dir() else model.parent) / SCOPE_FOLDER
    if not (folder / SCOPE_FILE).exists():
        return None
    scope = read_scope(folder)
    if scope.record.weights_sha256 != weights_sha256:
        raise RunError("this scope was fitted for other weights", where=folder, remedy=_REMEDY)
    return scope


def _read_arrays(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Read the arrays without pickle, after a check of their sizes."""
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_ARRAY_BYTES else b""
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(each.file_size for each in archive.infolist()) > MAX_ARRAY_BYTES:
                raise ValueError("too large")
        with np.load(io.BytesIO(data), allow_pickle=False) as content:
            arrays = {name: np.asarray(content[name], np.float64) for name in content.files}
        width = arrays["reference"].shape[1] if arrays else 0
        whole = {*arrays} in ({*_ARRAYS}, {*_ARRAYS, *_OTHER_ARRAYS})
        if arrays and (not whole or any(each.shape[-1] != width for each in arrays.values())):
            raise ValueError("other arrays")
    except (ValueError, KeyError, IndexError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise RunError("the arrays of this scope cannot be read", where=path, remedy=_REMEDY) from error
    return arrays
