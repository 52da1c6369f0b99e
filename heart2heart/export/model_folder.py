"""Writes a run as a folder with all that travels with a model, and opens such a folder after checking every byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import heart2heart
from heart2heart.errors import ConfigError, ExistsError, Heart2HeartError, ModelError, StoreError
from heart2heart.export.export import FILES, export_with_parity
from heart2heart.export.exported_model import ExportedModel
from heart2heart.export.frames import ExportFrames
from heart2heart.export.model_card import LICENCE_NOT_STATED, model_card
from heart2heart.export.signature import sign_manifest, verify_signature
from heart2heart.schema.model_fault import ModelFault
from heart2heart.schema.model_folder import (
    ADAPTATION,
    CERTIFICATE,
    MANIFEST,
    MODEL_FOLDER_VERSION,
    PARITY,
    SCOPE,
    SIGNATURE,
    VALIDATIONS,
    FileRecord,
    ManifestSignature,
    ModelManifest,
    Parity,
)
from heart2heart.schema.split import Certificate
from heart2heart.schema.validation import ValidationCertificate
from heart2heart.training.run import Run
from heart2heart.utils import check_writable, read_json, sha256_file, write_json, write_text

FOLDER = "folder"
"""Name of the export format."""

MAX_MANIFEST_BYTES = 2**20
"""Largest manifest or record of a folder, bytes."""
MAX_FILES = 1000
"""Most files of a folder."""

_REMEDY = "Get the folder again from whoever exported it, or export the run again"
_NOT_RELEASED = {"patients", "reserved_patients", "pixel_hashes", "store_digest"}


def write_model_folder(
    run: Run,
    out: Path,
    *,
    formats: tuple[str, ...] = ("pt2",),
    frames: ExportFrames | None = None,
    split: str | Path | None = None,
    licence: str | None = None,
    validations: Sequence[Path] = (),
    signing_key: Path | None = None,
) -> Path:
    """Write a model folder, whole or not at all.

    It holds the network in the formats, their comparison with the run, a card, the licence, the leakage certificate of
    the training split, the record of an adaptation without names of patients, certificates of validations, the
    thresholds of the scope, and a manifest with the hash of each file.

    Args:
        run: A finished run.
        out: New folder; its name is that of the model.
        formats: Names of `export.FORMATS`; `pt2` is always written.
        frames: Frames for the comparison with the run; see `export_run`.
        split: Folder of the run's split; None: where the configuration says.
        licence: Licence of the weights; None: not stated.
        validations: Folders of validations of this run, each with a certificate.
        signing_key: File of a private key; None: the folder is not signed.

    Raises:
        ExistsError: a model of this name is there.
        ModelError: `model:certificate`: a certificate failed or is of another model.
        InternalError: an exported file does not give the run's logits.
        UnwritableError: nothing can be written there.
        NoSpaceError: the disk is full.
    """
    if out.exists():
        remedy = "Give the model another name, or move the other one away"
        raise ExistsError("a model of this name is already here", where=out, remedy=remedy)
    certificate = _certificate(run, split)
    weights = sha256_file(run.directory.best_checkpoint)
    validated = {path.name: _validation(path, weights) for path in validations}
    if len(validated) != len(validations):
        raise ConfigError("two validations have one name", where=validations[0], remedy="Rename the folder of one")
    check_writable(out.with_name(f"{out.name}.part"))
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        root = Path(folder) / out.name
        root.mkdir(mode=0o700)
        exported = export_with_parity(run, root, tuple(dict.fromkeys(("pt2", *formats))), frames=frames)
        parity = {name: result for name, (_, result) in exported.items()}
        write_parity(root, parity)
        if certificate is not None:
            write_json(root / CERTIFICATE, certificate.model_dump(mode="json"))
        adaptation = run.directory.record.adaptation
        if adaptation is not None:
            write_json(root / ADAPTATION, adaptation.model_dump(mode="json", exclude=_NOT_RELEASED))
        for name, each in validated.items():
            write_json(root / VALIDATIONS / f"{name}.json", each.model_dump(mode="json"))
        if (run.path / SCOPE).is_dir():
            shutil.copytree(run.path / SCOPE, root / SCOPE)
        write_text(root / "CARD.md", model_card(run, out.name, certificate, validated, parity, licence))
        write_text(root / "LICENSE", LICENCE_NOT_STATED if licence is None else f"{licence}\n")
        manifest = ModelManifest(
            name=out.name,
            version=heart2heart.__version__,
            classes=run.classes,
            weights_sha256=weights,
            split_sha256=run.directory.record.split_sha256,
            certificate_sha256=None if certificate is None else certificate.digest(),
            adapted_at="" if adaptation is None else adaptation.site,
            licence=licence,
            files=_file_records(root),
        ).sealed()
        write_json(root / MANIFEST, manifest.model_dump(mode="json"))
        if signing_key is not None:
            write_json(root / SIGNATURE, sign_manifest(manifest, signing_key).model_dump(mode="json"))
        root.rename(out)
    return out


def _certificate(run: Run, split: str | Path | None) -> Certificate | None:
    """Return the certificate of the run's split; None where the split is not at hand."""
    try:
        manifest = run.load_split(split)
        certificate = manifest.certificate() if manifest.sha256 == run.directory.record.split_sha256 else None
    except Heart2HeartError:  # the split may have moved, and another may be there now
        return None
    if certificate is not None:
        _require_passed(certificate, manifest.path)
    return certificate


