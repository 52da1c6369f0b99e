"""Reads an exported model, `.pt2` or `.onnx`, to predict frames with it as with a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from heart2heart.errors import Heart2HeartError, MissingInputError, ModelError, RunError
from heart2heart.export.archive_check import MAX_BYTES, check_archive
from heart2heart.export.export import require_onnx
from heart2heart.schema.model_fault import ModelFault
from heart2heart.schema.predictions import MethodFacts, RunInfo
from heart2heart.store.frame_tables import FrameTables
from heart2heart.store.geometry import Geometry
from heart2heart.training.frame_probabilities import HasPixels, frame_probabilities
from heart2heart.training.validation import INFERENCE_BATCH
from heart2heart.utils import sha256_file

SUFFIXES = (".pt2", ".onnx")

Pixels = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ExportedModel:
    """A model that `heart2heart export` wrote.

    Attributes:
        path: The file.
        classes: Class names, in the order of the logits.
        geometry: Geometry of the frames that it takes.
        split_sha256: Hash of the split that it was trained on; None: files of older versions do not record it.
        adapted_at: Hospital that it was adapted to; empty: none; None: not recorded.
        sha256: Hash of the file.
        certificate_sha256: Hash of the certificate of the training split; None: not recorded.
        folder: Folder of the model, whose manifest was verified; None: a file alone, or a bundle.
        source_sha256: Hash of the weights of the run that it was exported from; None: not recorded.
    """

    path: Path
    classes: tuple[str, ...]
    geometry: Geometry
    split_sha256: str | None
    adapted_at: str | None
    sha256: str
    _logits: Callable[[Pixels], Logits]
    certificate_sha256: str | None = None
    folder: Path | None = None
    source_sha256: str | None = None

    @classmethod
    def load(cls, path: Path) -> ExportedModel:
        """Open an exported file.

        Raises:
            MissingInputError: no such file, or ONNX without the extra `onnx`.
            RunError: not a file that `heart2heart export` wrote.
        """
        if not path.is_file():
            raise MissingInputError("no exported model here", where=path, remedy="Make it with: heart2heart export")
        logits, facts = _open_pt2(path) if path.suffix == ".pt2" else _open_onnx(path)
        remedy = "Export the run again, or validate a table of the model's predictions"
        try:
            classes = tuple(map(str, json.loads(facts["classes"])))
            geometry = Geometry.from_json(json.loads(facts["geometry"]))
        except (KeyError, ValueError, TypeError, Heart2HeartError) as error:
            what = "this file does not name its classes and the geometry of its frames"
            raise RunError(what, where=path, remedy=remedy) from error
        model = cls(
            path=path,
            classes=classes,
            geometry=geometry,
            split_sha256=facts.get("split_sha256") or None,
            adapted_at=facts.get("adapted_at"),
            sha256=sha256_file(path),
            _logits=logits,
        )
        model.predict(np.zeros((1, geometry.size, geometry.size), np.uint8))  # it fits, or is refused now
        return model

    @property
    def name(self) -> str:
        """Name for reports: that of the file."""
        return self.path.name

    def predict(self, pixels: Pixels) -> Logits:
        """Return float32 logits `(n, classes)` of uint8 frames `(n, size, size)`.

        Raises:
            RunError: the model does not take frames of its stated geometry.
        """
        starts = range(0, len(pixels), INFERENCE_BATCH)
        try:
            parts = [self._logits(np.ascontiguousarray(pixels[start : start + INFERENCE_BATCH])) for start in starts]
        except Exception as error:
            # Libraries raise errors of many kinds for a network that does not fit; none of them is the user's.
            what = f"this model does not take frames of {self.geometry}"
            raise RunError(what, where=self.path, remedy="Export the run again") from error
        if parts and parts[0].shape[1:] != (len(self.classes),):
            what = f"this model gives {parts[0].shape[-1]} logits, but names {len(self.classes)} classes"
            raise RunError(what, where=self.path, remedy="Export the run again")
        return np.concatenate([np.empty((0, len(self.classes)), np.float32), *parts])

    def probabilities(self, frames: Pixels | HasPixels | FrameTables) -> npt.NDArray[np.float64]:
        """Return the probability of each view, frame by frame, as `Run.probabilities` does.

        Args:
            frames: uint8 `(n, size, size)`; a clip of `load_clip`; or a store, all of whose frames are predicted.

        Returns:
            float64 `(n, classes)`, columns in the order of `classes`; each row sums to 1.
        """
        return frame_probabilities(self, frames)

    def __repr__(self) -> str:
        """Return the name, the kind and the classes in one line."""
        return f"<ExportedModel({self.name!r}): {self.info().method}, {', '.join(self.classes)}>"

    def predict_at(self, pixels: Pixels, sites: Sequence[str]) -> Logits:
        """Return logits as `predict` does; an exported model is the same at every hospital."""
        del sites
        return self.predict(pixels)

    def info(self) -> RunInfo:
        """Return the facts of this model for a report; a file records few of them."""
        title = f"{self.path.suffix[1:] or ('model' if self.folder else 'bundle')} export"
        return RunInfo(
            run=self.name,
            method=title if not self.adapted_at else f"{title}, adapted at {self.adapted_at}",
            facts=MethodFacts(base="exported", title=title, unlabeled=False),
            network="not reported",
            seed=0,
            config_sha256=self.sha256,
            config={},
            parameters=0,
            steps=0,
            selected_step=0,
            selection="not reported",
            seconds=0.0,
            device="cpu",
            versions={},
            history=(),
        )


def _open_pt2(path: Path) -> tuple[Callable[[Pixels], Logits], dict[str, str]]:
    check_archive(path)
    facts: dict[str, Any] = dict.fromkeys(("classes", "geometry", "split_sha256", "adapted_at"), None)
    try:
        with path.open("rb") as handle:
            module = torch.export.load(handle, extra_files=facts).module()
    except Exception as error:
        what = "this .pt2 file cannot be read by this version of PyTorch"
        remedy = "Export the run again with this version"
        raise ModelError(what, code=ModelFault.OTHER_VERSION, where=path, remedy=remedy) from error

    def logits(pixels: Pixels) -> Logits:
        with torch.no_grad():
            return np.asarray(module(torch.from_numpy(pixels)).numpy(), np.float32)

    texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in facts.items()}
    return logits, {key: value for key, value in texts.items() if value is not None}


def _session_options() -> Any:
    """Return options with the threads of torch, which wait without work: by default they are all cores, and spin."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _open_onnx(path: Path) -> tuple[Callable[[Pixels], Logits], dict[str, str]]:
    require_onnx()
    import onnxruntime

    if path.stat().st_size > MAX_BYTES:
        raise RunError(f"this file is larger than {MAX_BYTES} bytes", where=path, remedy="Export the run again")
    try:  # of bytes, so that the file cannot name others beside it
        session = onnxruntime.InferenceSession(
            path.read_bytes(), _session_options(), providers=["CPUExecutionProvider"]
        )
        facts = dict(session.get_modelmeta().custom_metadata_map)
    except Exception as error:
        raise RunError("this ONNX file cannot be read", where=path, remedy="Export the run again") from error

    def logits(pixels: Pixels) -> Logits:
        return np.asarray(session.run(["logits"], {"pixels": pixels})[0], np.float32)

    return logits, facts
