"""Files of weights: every format, and refusals of code, damage, size and what is no weight."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from heart2heart.errors import MissingInputError, RunError
from heart2heart.training.networks import weights_file
from heart2heart.training.networks.weights_file import find_licence, read_weights, weights_path, weights_sha256
from heart2heart.utils import sha256_file


class Code:
    """An object that a pickle restores by a call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("run",))


def tensors() -> dict[str, Tensor]:
    return {"stem.weight": torch.arange(6.0).view(2, 3), "stem.bias": torch.tensor([1.0, 2.0])}


def write(path: Path) -> Path:
    """Write `tensors` in the format of the path's ending."""
    if path.suffix == ".safetensors":
        save_file(tensors(), path)
    elif path.suffix == ".npz":
        arrays: dict[str, Any] = {name: value.numpy() for name, value in tensors().items()}
        np.savez(path, **arrays)
    else:
        torch.save(tensors(), path)
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.pth", "a.npz", "a.PTH"])
def test_read_weights_reads_every_format(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    weights = read_weights(path)
    assert weights.tensors.keys() == tensors().keys()
    assert all(torch.equal(weights.tensors[name], value) for name, value in tensors().items())
    assert (weights.sha256, weights.licence) == (sha256_file(path), None)


@pytest.mark.parametrize("key", [*weights_file.STATE_KEYS, None])
def test_read_weights_takes_the_state_dict_out_of_a_checkpoint(tmp_path: Path, key: str | None) -> None:
    content = {"step": 3, "name": "x", **({key: tensors()} if key else tensors())}
    torch.save(content, tmp_path / "a.pt")
    assert read_weights(tmp_path / "a.pt").tensors.keys() == tensors().keys()


def test_read_weights_reads_the_older_format_of_torch(tmp_path: Path) -> None:
    torch.save(tensors(), tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert read_weights(tmp_path / "a.pth").tensors.keys() == tensors().keys()


def test_read_weights_never_runs_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Code()}, tmp_path / "a.pt")
    torch.save({"a": Code()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": Code()}))
    np.savez(tmp_path / "a.npz", a=np.array([Code()], dtype=object))
    for name in ("a.pt", "old.pt", "module.pt", "plain.pth", "a.npz"):
        with pytest.raises(RunError, match="no code is run") as caught:
            read_weights(tmp_path / name)
        assert (caught.value.where, caught.value.exit_code) == (tmp_path / name, 2)
        assert caught.value.remedy
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.npz"])
@given(data=st.data())
def test_read_weights_refuses_damage_or_reads_tensors(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("weights") / name)
    content = bytearray(path.read_bytes())
    end = data.draw(st.integers(0, len(content)))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[:end]) if data.draw(st.booleans()) else bytes(content))
    try:
        read = dict(read_weights(path).tensors)
    except RunError as error:
        read = {}
        refused = error.where == path and error.remedy is not None
        assert refused
    assert all(isinstance(value, Tensor) for value in read.values())


def test_read_weights_refuses_an_archive_with_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt")
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")  # the first entry of the archive's directory
    content[entry + 9] |= 0x08  # its name is said to be UTF-8
    content[entry + 46] = 0xE1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match="a damaged archive"):
        read_weights(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"no", "not safetensors"),
        ("a.pt", b"no", "damaged, or holds objects"),
        ("a.npz", b"no", "not an archive of numpy"),
        ("a.onnx", b"no", "ends in '.onnx'.*the run's folder instead"),
        ("a.csv", b"no", "ends in '.csv'.*Name a .safetensors file"),
        ("weights", b"no", "ends in 'nothing'"),
    ],
)
def test_read_weights_refuses_other_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError, match=message):
        read_weights(tmp_path / name)


def test_read_weights_refuses_what_holds_no_tensor(tmp_path: Path) -> None:
    for index, content in enumerate(({"step": 3}, [torch.zeros(2)], torch.zeros(2))):
        torch.save(content, tmp_path / f"{index}.pt")
        with pytest.raises(RunError, match="holds no tensor by name"):
            read_weights(tmp_path / f"{index}.pt")


def test_read_weights_refuses_numbers_that_are_not_finite(tmp_path: Path) -> None:
    torch.save(tensors() | {"last.bias": torch.tensor([float("nan")])}, tmp_path / "a.pt")
    with pytest.raises(RunError, match=r"not finite, in last\.bias"):
        read_weights(tmp_path / "a.pt")


def test_read_weights_bounds_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.safetensors")
    monkeypatch.setattr(weights_file, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(RunError, match="at most"):
        read_weights(path)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10_000))
    with pytest.raises(RunError, match="unpacks to 10000 bytes"):
        read_weights(tmp_path / "bomb.npz")


def test_weights_path_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no weights here"):
        weights_path(tmp_path / "none.pt")
    with pytest.raises(MissingInputError, match="no weights of a finished run"):
        weights_sha256(tmp_path)


@pytest.mark.parametrize("name", ["lung.LICENSE", "lung.pt.LICENSE", "LICENSE", "LICENSE.txt", "LICENCE"])
def test_find_licence_reads_the_first_lines_beside_the_weights(tmp_path: Path, name: str) -> None:
    assert find_licence(tmp_path / "lung.pt") is None
    (tmp_path / name).write_text("\n   Apache License\n\n  Version 2.0\n  and so on\n")
    assert find_licence(tmp_path / "lung.pt") == f"Apache License Version 2.0 ({name})"
    (tmp_path / name).write_text("\n \n")
    assert find_licence(tmp_path / "lung.pt") is None
