"""Exports a run as a MONAI bundle, and reads such a bundle as a frozen model.

The weights are those of the `.pt2` file; `models/model.pt` repeats them as a plain state dictionary. A bundle is read
by its `.pt2` file and the facts of `heart2heart export` alone: its configurations, whose expressions MONAI evaluates,
are never read here.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import heart2heart
from heart2heart.errors import ExistsError, ModelError, RunError, StoreError
from heart2heart.export.export import export_run
from heart2heart.export.exported_model import ExportedModel
from heart2heart.schema.model_fault import ModelFault
from heart2heart.schema.model_folder import SCOPE
from heart2heart.training.run import Run
from heart2heart.utils import check_writable, read_json, sha256_file, write_json, write_text

BUNDLE = "bundle"
"""Name of the folder, and of the export format."""

METADATA = Path("configs", "metadata.json")
PROGRAM = Path("models", "model.pt2")
WEIGHTS = Path("models", "model.pt")

LAYOUT = 2
"""Version of the layout of a bundle; bundles of layout 1, without a number, are read as well."""

MAX_METADATA_BYTES = 2**20
"""Largest metadata of a bundle, bytes."""

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
"""MONAI's schema of the metadata; `python -m monai.bundle verify_metadata` reads it."""

_OURS = "heart2heart"
_REMEDY = "Export the run again with `heart2heart export --format bundle`, or validate a table of its predictions"


def write_bundle(run: Run, out: Path) -> Path:
    """Write a run as a MONAI bundle, whole or not at all; its `.pt2` file is compared with the run before.

    Args:
        run: A finished run.
        out: New folder of the bundle.

    Returns:
        `out`.

    Raises:
        ExistsError: the folder exists.
        UnwritableError: nothing can be written there.
        InternalError: the exported file does not give the run's logits.
    """
    if out.exists():
        raise ExistsError("a bundle is already here", where=out, remedy="Name another folder")
    check_writable(out.with_name(f"{out.name}.part"))
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        root = Path(folder) / out.name
        export_run(run, (root / PROGRAM).parent, ("pt2",))
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in run.network.state_dict().items()}
        torch.save(state, root / WEIGHTS)
        write_json(root / METADATA, _metadata(run, sha256_file(root / PROGRAM)))
        write_json(root / "configs" / "inference.json", INFERENCE)
        write_json(root / "configs" / "inference_frames.json", FRAME_INFERENCE)
        write_text(root / "docs" / "README.md", _readme(run, out.name))
        write_text(root / "LICENSE", _LICENSE)
        if (run.path / SCOPE).is_dir():
            shutil.copytree(run.path / SCOPE, root / SCOPE)
        root.rename(out)
    return out


_SHARED: dict[str, Any] = {
    "bundle_root": ".",
    "metadata": "$json.loads(Path(@bundle_root, 'configs/metadata.json').read_text())",
    "classes": "$@metadata['heart2heart']['classes']",
    "network_def": "$torch.export.load(@bundle_root + '/models/model.pt2').module()",
    "network": "@network_def",
    "inferer": {"_target_": "SimpleInferer"},
}

INFERENCE: dict[str, Any] = {
    "imports": [
        "$import json",
        "$from pathlib import Path",
        "$import torch",
        "$from heart2heart.export.bundle_transforms import infer_clips",
    ],
    **_SHARED,
    "dataset_dir": "clips",
    "frames": "all",
    "output": "answers.json",
    "paths": "$sorted(path for path in Path(@dataset_dir).rglob('*') if path.is_file())",
    "data": "$[{'image': path, 'file': path.relative_to(root).as_posix()} for root in [Path(@dataset_dir)] "
    "for path in @paths]",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {
                "_target_": "heart2heart.export.bundle_transforms.LoadUltrasoundClipd",
                "keys": "image",
                "geometry": "$@metadata['heart2heart']['geometry']",
                "frames": "@frames",
            }
        ],
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {
                "_target_": "heart2heart.export.bundle_transforms.ClipProbabilitiesd",
                "keys": "pred",
                "classes": "@classes",
            }
        ],
    },
    "rows": "$infer_clips(@data, @preprocessing, @network, @inferer, @postprocessing)",
    "run": ["$Path(@output).write_text(json.dumps(@rows))"],
}
"""`configs/inference.json`: a folder of DICOM clips, pictures and videos in, one answer a file out."""

FRAME_INFERENCE: dict[str, Any] = {
    "imports": ["$import json", "$from pathlib import Path", "$import numpy as np", "$import torch"],
    **_SHARED,
    "frames": "frames.npy",
    "output": "probabilities.json",
    "pixels": "$torch.from_numpy(np.load(@frames, allow_pickle=False))",
    "probabilities": "$torch.softmax(@inferer(@pixels, @network), 1).detach()",
    "rows": "$[dict(zip(@classes, row)) for row in @probabilities.tolist()]",
    "run": ["$Path(@output).write_text(json.dumps(@rows))"],
}
"""`configs/inference_frames.json`: frames of the model's geometry in, probabilities by class out; without heart2heart.
"""


