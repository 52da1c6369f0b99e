"""Rotates the key of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.api.audit import audited
from heart2heart.api.stores import key_path
from heart2heart.schema.enums import AuditAction

if TYPE_CHECKING:
    from heart2heart.ingest.rotate_key import KeyRotation


@audited(AuditAction.ROTATE_KEY, beside="store", writes=["store"])
def rotate_key(store: str | Path, *, key: str | Path | None = None) -> KeyRotation:
    """Move a store to a new secret of its key, without the original files; a stopped call is completed by the next.

    Patients, studies, series, instances, dates and the ledger's names change; clips and pixels keep their names, so
    labels, splits and runs stay valid. Copies that left earlier keep the old names.

    Args:
        store: Folder of the frame store.
        key: Its key file, which is replaced; it keeps the earlier secrets. None takes `STORE.key`.

    Raises:
        MissingInputError: no store, ledger or key.
        ConfigError: no hospital of the store has this key.
        StoreError: an ingest is writing to the store.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import rotate_key
        >>> before = set(h2h.open_store("store").clips["patient"].to_pylist())
        >>> rotation = rotate_key("store")
        >>> after = set(h2h.open_store("store").clips["patient"].to_pylist())
        >>> rotation.sites, len(before) == len(after), before & after
        (('A', 'B'), True, set())
        >>> h2h.ingest_files("hospital", site="A", store="store", size=32, frames="even:2", workers=1).summary.clips
        0
    """
    from heart2heart.ingest.rotate_key import rotate_key

    target = Path(store)
    return rotate_key(target, key_path(target, key))
