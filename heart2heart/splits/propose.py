"""Proposes splits: patients of the source hospitals in train, validation and test; all other hospitals held out.

scikit-learn's `StratifiedGroupKFold` assigns the patients (`splits.assignment`). `splits.certify` checks the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import ExistsError, SplitError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.flags_rule import usual_rule
from heart2heart.schema.scope import REJECT_CLASS
from heart2heart.schema.split import SPLIT_MEMBERS, SplitSettings
from heart2heart.schema.views import get_view
from heart2heart.splits.assignment import adaptation_patients, assign_patients
from heart2heart.splits.clip_uses import apply_flags_rule, excluded_by_use, usable_labels
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames


def propose(stores: Frames, labels: Mapping[str, str], settings: SplitSettings, out: Path) -> SplitManifest:
    """Propose and freeze a split.

    Args:
        stores: All hospitals' frames.
        labels: View name by frame identifier, the consensus of the label events.
        settings: How to split.
        out: Folder of the new split.

    Returns:
        The frozen manifest. It still has to be certified.

    Raises:
        SplitError: a hospital has no frame, or too few labeled patients to put every view into every part.
    """
    return _freeze(stores, [(settings, out)], labels)[0]


def propose_folds(
    stores: Frames, labels: Mapping[str, str], settings: SplitSettings, out: Path, folds: int
) -> list[SplitManifest]:
    """Propose and freeze one split per fold, `out/fold0` and so on: every labeled source patient tests in exactly one.

    Args:
        stores: All hospitals' frames.
        labels: View name by frame identifier.
        settings: How to split; `folds` and `fold` are set here, and `test` follows from them.
        out: Folder of the new splits.
        folds: Number of folds, at least 2.

    Raises:
        SplitError: as in `propose`; then no fold is written.
    """
    fold_settings = [
        settings.replaced(name=f"{settings.name}-fold{fold}", folds=folds, fold=fold, test=1 / folds)
        for fold in range(folds)
    ]
    return _freeze(stores, [(one, out / f"fold{one.fold}") for one in fold_settings], labels)


def propose_leave_one_out(
    stores: Frames, labels: Mapping[str, str], settings: SplitSettings, out: Path
) -> list[SplitManifest]:
    """Propose and freeze one split per hospital, `out/<hospital>`, with that one held out and the others as the source.

    Args:
        stores: All hospitals' frames.
        labels: View name by frame identifier.
        settings: How to split; `source` names the hospitals that take part, at least two.
        out: Folder of the new splits.

    Raises:
        SplitError: fewer than two hospitals, or as in `propose`; then no split is written.
    """
    sites = settings.source
    if len(sites) < 2:
        raise SplitError("leaving one hospital out needs at least two", remedy="Name each with --source")
    plans = []
    for site in sites:
        others = tuple(other for other in sites if other != site)
        one = settings.replaced(name=f"{settings.name}-without-{site}", source=others, held_out=(site,))
        plans.append((one, out / "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in site)))
    return _freeze(stores, plans, labels)


def _freeze(
    stores: Frames, plans: Sequence[tuple[SplitSettings, Path]], labels: Mapping[str, str]
) -> list[SplitManifest]:
    """Compute all members before the first split is written, so that a refusal leaves nothing behind."""
    for _, out in plans:
        if (out / "split.json").exists():
            raise ExistsError("a split is already frozen here", where=out, remedy="Name another folder")
    members = [_members(stores, labels, settings) for settings, _ in plans]
    return [
        SplitManifest.freeze(
            out,
            name=settings.name,
            classes=settings.classes,
            seed=settings.seed,
            source_sites=settings.source,
            held_out_sites=held_out,
            settings=settings.to_json(),
            members=table,
            stores=stores,
        )
        for (settings, out), (held_out, table) in zip(plans, members, strict=True)
    ]


def _members(stores: Frames, labels: Mapping[str, str], settings: SplitSettings) -> tuple[tuple[str, ...], pa.Table]:
    """Return the held-out hospitals and the rows of one split."""
    for name in () if settings.taxonomy else settings.classes:  # whoever made that record checked the classes
        get_view(name)
    frames = stores.frames
    sites = sorted(set(frames["site"].to_pylist()))
    others = tuple(site for site in sites if site not in settings.source)
    held_out = others if settings.held_out is None else settings.held_out
    for site in (*settings.source, *held_out):
        if site not in sites:
            raise SplitError(f"no frame of hospital {site!r} in the stores", remedy=f"There are: {', '.join(sites)}")
    if overlap := sorted(set(settings.source) & set(held_out)):
        raise SplitError(f"hospital {overlap[0]!r} is both source and held out")
    if REJECT_CLASS in settings.classes:
        labels = {frame: view if view in settings.classes else REJECT_CLASS for frame, view in labels.items()}
    rule = settings.flags_rule or usual_rule()
    deciding = usable_labels(stores, labels, rule)
    part_of = assign_patients(stores, deciding, settings)
    set_aside = adaptation_patients(stores, deciding, settings, held_out)
    selected = frames.filter(pc.is_in(frames["site"], pa.array([*settings.source, *held_out], pa.string())))
    rows = []
    for row in selected.select(["frame", "clip", "site", "patient", "study", "mode"]).to_pylist():
        usable = row.pop("mode") in settings.modes
        view = labels.get(row["frame"]) if usable else None
        if row["site"] in held_out:
            part: str = SplitRole.ADAPTATION if row["patient"] in set_aside else SplitRole.TEST
        else:
            part = part_of.get(row["patient"], "pool")
        role, kept_view = _role(part, view, usable=usable, classes=settings.classes)
        rows.append(row | {"role": role, "view": kept_view})
    allowed = apply_flags_rule(rows, excluded_by_use(stores, rule))
    return held_out, pa.Table.from_pylist(allowed, schema=SPLIT_MEMBERS)


def _role(part: str, view: str | None, *, usable: bool, classes: tuple[str, ...]) -> tuple[str, str | None]:
    """Return role and kept view of one frame whose patient is in `part`."""
    if part in (SplitRole.VALIDATION, SplitRole.TEST):
        return (part, view) if view is not None else (SplitRole.EXCLUDED, None)
    if not usable:
        return SplitRole.EXCLUDED, None
    if part == SplitRole.ADAPTATION:
        return SplitRole.ADAPTATION, None
    # A label outside the classes says nothing to the classifier: the frame is one of the uncurated.
    return (SplitRole.TRAIN, view) if part == SplitRole.TRAIN and view in classes else (SplitRole.UNLABELED, None)
