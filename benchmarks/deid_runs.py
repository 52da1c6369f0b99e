"""Writes the planted files of `benchmarks.deidentification` and runs every tool over them."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import data_store
import deid_data
import pydicom
from pydicom import Dataset, dcmread

from benchmarks.deid_answer_key import Requirement
from benchmarks.deid_cases import draw_person, interval_days, plant
from heart2heart.deidentify.clean_copy import TextPolicy, clean_copy
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.dicom.header_values import DECODE_ERRORS, silence_warnings
from heart2heart.dicom.reader import ULTRASOUND_SOP_CLASSES
from heart2heart.errors import DicomError
from heart2heart.synthetic.config import HospitalConfig, NonClipFiles
from heart2heart.synthetic.hospital import simulate_hospital
from heart2heart.synthetic.presets import four_hospitals

OURS = "heart2heart"
PEERS = ("dicom-anonymizer", "dicom-anonymizer-2026c", "deid")
MARGIN_MASK = "margin mask"
_LARGEST = 10_000_000  # bytes of a real file whose header is planted: headers do not differ with the pixels


@dataclass(frozen=True)
class Case:
    """One planted file.

    Attributes:
        path: The file before de-identification.
        real: Whether the pixels and technical elements are those of a real file.
        patient: Number of the invented patient.
        day: Day of the study.
        requirements: The answer key.
    """

    path: Path
    real: bool
    patient: int
    day: date
    requirements: tuple[Requirement, ...]


def real_ultrasound() -> list[Path]:
    """Return the public ultrasound files of pydicom, pydicom-data and deid-data."""
    roots = [Path(data_store.__file__).parent, Path(deid_data.__file__).parent, Path(pydicom.__file__).parent]
    files = []
    for path in sorted(path for root in roots for path in root.rglob("*.dcm")):
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        except DECODE_ERRORS:
            continue
        if str(header.get("SOPClassUID", "")) in ULTRASOUND_SOP_CLASSES:
            files.append(path)
    return files


def write_cases(folder: Path, *, seed: int, patients: int) -> list[Case]:
    """Plant two studies of an invented patient into each real file, and into clips of four simulated hospitals.

    Args:
        folder: Empty folder; the files are written into `originals`.
        seed: Root seed.
        patients: Patients of each simulated hospital.
    """
    draw = random.Random(seed)
    sources = [(path, True) for path in real_ultrasound() if path.stat().st_size <= _LARGEST]
    for hospital in four_hospitals():
        simulate_hospital(_small(hospital, patients), folder / "hospitals", seed)
    simulated = sorted(path for path in (folder / "hospitals").glob("*/*/*") if path.is_file())
    sources += [(path, False) for path in simulated]
    originals = folder / "originals"
    originals.mkdir()
    cases: list[Case] = []
    for patient, (source, real) in enumerate(sources):
        person, first = draw_person(draw), date(2019, 1 + draw.randrange(12), 1 + draw.randrange(28))
        for study, day in enumerate((first, first + interval_days(draw))):
            with silence_warnings():
                header = dcmread(source)
                key = plant(header, person, day=day, study=study, clip=patient, mixed=bool(study))
                path = originals / f"{patient:03d}-{study}.dcm"
                header.save_as(path)
            cases.append(Case(path, real, patient, day, tuple(key)))
    return cases


def _small(hospital: HospitalConfig, patients: int) -> HospitalConfig:
    """Return a hospital with two clips a study and nothing but clips and stills."""
    nothing = NonClipFiles(text_files=0, captures=0, reports=0, truncated=0, copies=0)
    changes = {"patients": patients, "labeled_patients": 0, "clips": (2, 2), "frames": (6, 6), "strays": nothing}
    return hospital.model_copy(update=changes)


def run_ours(source: Path, target: Path, text: TextPolicy = "blank") -> dict[str, float]:
    """Write our clean copy of every file of `source`, and return the seconds of each that was not refused."""
    pseudonymizer, seconds = Pseudonymizer(Key(bytes(range(32)))), {}
    for path in sorted(source.iterdir()):
        start = time.perf_counter()
        with silence_warnings():
            try:
                copy = clean_copy(path, pseudonymizer=pseudonymizer, site="bench", text=text)
            except DicomError:
                continue
            copy.dataset.save_as(target / path.name, enforce_file_format=True)
        seconds[path.name] = time.perf_counter() - start
    return seconds


def run_peer(python: Path, tool: str, source: Path, target: Path) -> dict[str, float]:
    """Run one peer in its own interpreter, and return the seconds of each file that it wrote."""
    script = Path(__file__).with_name("deid_peers.py")
    done = subprocess.run([python, script, tool, source, target], capture_output=True, text=True, check=True)
    seconds: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def peer_versions(python: Path) -> dict[str, str]:
    """Return the versions of the peers that an interpreter has, by package."""
    script = Path(__file__).with_name("deid_peers.py")
    done = subprocess.run([python, script, "versions"], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def run_tools(
    source: Path, out: Path, python: Path, text: TextPolicy = "blank"
) -> Iterator[tuple[str, Path, dict[str, float]]]:
    """Run our tool and every installed peer; yield name, folder of the results, and seconds by file name."""
    versions = peer_versions(python)
    for tool in (OURS, *PEERS):
        if tool == OURS or tool.removesuffix("-2026c") in versions:
            target = out / tool
            target.mkdir(parents=True)
            run = run_ours(source, target, text) if tool == OURS else run_peer(python, tool, source, target)
            yield tool, target, run


def read_result(path: Path) -> Dataset | None:
    """Return what a tool wrote, None if it wrote nothing that can be read."""
    if not path.is_file():
        return None
    with silence_warnings():
        try:
            result = dcmread(path)
            result.decode()
        except DECODE_ERRORS:
            return None
    return result
