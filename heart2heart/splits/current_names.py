"""Gives the frames of a frozen split the pseudonyms that the stores use now.

A rotation of the key changes the pseudonyms of a store, while a frozen split, and predictions made before, keep the old
ones. Clips keep their names, so they lead from the old pseudonyms to the new ones.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.store.frame_store import Frames

_RELINKED = ("patient", "study")


def current_names(rows: pa.Table, stores: Frames | None) -> pa.Table:
    """Return rows with the patients and studies of their clips as the stores name them.

    Args:
        rows: Columns `clip` and `patient`, perhaps `study`.
        stores: Stores with the clips; rows of other clips stay as they are. None: all stay.

    Examples:
        >>> from heart2heart.testing.stores import random_store
        >>> store = random_store("store")
        >>> rows = store.clips.select(["clip", "patient", "study"])
        >>> old = rows.set_column(1, "patient", pc.binary_join_element_wise("old", rows["patient"], "-"))
        >>> current_names(old, store).equals(rows)
        True
    """
    if stores is None:
        return rows
    position = pc.index_in(rows["clip"], stores.clips["clip"])
    known = pc.is_valid(position)
    for name in _RELINKED:
        if name in rows.column_names:
            now = stores.clips[name].take(position).cast(rows[name].type)
            column = pc.if_else(known, now, rows[name])
            rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), column)
    return rows
