"""Links patients who were examined at several hospitals, by keyed hashes of name and date of birth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.stores import key_path, path_list
from heart2heart.errors import ExistsError
from heart2heart.progress import Stage, silent_stage
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.ingest.patient_links import LinkSummary


def make_linking_key(path: str | Path) -> Path:
    """Write a new linking key with mode 0600, for all hospitals whose patients are to be compared.

    Raises:
        ExistsError: the file exists.

    Examples:
        >>> from heart2heart.api import make_linking_key
        >>> make_linking_key("new.key").stat().st_mode & 0o777 == 0o600
        True
    """
    from heart2heart.deidentify.pseudonyms import Key

    file = Path(path)
    if file.exists():
        raise ExistsError("a file is here already", where=file, remedy="Name another file")
    Key.open(file)
    return file


@audited(AuditAction.LINK, beside="store", reads=["paths"], writes=["store"], site="site")
def link_patients(
    paths: str | Path | Sequence[str | Path],
    *,
    site: str,
    store: str | Path,
    linking_key: str | Path,
    key: str | Path | None = None,
    stage: Stage = silent_stage,
) -> LinkSummary:
    """Write link codes of a hospital's patients beside its store, so that `certify` finds them at other hospitals.

    A code is a keyed hash of family name, given name and date of birth. Whoever has both the linking key and the codes
    can test whether a person is in the store; so destroy the key when all hospitals are linked.

    Args:
        paths: The DICOM files and folders of the ingest.
        site: Name of the hospital, as in the ingest.
        store: Folder of the frame store.
        linking_key: The key of `make_linking_key`, the same at every hospital.
        key: Key of the ingest. None takes `STORE.key`.
        stage: Opens the progress.

    Raises:
        ConfigError: the linking key is the key of the ingest, lies in the store, or is not that of the codes there.
        MissingInputError: a key is missing, or no file is of a patient of the store.

    Examples:
        >>> from heart2heart.api import link_patients, make_linking_key
        >>> shared = make_linking_key("linking.key")
        >>> summary = link_patients("hospital", site="A", store="store", linking_key=shared)
        >>> summary.linked, summary.patients  # these files hold no names
        (0, 8)
    """
    from heart2heart.ingest.patient_links import link_patients
    from heart2heart.ingest.source_files import find_files

    roots, target = path_list(paths), Path(store)
    with stage(f"link {site}", len(find_files(roots, outside=target))) as progress:
        return link_patients(
            roots,
            site=site,
            store=target,
            key=key_path(target, key),
            linking_key=Path(linking_key),
            progress=progress,
        )
