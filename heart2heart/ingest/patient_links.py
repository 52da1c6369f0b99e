"""Writes the link codes of a store's patients, from the headers of the files that were ingested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from heart2heart.deidentify.link_code import link_code
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer, pseudonymize
from heart2heart.dicom.header_values import DECODE_ERRORS, text
from heart2heart.dicom.reader import open_dicom
from heart2heart.errors import ConfigError, DicomError, MissingInputError
from heart2heart.ingest.source_files import close_archives, find_files, key_fingerprint, unpacked
from heart2heart.progress import NoProgress, Progress
from heart2heart.schema.links import LINKS_FILE, LinkedPatient, PatientLinks
from heart2heart.store.frame_store import FrameStore


@dataclass(frozen=True)
class LinkSummary:
    """Result of one run.

    Attributes:
        site: The hospital.
        patients: Patients of the hospital in the store.
        linked: Patients of the hospital with a link code.
        file: The file of link codes.
    """

    site: str
    patients: int
    linked: int
    file: Path


def link_patients(
    paths: Sequence[Path],
    *,
    site: str,
    store: Path,
    key: Path,
    linking_key: Path,
    progress: Progress | None = None,
) -> LinkSummary:
    """Write a link code for every patient of a hospital in the store whose header has name and date of birth.

    Only patients of the store get a code. Codes of other hospitals in the store stay.

    Args:
        paths: The files and folders that were ingested.
        site: Name of the hospital.
        store: The frame store.
        key: The key of the ingest.
        linking_key: The key that the hospitals share; another one than `key`, outside the store.
        progress: Receives the number of finished files, of `len(find_files(paths, outside=store))`.

    Raises:
        ConfigError: the linking key is the key of the ingest, lies in the store, or differs from that of the codes
            that are there already.
        MissingInputError: a key is missing, or no file is of a patient of the store.
    """
    progress = progress or NoProgress()
    secret, shared = Key.load(key), load_linking_key(linking_key, store)
    if shared == secret:
        remedy = "Share a key of its own: it must not open the pseudonyms"
        raise ConfigError("the linking key is the key of the ingest", where=linking_key, remedy=remedy)
    before = PatientLinks.read(store)
    check = key_fingerprint(shared)
    if before is not None and before.key_check != check:
        remedy = f"Use the same linking key, or delete {LINKS_FILE} in the store and link every hospital again"
        raise ConfigError("the codes of this store were made with another linking key", where=store, remedy=remedy)
    clips = FrameStore.open(store).all_clips
    patients = set(clips.filter(pc.equal(clips["site"], site))["patient"].to_pylist())
    codes: dict[str, set[str]] = {}
    known = 0
    pseudonymizer = Pseudonymizer(secret)
    for count, path in enumerate(find_files(paths, outside=store), start=1):
        patient, code = _patient_and_code(path, pseudonymizer, site, shared)
        if patient in patients:
            known += 1
            if code is not None:
                codes.setdefault(patient, set()).add(code)
        progress.update(count, f"{len(codes)} patients with a code")
    close_archives()
    if not known:
        remedy = "Give the files, the site and the key of the ingest"
        raise MissingInputError("no file is of a patient of this hospital in the store", where=store, remedy=remedy)
    others = () if before is None else before.patients
    for entry in others:
        if entry.site == site and entry.patient in patients:
            codes.setdefault(entry.patient, set()).update(entry.codes)
    entries = [entry for entry in others if entry.site != site]
    entries += [LinkedPatient(site=site, patient=name, codes=tuple(sorted(each))) for name, each in codes.items()]
    entries.sort(key=lambda entry: (entry.site, entry.patient))
    file = PatientLinks(key_check=check, patients=tuple(entries)).write(store)
    return LinkSummary(site, len(patients), len(codes), file)


def load_linking_key(path: Path, store: Path) -> Key:
    """Read a linking key, which must exist and lie outside the store.

    Raises:
        MissingInputError: no such file.
        ConfigError: the key lies inside the store, others may read it, or the file is not a key.
    """
    if not path.exists():
        remedy = "One hospital makes it with `heart2heart link-key FILE` and hands it to the others"
        raise MissingInputError("no linking key here", where=path, remedy=remedy)
    return Key.open(path, outside=store)


def _patient_and_code(path: Path, pseudonymizer: Pseudonymizer, site: str, shared: Key) -> tuple[str, str | None]:
    """Return pseudonym and link code of a file's patient; an empty pseudonym where the header cannot be read."""
    try:
        with unpacked(path) as readable, open_dicom(readable) as opened:
            header = opened.header
            if not text(header, "PatientID") and not text(header, "StudyInstanceUID"):
                return "", None
            pseudonyms = pseudonymize(header, pseudonymizer, site=site, content="")
            return pseudonyms.patient, link_code(header, shared)
    except DicomError:
        return "", None
    except DECODE_ERRORS:
        return "", None
