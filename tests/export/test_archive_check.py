"""A `.pt2` file that could run code when it is loaded is refused before PyTorch reads it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from heart2heart.errors import RunError
from heart2heart.export.archive_check import check_archive
from heart2heart.export.export import export_run
from heart2heart.testing.tiny import tiny_store
from heart2heart.training.train import train

Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    tiny = tiny_store(root, parts={"train": 1, "validation": 1})
    return export_run(train(tiny.config(steps=2), root / "run"), root / "model", ("pt2",))["pt2"]


def entries_of(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def rewritten(entries: Entries, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)
    return path


def edit_json(entries: Entries, name: str, change: Callable[[Any], None]) -> None:
    content = json.loads(entries[name])
    change(content)
    entries[name] = json.dumps(content).encode()


def pickled_weight(entries: Entries) -> None:
    def change(content: Any) -> None:
        next(iter(content["config"].values()))["use_pickle"] = True

    edit_json(entries, "data/weights/model_weights_config.json", change)


def legacy_weights(entries: Entries) -> None:
    entries["data/weights/model.pt"] = b""


def compiled_library(entries: Entries) -> None:
    entries["data/aotinductor/model/model.so"] = b"\x7fELF"


def custom_object(entries: Entries) -> None:
    entries["data/constants/custom_obj_0"] = b""


def guard_code(entries: Entries) -> None:
    edit_json(entries, "models/model.json", lambda content: content.update(guards_code=["__import__('os')"]))


def evaluated_size(entries: Entries) -> None:
    text = entries["models/model.json"].decode()
    assert "Symbol('" in text
    entries["models/model.json"] = text.replace("Symbol('", "__import__('os').system('", 1).encode()


def other_operator(entries: Entries) -> None:
    text = entries["models/model.json"].decode()
    entries["models/model.json"] = text.replace("torch.ops.aten.relu", "torch.ops.evil.relu").encode()


def other_tree(entries: Entries) -> None:
    text = entries["models/model.json"].decode()
    entries["models/model.json"] = text.replace("builtins.tuple", "evil.tuple").encode()


def pickled_input(entries: Entries) -> None:
    buffer = io.BytesIO()
    torch.save({"input": Path}, buffer)  # a class that only the full unpickler builds
    entries["data/sample_inputs/model.pt"] = buffer.getvalue()


def no_graph(entries: Entries) -> None:
    del entries["models/model.json"]


def test_check_archive_accepts_what_export_writes(exported: Path) -> None:
    check_archive(exported)
    assert len(entries_of(exported)) > 20


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (pickled_weight, "a weight is stored as an object"),
        (legacy_weights, "it holds 'data/weights/model.pt'"),
        (compiled_library, "it holds 'data/aotinductor"),
        (custom_object, "it holds 'data/constants/custom_obj_0'"),
        (guard_code, "its graph has guards"),
        (evaluated_size, "a size of its graph is no expression"),
        (other_operator, "its graph calls 'torch.ops.evil"),
        (other_tree, "its graph takes 'evil.tuple'"),
        (pickled_input, "its example input is no tensor"),
        (no_graph, "models/model.json is missing"),
    ],
)
def test_check_archive_refuses(exported: Path, tmp_path: Path, attack: Callable[[Entries], None], message: str) -> None:
    entries = entries_of(exported)
    attack(entries)
    with pytest.raises(RunError, match=message):
        check_archive(rewritten(entries, tmp_path / "model.pt2"))


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut short"])
def test_check_archive_refuses_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt2").write_bytes(content)
    with pytest.raises(RunError, match="it is damaged"):
        check_archive(tmp_path / "model.pt2")
