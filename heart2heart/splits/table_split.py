"""Freezes the split that a table of pictures names, with the labels of the table as its classes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from heart2heart.errors import SplitError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.store_files import official_split_names, read_official_splits

NO_LABEL = "picture"
"""The only class of a table without labels."""

_FITTED = (SplitRole.TRAIN, SplitRole.VALIDATION, SplitRole.UNLABELED)


def freeze_table(store: FrameStore, out: Path, *, name: str, table_sha256: str) -> SplitManifest:
    """Freeze the roles of a table whose pictures are in a store of their own.

    Every picture keeps its role, labeled or not; so all of them are compared. Hospitals that are only tested on are
    held out.

    Args:
        store: Store of the table's pictures.
        out: Folder of the new split.
        name: Name of the split.
        table_sha256: Hash of the table.

    Raises:
        SplitError: no picture has a role.
        ExistsError: `out` holds a split already.
    """
    roles: dict[str, tuple[str, str | None]] = {}
    for site in official_split_names(store.root):
        table = read_official_splits(store.root, site)
        columns = (table[column].to_pylist() for column in ("clip", "role", "view"))
        roles |= {clip: (role, view) for clip, role, view in zip(*columns, strict=True)}
    if not any(role != SplitRole.EXCLUDED for role, _ in roles.values()):
        remedy = "Name the column of roles split: train, validation, test or unlabeled"
        raise SplitError("the table gives no picture a role", where=name, remedy=remedy)
    classes = tuple(sorted({view for role, view in roles.values() if view and role != SplitRole.EXCLUDED}))
    rows = []
    for row in store.frames.select(["frame", "clip", "site", "patient", "study"]).to_pylist():
        role, view = roles.get(row["clip"], (SplitRole.EXCLUDED.value, None))
        if role == SplitRole.EXCLUDED:
            view = None
        elif not classes:
            view = NO_LABEL
        rows.append(row | {"role": role, "view": view})
    fitted = {row["site"] for row in rows if row["role"] in _FITTED}
    used = {row["site"] for row in rows if row["role"] != SplitRole.EXCLUDED}
    return SplitManifest.freeze(
        out,
        name=name,
        classes=classes or (NO_LABEL,),
        seed=0,
        source_sites=sorted(fitted or used),
        held_out_sites=sorted({row["site"] for row in rows} - (fitted or used)),
        settings={"table": name, "table_sha256": table_sha256, "labeled": bool(classes)},
        members=pa.Table.from_pylist(rows, schema=SPLIT_MEMBERS),
        stores=FrameStores([store]),
    )
