"""The encoder of a finished run or of a finished pretraining, ready to embed frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from heart2heart.errors import RunError
from heart2heart.representation.collapse import frame_features
from heart2heart.representation.directory import PretrainDirectory
from heart2heart.representation.encoder import Encoder, build_encoder
from heart2heart.schema.pretraining import is_pretraining
from heart2heart.store.geometry import Geometry
from heart2heart.training import checkpoint
from heart2heart.training.features import trained_networks
from heart2heart.training.model_access import place_network
from heart2heart.training.networks.build import NetworkConfig, build_network
from heart2heart.training.networks.weights_file import weights_sha256
from heart2heart.training.run import Run

EmbeddingPrecision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in evaluation mode.

    Attributes:
        path: Folder of its run or pretraining.
        encoder: From float frames to features.
        config: The section `network` of its configuration.
        geometry: Geometry of the frames that it takes.
        device: Its device.
        precision: `float32`; or `bfloat16`, which is faster and rounds every number to three digits.
    """

    path: Path
    encoder: Encoder
    config: NetworkConfig
    geometry: Geometry
    device: torch.device
    precision: EmbeddingPrecision = "float32"

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        layer: str | None = None,
        device: str = "cpu",
        precision: EmbeddingPrecision = "float32",
    ) -> LoadedEncoder:
        """Open the encoder of a finished run or pretraining.

        Args:
            path: Its folder.
            layer: Module whose output is taken; None takes that of the pretraining, or the input of the head.
            device: Where it computes.
            precision: See `LoadedEncoder`.

        Raises:
            MissingInputError: nothing here.
            RunError: not finished, or an ensemble.
            ConfigError: no such layer.
        """
        path, target = Path(path), torch.device(device)
        if is_pretraining(path):
            directory = PretrainDirectory.read(path)
            if not directory.record.finished:
                remedy = "Run the same `heart2heart pretrain` again"
                raise RunError("this pretraining is not finished", where=path, remedy=remedy)
            config, geometry = directory.config.network, Geometry.from_json(directory.record.geometry)
            network = build_network(config.name, classes=2, size=geometry.size, **config.options)
            network.load_state_dict(checkpoint.load(directory.weights)["weights"], strict=False)
            layer = layer or directory.config.layer
        else:
            run = Run.load(path, device=device)
            networks = list(trained_networks(run.network))
            if len(networks) != 1:
                what = f"this model is an ensemble of {len(networks)} networks, which have no vector in common"
                raise RunError(what, where=path, remedy="Name the folder of one seed, such as seed-0")
            network, config, geometry = networks[0], run.config.network, run.geometry
        encoder = build_encoder(place_network(network, target), config, layer).eval()
        return cls(path, encoder.requires_grad_(False), config, geometry, target, precision)

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights."""
        return weights_sha256(self.path)

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        return int(self.embed(np.zeros((1, self.geometry.size, self.geometry.size), np.uint8)).shape[1])

    def embed(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return float32 vectors `(n, d)` of uint8 frames `(n, size, size)`, n at least 1."""
        frames = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
        low = self.precision == "bfloat16"
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            return np.asarray(frame_features(self.encoder, frames).cpu().numpy(), np.float32)

    def require_geometry(self, geometry: Geometry) -> None:
        """Refuse frames of another geometry.

        Raises:
            RunError: they are.
        """
        if geometry != self.geometry:
            what = f"this encoder takes frames of {self.geometry}, the store holds {geometry}"
            raise RunError(what, where=self.path, remedy="Ingest with the geometry of the encoder")
