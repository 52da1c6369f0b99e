"""Reads weights from a file: safetensors, a state dict of torch, or arrays of numpy. Nothing in it is executed."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heart2heart.errors import MissingInputError, RunError
from heart2heart.utils import sha256_file

MAX_BYTES = 4 * 2**30
"""Largest file, and largest content of a compressed file."""

STATE_KEYS = ("weights", "ema", "state_dict", "model_state_dict", "model")
"""Keys under which programs store a state dict beside other content; the first that exists is taken."""

_REMEDY = "Name a .safetensors file, a state dict saved by torch.save(network.state_dict()), or arrays of np.savez"
_LICENCE_CHARACTERS = 120

_DAMAGE = (OSError, EOFError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError,
           AssertionError, MemoryError)  # fmt: skip
"""What torch and numpy raise on a damaged file, depending on where the damage is."""


@dataclass(frozen=True)
class WeightsFile:
    """The weights of a file.

    Attributes:
        path: The file, or the folder of a run.
        sha256: Hash of the file; of a run, that of its selected weights.
        licence: Licence, as a file beside the weights states it; None if there is none.
        tensors: Tensors by name, on the CPU.
    """

    path: Path
    sha256: str
    licence: str | None
    tensors: Mapping[str, Tensor]


def weights_path(source: Path) -> Path:
    """Return the file that holds the weights of a source: the file itself, or the selected weights of a run.

    Raises:
        MissingInputError: no such file, or a folder without a finished run.
    """
    if source.is_dir():
        path = source / "checkpoints" / "best.pt"
        if not path.is_file():
            remedy = "Name the folder of a finished run, or a file of weights"
            raise MissingInputError("this folder holds no weights of a finished run", where=source, remedy=remedy)
        return path
    if not source.is_file():
        raise MissingInputError("no weights here to begin from", where=source, remedy="Correct network.init")
    return source


def weights_sha256(source: Path) -> str:
    """Return the hash of the file that holds the weights of a source.

    Raises:
        MissingInputError: see `weights_path`.
    """
    return sha256_file(weights_path(source))


def read_weights(source: Path) -> WeightsFile:
    """Read weights from a file, or the selected weights of a run.

    Args:
        source: A file that ends in .safetensors, .pt, .pth or .npz, or the folder of a finished run.

    Raises:
        MissingInputError: no such file, or a folder without a finished run.
        RunError: another format, content that only code could restore, a damaged or too large file, or a tensor that
            holds infinite or undefined numbers.
    """
    path = weights_path(source)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise RunError(f"this file of weights has {size} bytes; at most {MAX_BYTES} are read", where=source)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        remedy = "Name the run's folder instead" if path.suffix in (".pt2", ".onnx") else _REMEDY
        what = f"weights cannot be read from a file that ends in {path.suffix or 'nothing'!r}"
        raise RunError(what, where=source, remedy=remedy)
    tensors = read(path)
    if not tensors:
        raise RunError("this file holds no tensor by name", where=source, remedy=_REMEDY)
    not_finite = sorted(name for name, value in tensors.items() if not bool(value.isfinite().all()))
    if not_finite:
        what = f"this file holds numbers that are not finite, in {', '.join(not_finite[:3])}"
        raise RunError(what, where=source, remedy="Name weights of a training that did not diverge")
    return WeightsFile(source, weights_sha256(source), find_licence(source), tensors)


def find_licence(source: Path) -> str | None:
    """Return the first lines of the licence file beside weights: `NAME.LICENSE`, or `LICENSE` with a usual ending."""
    folder = source.parent
    names = (f"{source.stem}.LICENSE", f"{source.name}.LICENSE", "LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")
    for name in names:
        path = folder / name
        if path.is_file() and path.stat().st_size <= 2**20:
            lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
            first = " ".join([line for line in lines if line][:2])[:_LICENCE_CHARACTERS]
            return f"{first} ({name})" if first else None
    return None


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RunError(f"this file is not safetensors ({_first_line(error)})", where=path, remedy=_REMEDY) from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    _check_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old formats, which are read or refused all the same
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, struct.error, *_DAMAGE) as error:
        what = "this file is damaged, or holds objects that only code could restore; no code is run"
        remedy = "Save the state dict alone, or as safetensors, on a machine that trusts the file"
        raise RunError(what, where=path, remedy=remedy) from error
    if isinstance(content, dict):
        nested = next((content[key] for key in STATE_KEYS if isinstance(content.get(key), dict)), content)
        return {str(name): value for name, value in nested.items() if isinstance(value, Tensor)}
    return {}


def _read_numpy(path: Path) -> dict[str, Tensor]:
    _check_zip(path, required=True)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in arrays.files}
    except (zipfile.BadZipFile, zlib.error, *_DAMAGE) as error:
        what = "this file is damaged, or holds objects that only code could restore; no code is run"
        raise RunError(what, where=path, remedy="Save arrays of numbers alone by np.savez") from error


def _check_zip(path: Path, *, required: bool = False) -> None:
    """Refuse an archive whose content is larger than `MAX_BYTES`, before it is unpacked."""
    if not zipfile.is_zipfile(path):
        if required:
            raise RunError("this file is not an archive of numpy", where=path, remedy=_REMEDY)
        return  # torch's older format, which is not compressed
    try:
        with zipfile.ZipFile(path) as archive:
            content = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, struct.error, *_DAMAGE) as error:
        raise RunError("this file is a damaged archive", where=path, remedy=_REMEDY) from error
    if content > MAX_BYTES:
        raise RunError(f"this file unpacks to {content} bytes; at most {MAX_BYTES} are read", where=path)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


_READERS: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    ".safetensors": _read_safetensors,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".npz": _read_numpy,
}
