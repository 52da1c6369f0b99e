"""Freezes the official split of a data set without changes, so that it can be certified.

The roles are those of the data set (`store.store_files`). Nothing is repaired unless `clean_pool` is set. A
published split that leaks fails its certificate, and training and evaluation refuse it like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import SplitError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.flags_rule import FlagsRule, usual_rule
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.schema.store import EVERY_SPLIT
from heart2heart.schema.views import SCORED_VIEWS
from heart2heart.splits.clip_uses import apply_flags_rule, excluded_by_use
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.store.store_files import official_split_names, read_official_splits

_EVALUATED = (SplitRole.VALIDATION, SplitRole.TEST)


def freeze_official(
    stores: FrameStores,
    labels: Mapping[str, str],
    name: str,
    out: Path,
    *,
    classes: Sequence[str] = SCORED_VIEWS,
    held_out: Sequence[str] | None = None,
    clean_pool: bool = False,
    flags: FlagsRule | None = None,
) -> SplitManifest:
    """Freeze an official split of one site, with the other sites held out.

    A training row of a view outside `classes` is excluded; a validation or test row of such a view serves the open-set
    scores. Frames of the site that the split does not name are excluded. Every labeled frame of
    a held-out site is a test frame.

    Args:
        stores: The stores.
        labels: View name by frame identifier, for the held-out sites.
        name: `SITE:SPLIT`, such as `tmed2:DEV56/fold0` or `camus:official`.
        out: Folder of the new split.
        classes: The scored views, in class order.
        held_out: Hospitals that are only tested on; None takes all other hospitals in the stores.
        clean_pool: Exclude the pool frames of validation and test patients.
        flags: The flags rule. None is `usual`, by which no flag excludes a frame.

    Returns:
        The frozen manifest. It still has to be certified.

    Raises:
        SplitError: no such split, a hospital without a frame, or a clip with two roles.
        ExistsError: `out` holds a split already.
    """
    site, _, split = name.partition(":")
    roles = _official_roles(stores, site, split)
    sites = sorted(set(stores.frames["site"].to_pylist()))
    others = tuple(each for each in sites if each != site) if held_out is None else tuple(held_out)
    for each in (site, *others):
        if each not in sites:
            raise SplitError(f"no frame of hospital {each!r} in the stores", remedy=f"There are: {', '.join(sites)}")
    if site in others:
        raise SplitError(f"hospital {site!r} is both source and held out")
    frames = stores.frames.filter(pc.is_in(stores.frames["site"], pa.array([site, *others], pa.string())))
    rows = []
    for row in frames.select(["frame", "clip", "site", "patient", "study"]).to_pylist():
        if row["site"] == site:
            official_role, view = roles.get(row["clip"], (SplitRole.EXCLUDED, None))
            role, view_kept = _member_role(official_role, view, classes)
        else:
            view_kept = labels.get(row["frame"])
            role = SplitRole.EXCLUDED if view_kept is None else SplitRole.TEST
        rows.append(row | {"role": role, "view": view_kept})
    if clean_pool:
        evaluated = {row["patient"] for row in rows if row["role"] in _EVALUATED}
        for row in rows:
            if row["role"] == SplitRole.UNLABELED and row["patient"] in evaluated:
                row["role"] = SplitRole.EXCLUDED
    rows = apply_flags_rule(rows, excluded_by_use(stores, flags or usual_rule()))
    settings: dict[str, Any] = {"official": name, "clean_pool": clean_pool}
    if flags is not None:
        settings["flags_rule"] = flags.model_dump(mode="json") | {"sha256": flags.digest()}
    return SplitManifest.freeze(
        out,
        name=name,
        classes=classes,
        seed=0,
        source_sites=[site],
        held_out_sites=others,
        settings=settings,
        members=pa.Table.from_pylist(rows, schema=SPLIT_MEMBERS),
        stores=stores,
    )


def _member_role(role: str, view: str | None, classes: Sequence[str]) -> tuple[str, str | None]:
    """Return the role and view of a member for the official role and view of its clip."""
    if role == SplitRole.TRAIN:
        return (SplitRole.TRAIN, view) if view in classes else (SplitRole.EXCLUDED, None)
    if role in _EVALUATED:
        return (SplitRole.EXCLUDED, None) if view is None else (role, view)
    return role, None


def _official_roles(stores: FrameStores, site: str, split: str) -> dict[str, tuple[str, str | None]]:
    """Return official role and view by clip."""
    known = sorted(
        {f"{each}:{one}" for s in stores.stores for each, ones in official_split_names(s.root).items() for one in ones}
    )
    if f"{site}:{split}" not in known:
        remedy = f"There are: {', '.join(known)}" if known else "Add a data set with: heart2heart source NAME FOLDER"
        raise SplitError(f"no official split {site}:{split} beside these stores", remedy=remedy)
    roles: dict[str, tuple[str, str | None]] = {}
    for table in (read_official_splits(store.root, site) for store in stores.stores):
        # The rows of all splits come first, so that those of the split itself replace them.
        for name in (EVERY_SPLIT, split):
            rows = table.filter(pc.equal(table["split"], name))
            columns = (rows[column].to_pylist() for column in ("clip", "role", "view"))
            roles_of_split: dict[str, tuple[str, str | None]] = {}
            for clip, role, view in zip(*columns, strict=True):
                if roles_of_split.setdefault(clip, (role, view)) != (role, view):
                    raise SplitError(f"clip {clip} has two roles in the official split {site}:{split}")
            roles |= roles_of_split
    return roles
