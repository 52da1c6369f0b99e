"""A researcher's own albumentations pipeline, applied to uint8 frames before the policy of a view.

The pipeline is data: the file that `albumentations.save` writes, as YAML or JSON. Only albumentations' own transform
classes are accepted, and nothing in the file is evaluated.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heart2heart.config import YAML_ERRORS, load_yaml
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.training.augment.per_sample import Image, load_albumentations

EXTRA_KEY = "augmentation.extra"
_CLASS_KEY = "__class_fullname__"
_REMEDY = "Write the file with albumentations.save(pipeline, 'pipeline.yaml', data_format='yaml')"
_TRIALS = 16


def read_pipeline(path: str | Path) -> dict[str, Any]:
    """Read a serialised pipeline, as `albumentations.save` writes it.

    Args:
        path: A YAML or JSON file.

    Returns:
        Its content, which `ExtraPipeline` takes.

    Raises:
        MissingInputError: no such file.
        ConfigError: not such a file, a transform that is not albumentations' own, or a wrong argument of one.
    """
    path = Path(path)
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingInputError("no augmentation pipeline here", where=path, remedy=_REMEDY) from error
    except YAML_ERRORS as error:
        raise ConfigError("this augmentation pipeline is not readable YAML", where=path, remedy=_REMEDY) from error
    try:
        ExtraPipeline(check_pipeline(content))
    except ConfigError as error:
        raise ConfigError(error.what, where=path, remedy=error.remedy) from error
    return dict(content)


def check_pipeline(content: Any) -> dict[str, Any]:
    """Return the content of a serialised pipeline, whose form is checked without loading albumentations.

    Raises:
        ConfigError: the content is not a serialised pipeline.
    """
    if not isinstance(content, dict) or not isinstance(content.get("transform"), dict):
        raise ConfigError("a pipeline needs the key `transform`, with a mapping", where=EXTRA_KEY, remedy=_REMEDY)
    for node in _nodes(content["transform"]):
        name = node.get(_CLASS_KEY)
        if not isinstance(name, str):
            raise ConfigError(f"a transform of the pipeline has no `{_CLASS_KEY}`", where=EXTRA_KEY, remedy=_REMEDY)
        if "." in name.removeprefix("albumentations."):
            remedy = "Use transforms of albumentations alone; other code is never loaded"
            raise ConfigError(f"{name} is not a transform of albumentations", where=EXTRA_KEY, remedy=remedy)
    return content


class ExtraPipeline:
    """Applies a serialised albumentations pipeline frame by frame on the CPU.

    Every frame has a seed of its own, and every transform a seed that follows from it: the result depends on neither
    the other frames of a batch nor the frames before.

    Args:
        content: What `read_pipeline` returns.

    Raises:
        ConfigError: a transform that this version of albumentations does not have, or a wrong argument of one.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        albumentations = load_albumentations()
        registry = albumentations.core.serialization.SERIALIZABLE_REGISTRY
        for node in _nodes(content["transform"]):
            name = node[_CLASS_KEY].rpartition(".")[2]
            kind = registry.get(name)
            if kind is None or not issubclass(kind, albumentations.BasicTransform | albumentations.BaseCompose):
                remedy = "Name a transform that can be serialised; Lambda cannot, since its functions are code"
                raise ConfigError(
                    f"albumentations has no serialisable transform {name}", where=EXTRA_KEY, remedy=remedy
                )
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # albumentations only warns of an argument that it does not know
            try:
                root = albumentations.from_dict({"transform": content["transform"]})
                compose = isinstance(root, albumentations.Compose)
                self._pipeline = root if compose else albumentations.Compose([root])
            except (ValueError, TypeError, KeyError, AttributeError, UserWarning) as error:
                what = f"albumentations refuses this pipeline: {' '.join(str(error).split())[:300]}"
                raise ConfigError(what, where=EXTRA_KEY, remedy=_REMEDY) from error

    def check(self, size: int) -> None:
        """Apply the pipeline to some frames of noise.

        Args:
            size: Side of the frames, pixels.

        Raises:
            ConfigError: the pipeline fails, or does not return uint8 frames of the same size.
        """
        generator = torch.Generator().manual_seed(0)
        noise = torch.randint(0, 256, (_TRIALS, size, size), generator=generator, dtype=torch.uint8)
        self(noise, torch.arange(_TRIALS))

    def __call__(self, pixels: Tensor, seeds: Tensor) -> Tensor:
        """Return the frames after the pipeline.

        Args:
            pixels: uint8 `(n, size, size)`.
            seeds: int64 `(n,)`, at least 0.

        Returns:
            uint8 `(n, size, size)`, on the device of `pixels`.

        Raises:
            ConfigError: the pipeline fails, or does not return uint8 frames of the same size.
        """
        frames = pixels.cpu().numpy()
        out = np.empty_like(frames)
        for row, seed in enumerate(seeds.tolist()):
            out[row] = self._apply(frames[row], seed)
        return torch.from_numpy(out).to(pixels.device)

    def _apply(self, frame: Image, seed: int) -> Image:
        _set_seeds(self._pipeline, np.random.default_rng(seed))
        try:
            image: Image = self._pipeline(image=frame)["image"]
        except (ValueError, TypeError, KeyError, RuntimeError, IndexError) as error:
            what = f"the pipeline fails on a grey frame {frame.shape}: {' '.join(str(error).split())[:300]}"
            remedy = "Use transforms that take grey uint8 images (height, width) and need no other input"
            raise ConfigError(what, where=EXTRA_KEY, remedy=remedy) from error
        if image.dtype != np.uint8 or image.shape != frame.shape:
            what = f"the pipeline makes {image.dtype} {image.shape} of a uint8 frame {frame.shape}"
            remedy = "Leave out what changes size or type, such as Resize, ToFloat and Normalize"
            raise ConfigError(what, where=EXTRA_KEY, remedy=remedy)
        return image


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield a serialised transform and those inside it."""
    if not isinstance(node, dict):
        raise ConfigError("a transform of the pipeline is not a mapping", where=EXTRA_KEY, remedy=_REMEDY)
    yield node
    inner = node.get("transforms", [])
    if not isinstance(inner, list):
        raise ConfigError("`transforms` of the pipeline is not a list", where=EXTRA_KEY, remedy=_REMEDY)
    for child in inner:
        yield from _nodes(child)


def _set_seeds(transform: Any, rng: np.random.Generator) -> None:
    """Give every transform its own seed: albumentations gives all of them one, so that they would decide alike."""
    transform.set_random_seed(int(rng.integers(2**32)))
    for child in getattr(transform, "transforms", ()):
        _set_seeds(child, rng)
