"""Exports a run for use without this package: uint8 frames in, logits out, any number of frames at a time.

Each file is read again and compared with the run on frames of the real shape before it is published under its name.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from heart2heart.errors import InternalError, MissingInputError, RunError, UnknownNameError
from heart2heart.export.frames import ExportFrames, random_frames
from heart2heart.export.quantise import quantise
from heart2heart.schema.model_folder import Parity
from heart2heart.training.run import Run
from heart2heart.training.validation import PixelClassifier
from heart2heart.utils import atomic_path, sha256_json

TOLERANCE = 1e-4
"""Largest difference of a logit, relative to the largest logit, that counts as the same."""

INT8 = "onnx_int8"
"""Name of the format of eight bits."""
MIN_AGREEMENT = 0.9
"""Smallest share of frames with the run's decision with which a network of eight bits is published."""

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


def export_run(
    run: Run, out: Path, formats: tuple[str, ...] = ("pt2", "onnx"), *, frames: ExportFrames | None = None
) -> dict[str, Path]:
    """Write a run's network in other formats.

    Each file takes `pixels`, uint8 `(n, size, size)` of the run's geometry with any n, and gives `logits`, float32
    `(n, classes)`. It carries the class names, the geometry and the run's hashes.

    Args:
        run: A finished run.
        out: Folder for `model.pt2`, `model.onnx` and `model_int8.onnx`.
        formats: Names of `FORMATS`; `onnx_int8` needs frames that calibrate.
        frames: Frames for the comparison with the run; None takes random pixels.

    Returns:
        The files by format.

    Raises:
        UnknownNameError: a format that does not exist.
        MissingInputError: ONNX without the extra `onnx`, or `onnx_int8` without frames that calibrate.
        InternalError: an exported file does not give the run's logits; nothing is published.
        RunError: the quantised network decides otherwise too often; nothing is published.
    """
    return {name: path for name, (path, _) in export_with_parity(run, out, formats, frames=frames).items()}


def export_with_parity(
    run: Run, out: Path, formats: tuple[str, ...], *, frames: ExportFrames | None = None
) -> dict[str, tuple[Path, Parity]]:
    """Export as `export_run` does; return each file with its comparison with the run."""
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError.among("export format", name, list(FORMATS))
    if set(formats) & {"onnx", INT8}:
        require_onnx()
    frames = random_frames(run) if frames is None else frames
    model, pixels = _portable(run.network), frames.compared
    expected = run.predict(pixels)
    written = {}
    for name in formats:
        write, read = FORMATS[name]
        path = out / FILES[name]
        with atomic_path(path) as temporary:
            write(model, frames, _metadata(run), temporary)
            logits = np.asarray(read(temporary, pixels))
            parity = _parity(logits, expected, frames.source)
            # another number of frames than it was traced with
            alone = float(np.abs(read(temporary, pixels[:1]) - logits[:1]).max(initial=0))
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            if name == INT8:
                _require_agreement(parity, path)
            elif max(parity.max_difference, alone) > TOLERANCE * scale:
                what = f"the exported {name} differs from the run by {parity.max_difference:.2g} in a logit"
                raise InternalError(what, where=path, remedy="Please report it with the name of the network")
        written[name] = (path, parity)
    return written


def _parity(logits: Logits, expected: Logits, source: str) -> Parity:
    return Parity(
        frames=len(expected),
        source=source,
        max_difference=float(np.abs(logits - expected).max(initial=0)),
        agreement=float((logits.argmax(1) == expected.argmax(1)).mean()) if len(expected) else 1.0,
    )


def _require_agreement(parity: Parity, path: Path) -> None:
    if parity.agreement < MIN_AGREEMENT:
        what = f"the network of eight bits decides otherwise too often: {parity.sentence()}"
        raise RunError(what, where=path, remedy="Take the format onnx, whose logits are those of the run")


def _portable(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU with weights in contiguous order, which every reader expects."""
    network = deepcopy(network).cpu().requires_grad_(False)
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()
    return PixelClassifier(network).eval()


def _metadata(run: Run) -> dict[str, str]:
    """Return the metadata of an exported file: classes, geometry, hashes, and the hospital of an adaptation."""
    record = run.directory.record
    return {
        "classes": json.dumps(list(run.classes)),
        "geometry": json.dumps(run.geometry.to_json()),
        "run_sha256": sha256_json([record.config_sha256, record.split_sha256, record.selected_step]),
        "split_sha256": record.split_sha256,
        "adapted_at": record.adaptation.site if record.adaptation else "",
    }


def _write_pt2(model: nn.Module, frames: ExportFrames, facts: dict[str, str], path: Path) -> None:
    pixels = torch.from_numpy(frames.compared[:3])
    program = torch.export.export(model, (pixels,), dynamic_shapes=({0: torch.export.Dim("frames", min=1)},))
    # `torch.export.save` insists on the ending .pt2, which a temporary name lacks; a file object has no name.
    with path.open("wb") as handle:
        torch.export.save(program, handle, extra_files=dict(facts))


def _read_pt2(path: Path, pixels: Pixels) -> Logits:
    with path.open("rb") as handle:
        program = torch.export.load(handle)
    logits: Tensor = program.module()(torch.from_numpy(pixels))
    return np.asarray(logits.detach().numpy(), np.float32)


def _write_onnx(model: nn.Module, frames: ExportFrames, facts: dict[str, str], path: Path) -> None:
    pixels = torch.from_numpy(frames.compared[:3])
    with warnings.catch_warnings():
        # PyTorch's exporter warns of its own use of a retired class.
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        program = torch.onnx.export(
            model,
            (pixels,),
            dynamo=True,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("frames", min=1)},),
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(facts)
    program.save(path, external_data=False)


def _write_int8(model: nn.Module, frames: ExportFrames, facts: dict[str, str], path: Path) -> None:
    if frames.calibration is None or not len(frames.calibration):
        what = "a quantised network is calibrated on training frames, which are not at hand"
        raise MissingInputError(what, remedy="Name the folders of the run's split and stores")
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "model.onnx"
        _write_onnx(model, frames, facts, whole)
        quantise(whole, path, frames.calibration)


def _read_onnx(path: Path, pixels: Pixels) -> Logits:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"pixels": pixels})[0], np.float32)


def require_onnx() -> None:
    """Raise MissingInputError unless the libraries of the extra `onnx` are installed."""
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
    if missing:
        what = f"exporting ONNX needs {', '.join(missing)}"
        raise MissingInputError(what, remedy="Install the extra: pip install 'heart2heart[onnx]'")


Write = Callable[[nn.Module, ExportFrames, dict[str, str], Path], None]
Read = Callable[[Path, Pixels], Any]

FORMATS: Mapping[str, tuple[Write, Read]] = {
    "pt2": (_write_pt2, _read_pt2),
    "onnx": (_write_onnx, _read_onnx),
    INT8: (_write_int8, _read_onnx),
}
"""Writer and reader of each format; the reader is for the comparison with the run."""

FILES: Mapping[str, str] = {"pt2": "model.pt2", "onnx": "model.onnx", INT8: "model_int8.onnx"}
"""Name of the file of each format."""
