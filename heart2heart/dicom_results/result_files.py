"""Writes result objects into a folder of the hospital, each once: what is there stays as it is."""

from __future__ import annotations

import stat
from pathlib import Path

from pydicom import Dataset

from heart2heart.dicom.header_values import silence_warnings
from heart2heart.errors import ConfigError
from heart2heart.utils import atomic_path, make_private_folder

REPORT, COPY, KEY_OBJECTS = "report", "copy", "key_objects"
"""Kinds of result objects; the names of their files begin with them."""


def result_path(folder: Path, kind: str, uid: str) -> Path:
    """Return the file of a result object; its name shows no identifier of the patient or the study.

    Args:
        folder: The folder.
        kind: `report`, `copy` or `key_objects`.
        uid: Its SOP Instance UID, which is derived by a hash.

    Examples:
        >>> from pathlib import Path
        >>> result_path(Path("out"), "report", "2.25.1234").name
        'report_1234.dcm'
    """
    return folder / f"{kind}_{uid.rpartition('.')[2]}.dcm"


def open_result_folder(folder: Path) -> None:
    """Make the folder of result objects (mode 0700), or check the one that is there.

    Args:
        folder: The folder.

    Raises:
        ConfigError: others may enter it, or it lies inside a frame store.

    Examples:
        >>> from pathlib import Path
        >>> open_result_folder(Path("results"))
        >>> oct(Path("results").stat().st_mode & 0o777)
        '0o700'
    """
    for parent in (folder.resolve(), *folder.resolve().parents):
        if (parent / "store.json").exists():
            remedy = "The results hold identity; name a folder outside every store"
            raise ConfigError("this folder lies inside a frame store", where=folder, remedy=remedy)
    make_private_folder(folder)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        remedy = f"The results hold identity. Run: chmod 700 {folder}"
        raise ConfigError("others may enter this folder", where=folder, remedy=remedy)


def write_result(document: Dataset, path: Path) -> None:
    """Write a result object (mode 0600), whole or not at all.

    Args:
        document: The object, with file meta information.
        path: Its file, of `result_path`; where it exists, nothing is done.

    Raises:
        NoSpaceError: the disk is full.
    """
    if path.exists():
        return
    with silence_warnings(), atomic_path(path, mode=0o600) as temporary:
        document.save_as(temporary, enforce_file_format=True)
