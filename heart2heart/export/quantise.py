"""Quantises an exported ONNX file to eight bits, calibrated on frames, by ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

_BATCH = 32


def quantise(source: Path, target: Path, frames: npt.NDArray[np.uint8]) -> None:
    """Write an ONNX file with weights and activations of eight bits; its metadata are those of `source`.

    Args:
        source: An ONNX file that `export_run` wrote.
        target: The new file.
        frames: uint8 `(n, size, size)`, on which the ranges of the activations are measured.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the quantiser logs to the root
    try:
        with TemporaryDirectory() as folder:
            prepared, written = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(written),
                _Calibration(frames),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            )
            model = onnx.load(written)
            facts = {entry.key: entry.value for entry in onnx.load(source, load_external_data=False).metadata_props}
            del model.metadata_props[:]
            onnx.helper.set_model_props(model, facts)
            onnx.save(model, target)
    finally:
        root.setLevel(level)


class _Calibration:
    """Gives the frames to the calibrator, batch by batch."""

    def __init__(self, frames: npt.NDArray[np.uint8]) -> None:
        self._batches: Iterator[Mapping[str, Any]] = iter(
            {"pixels": frames[start : start + _BATCH]} for start in range(0, len(frames), _BATCH)
        )

    def get_next(self) -> Mapping[str, Any] | None:
        """Return the next batch; None after the last one."""
        return next(self._batches, None)

    def __next__(self) -> Mapping[str, Any]:
        """Return the next batch."""
        return next(self._batches)

    def __iter__(self) -> _Calibration:
        """Return the object itself."""
        return self
