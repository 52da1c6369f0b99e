"""Opens models of every kind: runs, exported files, bundles and model folders."""

from __future__ import annotations

from pathlib import Path

from heart2heart.errors import ModelError, RunError
from heart2heart.export.bundle import is_bundle, load_bundle
from heart2heart.export.exported_model import SUFFIXES, ExportedModel
from heart2heart.export.model_folder import is_model_folder, load_model_folder
from heart2heart.schema.model_fault import ModelFault
from heart2heart.training.run import Run
from heart2heart.utils import sha256_file

_PICKLED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle")


def load_frozen(
    model: str | Path | Run | ExportedModel, *, device: str = "cpu", trusted_key: str | None = None
) -> Run | ExportedModel:
    """Open a run, an exported file, a bundle or a model folder.

    Args:
        model: A run or an exported model, which is returned as it is, or its path.
        device: Where a run predicts; exported models predict on the CPU.
        trusted_key: Public key that must have signed a model folder; None: a signature is not required.

    Raises:
        MissingInputError: nothing there.
        RunError: the run is not finished, or the file or bundle was not exported by heart2heart.
        ModelError: the exported model was changed, is of another version, or its certificate failed.

    Examples:
        >>> from heart2heart.api.frozen_models import load_frozen
        >>> load_frozen("run").name
        'run'
    """
    if isinstance(model, Run | ExportedModel):
        return model
    path = Path(model)
    if path.suffix in SUFFIXES and not path.is_dir():
        return ExportedModel.load(path)
    if path.suffix in _PICKLED:
        remedy = "Name the folder of the run, or export it with `heart2heart export`"
        raise ModelError("weights of this kind could run code", code=ModelFault.PICKLED, where=path, remedy=remedy)
    if path.is_file():
        remedy = f"Known: a run's folder, {', '.join(SUFFIXES)}, or a table that ends with .csv or .parquet"
        raise RunError("this file is no model", where=path, remedy=remedy)
    if is_model_folder(path):
        return load_model_folder(path, trusted_key=trusted_key)
    if trusted_key is not None:
        what = "only a model folder can be signed"
        raise ModelError(what, code=ModelFault.UNSIGNED, where=path, remedy="Export it with --format folder --sign KEY")
    if is_bundle(path):
        return load_bundle(path)
    return Run.load(path, device=device)


def model_sha256(frozen: Run | ExportedModel) -> str:
    """Return the hash of a model: of its selected weights, or of the exported file.

    Examples:
        >>> len(model_sha256(load_frozen("run")))
        64
    """
    return frozen.sha256 if isinstance(frozen, ExportedModel) else sha256_file(frozen.directory.best_checkpoint)
