"""Runs one peer over a folder, in an interpreter that holds the peers; uses no code of this project.

Command: PYTHON benchmarks/deid_peers.py TOOL IN OUT (TOOL: versions, dicom-anonymizer, dicom-anonymizer-2026c, deid)
The last line of the output is JSON: seconds by file name, or versions by package. A file that the peer refuses has no
entry.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("dicom-anonymizer", "deid", "pydicom")


def dicom_anonymizer(table: str) -> Callable[[Path, Path], None]:
    """Return the Basic Profile as dicom-anonymizer applies it, by one edition of its table."""
    peer: Any = importlib.import_module("dicomanonymizer.simpledicomanonymizer")
    rules = peer.initialize_actions(table)

    def run(source: Path, target: Path) -> None:
        peer.anonymize_dicom_file(str(source), str(target), base_rules_gen=lambda: dict(rules))

    return run


def deid(recipe: str) -> Callable[[Path, Path], None]:
    """Return deid with one of its recipes: first its pixel cleaner, then its header; the caller gives pseudonyms.

    The recipe writes them with ADD from variables. Dates are left empty: the recipe has no shift of its own.
    """
    pixels: Any = importlib.import_module("deid.dicom.pixels")
    header: Any = importlib.import_module("deid.dicom")
    config: Any = importlib.import_module("deid.config")
    rules = config.DeidRecipe(recipe)

    def run(source: Path, target: Path) -> None:
        cleaner = pixels.DicomCleaner(deid=recipe, output_folder=str(target.parent))
        flags = cleaner.detect(str(source))
        path = source
        if flags["flagged"] and flags["results"]:
            cleaner.clean()
            path = Path(cleaner.save_dicom())
        pydicom: Any = importlib.import_module("pydicom")
        original = pydicom.dcmread(source, stop_before_pixels=True)
        pseudonyms = {
            "entity_id": _short_hash(original.get("PatientID", "")),
            "item_id": _short_hash(original.get("SOPInstanceUID", "")),
            "entity_timestamp": "",
            "item_timestamp": "",
        }
        (result,) = header.replace_identifiers(
            dicom_files=[str(path)], deid=rules, ids={str(path): pseudonyms}, save=False, remove_private=True
        )
        result.save_as(target)
        if path != source:
            path.unlink()

    return run


def _short_hash(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    known = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            known[package] = version(package)
    return known


def main(tool: str, source: Path, target: Path) -> None:
    """Run one tool over every file of `source` and print the seconds of each."""
    runs = {
        "dicom-anonymizer": lambda: dicom_anonymizer("dicomfields_2023"),
        "dicom-anonymizer-2026c": lambda: dicom_anonymizer("dicomfields_2026c"),
        "deid": lambda: deid("dicom.ultrasound"),
    }
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = runs[tool]()
        for path in sorted(source.iterdir()):
            temporary = Path(folder) / path.name
            start = time.perf_counter()
            with contextlib.suppress(Exception):  # a file on which the peer fails is a result
                run(path, temporary)
                seconds[path.name] = time.perf_counter() - start
                shutil.move(temporary, target / path.name)
    print(json.dumps(seconds))


if __name__ == "__main__":
    if sys.argv[1] == "versions":
        print(json.dumps(_versions()))
    else:
        main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
