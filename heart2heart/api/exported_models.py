"""Finished models: opening runs and exported models of every kind, and exporting a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.export.exported_model import ExportedModel
    from heart2heart.training.run import Run


def load_model(model: str | Path, *, device: str = "cpu", trusted_key: str | None = None) -> Run | ExportedModel:
    """Open a trained model: a run, or what `export_model` wrote of one.

    Args:
        model: Folder of a run, a `.pt2` or `.onnx` file, a MONAI bundle, or a model folder, whose hashes, signature and
            certificate are checked.
        device: Where a run predicts, such as `cpu` or `cuda`; exported models predict on the CPU.
        trusted_key: Public key that must have signed a model folder, 64 hexadecimal digits.

    Returns:
        The model: `probabilities` takes arrays, clips and stores; `predict_files` takes DICOM files.

    Raises:
        MissingInputError: no model there.
        RunError: the run was stopped before its end.
        ModelError: an exported model that was changed, is of another version, or is not signed as asked; `code` says
            why.

    Examples:
        >>> import heart2heart as h2h
        >>> model = h2h.load_model("run")
        >>> clip = h2h.load_clip("clip.dcm", geometry=model.geometry)
        >>> model.probabilities(clip).shape
        (4, 4)
    """
    from heart2heart.api.frozen_models import load_frozen

    return load_frozen(model, device=device, trusted_key=trusted_key)


def load_run(run: str | Path, *, device: str = "cpu") -> Run:
    """Open a finished run, with its record and configuration.

    Args:
        run: Folder of the run.
        device: Where it predicts, such as `cpu` or `cuda`.

    Raises:
        MissingInputError: no run there.
        RunError: the run was stopped before its end.

    Examples:
        >>> from heart2heart.api import load_run
        >>> load_run("run").directory.record.adaptation is None
        True
    """
    from heart2heart.training.run import Run

    return Run.load(run, device=device)


@audited(AuditAction.RELEASE, beside="out", reads=["run"], writes=["out"])
def export_model(
    run: str | Path | Run,
    out: str | Path,
    *,
    formats: Sequence[str] = ("pt2",),
    name: str = "model",
    split: str | Path | None = None,
    stores: str | Path | Sequence[str | Path] = (),
    licence: str | None = None,
    validations: str | Path | Sequence[str | Path] = (),
    signing_key: str | Path | None = None,
) -> list[Path]:
    """Export a trained network, and compare the export with the run on validation frames, if they are at hand.

    Args:
        run: A run, or its folder.
        out: Folder for the exported files.
        formats: `pt2`, `onnx`, `onnx_int8` (calibrated on training frames), `bundle` (the folder of a MONAI bundle) and
            `folder` (a model folder with card, licence, certificates and a manifest of hashes).
        name: Name of the model folder.
        split: Folder of the run's split; None: where its configuration says.
        stores: Stores of that split; empty: where the configuration says.
        licence: Licence of the weights, for the model folder.
        validations: Folders of validations of the run, whose certificates go into the model folder.
        signing_key: File of an Ed25519 key that signs the model folder; made on first use (mode 0600).

    Returns:
        The files, and the folders of the bundle and of the model.

    Raises:
        UnknownNameError: a format that does not exist.
        ExistsError: a bundle or a model of this name is there.
        MissingInputError: an extra is not installed, or frames for `onnx_int8` are not at hand.
        ModelError: a certificate failed, or is of another model.

    Examples:
        >>> from heart2heart.api import export_model
        >>> [path.suffix for path in export_model("run", "exported")]
        ['.pt2']
    """
    from heart2heart.api.stores import path_list
    from heart2heart.export.bundle import BUNDLE, write_bundle
    from heart2heart.export.export import INT8, export_with_parity
    from heart2heart.export.frames import split_frames
    from heart2heart.export.model_folder import FOLDER, write_model_folder, write_parity
    from heart2heart.training.run import Run

    loaded, root = run if isinstance(run, Run) else Run.load(run), Path(out)
    files = tuple(form for form in formats if form not in (BUNDLE, FOLDER))
    frames = split_frames(loaded, split=split, stores=path_list(stores), required=INT8 in files)
    exported = export_with_parity(loaded, root, files, frames=frames)
    paths = [path for path, _ in exported.values()]
    if exported:
        write_parity(root, {form: parity for form, (_, parity) in exported.items()})
    if BUNDLE in formats:
        paths.append(write_bundle(loaded, root / BUNDLE))
    if FOLDER in formats:
        folder = write_model_folder(
            loaded, root / name, formats=files, frames=frames, split=split, licence=licence,
            validations=path_list(validations), signing_key=None if signing_key is None else Path(signing_key),
        )  # fmt: skip
        paths.append(folder)
    return paths


def read_export_parity(path: str | Path) -> dict[str, str]:
    """Return how each exported file in a folder compares with its run, in words, by format.

    Args:
        path: Folder of `export_model`, or a model folder.

    Examples:
        >>> from heart2heart.api import export_model, read_export_parity
        >>> (path,) = export_model("run", "compared")
        >>> list(read_export_parity("compared"))
        ['pt2']
    """
    from heart2heart.export.model_folder import read_parity

    return {form: parity.sentence() for form, parity in read_parity(Path(path)).items()}
