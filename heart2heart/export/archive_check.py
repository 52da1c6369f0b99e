"""Refuses a `.pt2` file whose loading could run code: PyTorch reads it with pickle, `exec` and `eval` where it says so.

An archive that this package writes holds plain weights, one graph of ATen operators, and no guard. Nothing else is
read.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from heart2heart.errors import ModelError, RunError
from heart2heart.schema.model_fault import ModelFault

MAX_BYTES = 4 * 2**30
"""Largest exported file, bytes."""
MAX_JSON_BYTES = 2**28
"""Largest description of a graph in an archive, bytes."""

_ENTRY = re.compile(
    r"(\.data/(version|serialization_id)|byteorder|version|archive_format|archive_version|\.format_version"
    r"|\.storage_alignment|extra/[a-z_0-9]+"
    r"|data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|models/model\.json)"
)
_GRAPH = "models/model.json"
_INPUTS = "data/sample_inputs/model.pt"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TARGET = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+|_operator\.(add|sub|mul|floordiv|mod|getitem|eq|ge|gt|le|lt|ne)|torch\.sym_\w+"
)
_EXPRESSION = re.compile(
    r"(?:Symbol|Integer|Add|Mul|Max|Min|FloorDiv|Mod|positive|integer|nonnegative|True|False|s\d+|u\d+|\d+"
    r"|[\s'(),=+*/-])*"
)
_TREE_TYPES = {None, "builtins.tuple", "builtins.list", "builtins.dict"}
_REMEDY = (
    "Load only files that heart2heart has exported; export the model again, or validate a table of its predictions"
)


def check_archive(path: Path) -> None:
    """Refuse a `.pt2` file that is damaged, too large, or holds anything but weights and a graph of operators.

    Raises:
        RunError: the file is not of this kind.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _refusal(path, f"it is larger than {MAX_BYTES} bytes")
        with zipfile.ZipFile(path) as archive:
            entries = {name.partition("/")[2]: archive.getinfo(name) for name in archive.namelist()}
            if len(entries) != len(archive.infolist()):
                raise _refusal(path, "an entry occurs twice")
            for name in entries:
                if not _ENTRY.fullmatch(name):
                    raise _refusal(path, f"it holds {name[:80]!r}")
            for name in (_GRAPH, _INPUTS, *_CONFIGS):
                if name not in entries or entries[name].file_size > MAX_JSON_BYTES:
                    raise _refusal(path, f"{name} is missing or too large")
            content = {name: archive.read(entries[name]) for name in (_GRAPH, _INPUTS, *_CONFIGS)}
            for name in _CONFIGS:
                _check_payload(json.loads(content[name]), path)
            _check_graph(json.loads(content[_GRAPH]), path)
        # PyTorch falls back to the full unpickler where this one fails.
        torch.load(io.BytesIO(content[_INPUTS]), weights_only=True)
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, RuntimeError, EOFError) as error:
        if isinstance(error, RunError):
            raise
        raise _refusal(path, "it is damaged") from error
    except UnpicklingError as error:
        raise _refusal(path, "its example input is no tensor", ModelFault.PICKLED) from error


def _refusal(path: Path, reason: str, code: ModelFault = ModelFault.NOT_A_MODEL) -> ModelError:
    return ModelError(
        f"this file is no exported model of heart2heart ({reason})", code=code, where=path, remedy=_REMEDY
    )


def _check_payload(content: dict[str, Any], path: Path) -> None:
    for entry in content["config"].values():
        if entry["use_pickle"] is not False or not re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]):
            raise _refusal(path, "a weight is stored as an object", ModelFault.PICKLED)


def _check_graph(content: dict[str, Any], path: Path) -> None:
    if content.get("guards_code"):
        raise _refusal(path, "its graph has guards")
    for key, text in _texts(content, ""):
        if key == "target" and not _TARGET.fullmatch(text):
            raise _refusal(path, f"its graph calls {text[:80]!r}")
        if key == "expr_str" and not _EXPRESSION.fullmatch(text):
            raise _refusal(path, "a size of its graph is no expression")
        if key in ("in_spec", "out_spec"):
            _check_tree(json.loads(text)[1], path)


def _check_tree(spec: dict[str, Any], path: Path) -> None:
    if spec["type"] not in _TREE_TYPES:
        raise _refusal(path, f"its graph takes {str(spec['type'])[:80]!r}")
    for child in spec["children_spec"]:
        _check_tree(child, path)


def _texts(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a JSON document with the key that it is under."""
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict):
        for name, child in node.items():
            yield from _texts(child, name)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child, key)