def _require_passed(certificate: Certificate, where: Path) -> None:
    failed = [check.name for check in certificate.checks if check.status == "fail"]
    if failed:
        what = f"the certificate of the training split failed ({', '.join(failed)})"
        remedy = "Train on a split without the leak"
        raise ModelError(what, code=ModelFault.CERTIFICATE, where=where, remedy=remedy)


def _validation(folder: Path, weights: str) -> ValidationCertificate:
    content = read_json(folder / "certificate.json" if folder.is_dir() else folder, what="certificate of a validation")
    certificate = ValidationCertificate.parse(content, where=folder)
    if weights not in (certificate.model_sha256, *certificate.models):
        what = "this validation is of another model"
        raise ModelError(what, code=ModelFault.CERTIFICATE, where=folder, remedy="Validate the run that you export")
    return certificate


def _file_records(root: Path) -> dict[str, FileRecord]:
    """Return the hash of every file below a folder but the manifest and its signature.

    Raises:
        ModelError: a link, a special file, or too many files.
    """
    records: dict[str, FileRecord] = {}
    for parent, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()) or len(records) > MAX_FILES:
                raise _changed(root, f"{path.relative_to(root).as_posix()[:80]!r} is no plain file")
        for name in files:
            key = Path(parent, name).relative_to(root).as_posix()
            if key not in (MANIFEST, SIGNATURE):
                path = Path(parent, name)
                records[key] = FileRecord(sha256=sha256_file(path), bytes=path.stat().st_size)
    return dict(sorted(records.items()))


def _changed(root: Path, reason: str) -> ModelError:
    what = f"this model folder was changed after its export: {reason}"
    return ModelError(what, code=ModelFault.CHANGED, where=root, remedy=_REMEDY)


def is_model_folder(path: Path) -> bool:
    """Return whether a folder has a manifest of a model, of whatever version."""
    return (path / MANIFEST).is_file() and not (path / "run.json").exists()


def load_model_folder(path: Path, *, trusted_key: str | None = None) -> ExportedModel:
    """Open a model folder after checking its manifest, every file, the signature and the certificate.

    Args:
        path: The folder.
        trusted_key: Public key that must have signed it, 64 hexadecimal digits; None: a signature is not required.

    Raises:
        ModelError: the folder was changed, is of another version or not signed with the key, or its certificate failed.
    """
    manifest = _read_manifest(path)
    records = _file_records(path)
    differing = sorted(
        name for name in records.keys() | manifest.files if records.get(name) != manifest.files.get(name)
    )
    if differing:
        raise _changed(path, f"{differing[0][:80]!r} differs from the manifest")
    signature = None
    if (path / SIGNATURE).is_file():
        try:
            signature = ManifestSignature.parse(_read_small(path / SIGNATURE), where=path / SIGNATURE)
        except ConfigError as error:
            raise _changed(path, "its signature is damaged") from error
    verify_signature(manifest, signature, where=path, trusted_key=trusted_key)
    if CERTIFICATE in manifest.files:
        certificate = Certificate.parse(_read_small(path / CERTIFICATE), where=path / CERTIFICATE)
        if (certificate.split_sha256, certificate.digest()) != (manifest.split_sha256, manifest.certificate_sha256):
            what = "the certificate of this model is of another split"
            raise ModelError(what, code=ModelFault.CERTIFICATE, where=path, remedy=_REMEDY)
        _require_passed(certificate, path)
    model = ExportedModel.load(path / FILES["pt2"])
    if (model.classes, model.split_sha256) != (manifest.classes, manifest.split_sha256):
        raise _changed(path, "its manifest contradicts its weights")
    return replace(
        model,
        path=path,
        folder=path,
        certificate_sha256=manifest.certificate_sha256,
        source_sha256=manifest.weights_sha256,
    )


def _read_manifest(path: Path) -> ModelManifest:
    content = _read_small(path / MANIFEST)
    if content.get("kind") != "heart2heart model":
        raise ModelError("this is no manifest of a model of heart2heart", where=path, remedy=_REMEDY)
    if content.get("schema_version") != MODEL_FOLDER_VERSION:
        what = f"this model was exported by heart2heart {str(content.get('version'))[:40]!r}, whose layout is not read"
        raise ModelError(what, code=ModelFault.OTHER_VERSION, where=path, remedy="Export the run with this version")
    try:
        manifest = ModelManifest.parse(content, where=path / MANIFEST)
    except ConfigError as error:
        raise _changed(path, "its manifest is damaged") from error
    if manifest.sha256 != manifest.digest():
        raise _changed(path, "its manifest has another hash than it states")
    return manifest


def _read_small(path: Path) -> dict[str, Any]:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_MANIFEST_BYTES:
            raise _changed(path.parent, f"{path.name} is a link, or larger than {MAX_MANIFEST_BYTES} bytes")
        content = read_json(path, what="record of a model")
    except StoreError as error:
        raise _changed(path.parent, f"{path.name} is damaged") from error
    if not isinstance(content, dict):
        raise _changed(path.parent, f"{path.name} is damaged")
    return content


def write_parity(folder: Path, parity: Mapping[str, Parity]) -> None:
    """Write `parity.json` of a folder: the comparison with the run by format."""
    write_json(folder / PARITY, {name: each.model_dump(mode="json") for name, each in parity.items()})


def read_parity(folder: Path) -> dict[str, Parity]:
    """Return the comparisons of `parity.json` by format; empty without the file."""
    path = folder / PARITY
    if not path.is_file():
        return {}
    return {str(name): Parity.parse(each, where=path) for name, each in _read_small(path).items()}