def _metadata(run: Run, program_sha256: str) -> dict[str, Any]:
    import monai
    import numpy as np

    record, size = run.directory.record, run.geometry.size
    title = run.info().method
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "US",
        "num_channels": 1,
        "spatial_shape": [size, size],
        "dtype": "uint8",
        "value_range": [0, 255],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    names = {str(index): name for index, name in enumerate(run.classes)}
    pred = {
        "type": "probabilities",
        "format": "labels",
        "num_channels": len(run.classes),
        "spatial_shape": [1, len(run.classes)],
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": names,
    }
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": "exported from a run"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {
            "heart2heart": heart2heart.__version__,
            "pydicom": version("pydicom"),
            "simplejpeg": version("simplejpeg"),
        },
        "name": title,
        "task": "Classification of an ultrasound clip",
        "description": f"{title}: {', '.join(run.classes)}",
        "authors": "not reported",
        "copyright": "not reported",
        "data_source": "not reported",
        "data_type": "dicom",
        "image_classes": f"one gray frame, uint8, {run.geometry}",
        "label_classes": ", ".join(run.classes),
        "pred_classes": "one probability a class",
        "eval_metrics": {},
        "intended_use": "Research only, not a medical device",
        "references": [],
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}},
        _OURS: {
            "layout": LAYOUT,
            "version": heart2heart.__version__,
            "classes": list(run.classes),
            "geometry": run.geometry.to_json(),
            "program_sha256": program_sha256,
            "weights_sha256": sha256_file(run.directory.best_checkpoint),
            "split_sha256": record.split_sha256,
            "adapted_at": record.adaptation.site if record.adaptation else "",
        },
    }


def _readme(run: Run, name: str) -> str:
    size = run.geometry.size
    return f"""# {run.info().method}

Classes: {", ".join(run.classes)}. Output: one probability a class.

Input: a folder of ultrasound DICOM (one or many frames), pictures and videos. A file without frames has a status code.

```
python -m monai.bundle run --bundle_root {name} --config_file {name}/configs/inference.json \\
  --dataset_dir clips --output answers.json
```

Without heart2heart: gray frames, uint8 `(n, {size}, {size})`, of the geometry {run.geometry}.

```
python -m monai.bundle run --bundle_root {name} --config_file {name}/configs/inference_frames.json \\
  --frames frames.npy --output probabilities.json
```

At a hospital with labels: `heart2heart validate {name} --store store --labels labels.db --out validation`.

Accuracy: not reported here; it is that of a report on named hospitals. Research only, not a medical device.
"""


_LICENSE = """The licence of these weights is not reported. Ask whoever trained them before you use or share them.

heart2heart, which wrote this bundle, is under the Apache License 2.0; that does not cover the weights.
"""


def is_bundle(path: Path) -> bool:
    """Return whether a folder has the layout of a MONAI bundle, of whatever origin."""
    return (path / METADATA).is_file()


def load_bundle(path: Path) -> ExportedModel:
    """Open a bundle of `heart2heart export` as a frozen model.

    Args:
        path: Folder of the bundle.

    Raises:
        RunError: a bundle of other origin, or one that was changed.
    """
    if (path / METADATA).stat().st_size > MAX_METADATA_BYTES:
        raise RunError(f"the metadata are larger than {MAX_METADATA_BYTES} bytes", where=path, remedy=_REMEDY)
    try:
        metadata = read_json(path / METADATA, what="metadata of a bundle")
    except (StoreError, RecursionError) as error:
        raise RunError("the metadata of this bundle are damaged", where=path, remedy=_REMEDY) from error
    facts = metadata.get(_OURS) if isinstance(metadata, dict) else None
    if not isinstance(facts, dict):
        what = "this MONAI bundle is not of heart2heart; its configuration would have to be evaluated to run it"
        raise RunError(what, where=path, remedy="Validate a table of its predictions")
    if facts.get("layout", 1) not in (1, LAYOUT):
        what = f"this bundle is of heart2heart {str(facts.get('version'))[:40]!r}, whose layout is not read here"
        raise ModelError(what, code=ModelFault.OTHER_VERSION, where=path, remedy=_REMEDY)
    program = path / PROGRAM
    if program.is_symlink() or not program.is_file():
        raise RunError("this bundle has no models/model.pt2", where=path, remedy=_REMEDY)
    if facts.get("program_sha256") != sha256_file(program):
        what = "the weights of this bundle are not those of its metadata"
        raise ModelError(what, code=ModelFault.CHANGED, where=path, remedy=_REMEDY)
    model = ExportedModel.load(program)
    stated = (facts.get("classes"), facts.get("geometry"), facts.get("split_sha256") or None, facts.get("adapted_at"))
    geometry = json.loads(json.dumps(model.geometry.to_json()))
    inside = (list(model.classes), geometry, model.split_sha256, model.adapted_at)
    if stated != inside:
        what = "the metadata of this bundle contradict its weights"
        raise ModelError(what, code=ModelFault.CHANGED, where=path, remedy=_REMEDY)
    source = facts.get("weights_sha256")
    return replace(model, path=path, source_sha256=source if isinstance(source, str) else None)
