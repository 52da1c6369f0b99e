"""Propose a split: patients of the source hospitals into train, validation and test; other hospitals held out whole.

scikit-learn's `StratifiedGroupKFold` proposes; what must hold is asserted here and certified afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from heart2heart import seeds
from heart2heart.config import Config
from heart2heart.errors import SplitError
from heart2heart.frames.schema import POOL_MODES
from heart2heart.frames.store import Frames
from heart2heart.splits.manifest import MEMBERS, SplitManifest
from heart2heart.views import SCORED, get_view

ATTEMPTS = 200
"""Shuffles tried until every view is present in every part."""


class SplitSettings(Config):
    """How to split."""

    name: str = "split"
    """What a reader calls the split."""
    classes: tuple[str, ...] = SCORED
    """Views that are scored, in class order."""
    source: tuple[str, ...] = Field(min_length=1)
    """Hospitals whose patients may train and validate."""
    held_out: tuple[str, ...] | None = None
    """Hospitals that are only tested on; null takes every other hospital in the stores."""
    validation: float = Field(0.2, gt=0, lt=1)
    """Share of the labeled source patients that validate."""
    test: float = Field(0.2, ge=0, lt=1)
    """Share of the labeled source patients that test."""
    label_budget: int | None = Field(None, ge=1)
    """Keep the labels of this many training patients; the frames of the others join the pool. Null keeps all."""
    modes: tuple[str, ...] = POOL_MODES
    """Modes that the pool takes and that labels are used of."""
    seed: int = 0
    """Seed of the shuffles."""


def propose(stores: Frames, labels: Mapping[str, str], settings: SplitSettings, out: Path) -> SplitManifest:
    """Propose and freeze a split.

    Args:
        stores: All hospitals' frames.
        labels: View name by frame identifier, as resolved from the label events.
        settings: How to split.
        out: Folder of the new split.

    Returns:
        The frozen manifest. It still has to be certified.

    Raises:
        SplitError: a hospital has no frame, or too few labeled patients to put every view into every part.
    """
    for name in settings.classes:
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
    part_of = _parts(stores, labels, settings)
    taken = frames.filter(pc.is_in(frames["site"], pa.array([*settings.source, *held_out], pa.string())))
    rows = []
    for row in taken.select(["frame", "clip", "site", "patient", "study", "mode"]).to_pylist():
        usable = row.pop("mode") in settings.modes
        view = labels.get(row["frame"]) if usable else None
        part = "test" if row["site"] in held_out else part_of.get(row["patient"], "pool")
        role, kept = _role(part, view, usable=usable, classes=settings.classes)
        rows.append(row | {"role": role, "view": kept})
    return SplitManifest.freeze(
        out,
        name=settings.name,
        classes=settings.classes,
        seed=settings.seed,
        source_sites=settings.source,
        held_out_sites=held_out,
        settings=settings.model_dump(mode="json"),
        members=pa.Table.from_pylist(rows, schema=MEMBERS),
        stores=stores,
    )


def _role(part: str, view: str | None, *, usable: bool, classes: tuple[str, ...]) -> tuple[str, str | None]:
    """Return role and kept view of one frame whose patient is in `part`."""
    if part in ("validation", "test"):
        return (part, view) if view is not None else ("excluded", None)
    if not usable:
        return "excluded", None
    # A label outside the classes says nothing to the classifier: the frame is one of the uncurated.
    return ("train", view) if part == "train" and view in classes else ("unlabeled", None)


def _parts(stores: Frames, labels: Mapping[str, str], settings: SplitSettings) -> dict[str, str]:
    """Return train, validation, test or pool for each labeled patient of the source hospitals."""
    frames = stores.frames
    mask = pc.and_(
        pc.is_in(frames["site"], pa.array(settings.source, pa.string())),
        pc.is_in(frames["mode"], pa.array(settings.modes, pa.string())),
    )
    mine = frames.filter(mask).select(["frame", "patient", "site"]).to_pylist()
    scored = [(row["patient"], row["site"], labels[row["frame"]]) for row in mine if row["frame"] in labels]
    scored = [row for row in scored if row[2] in settings.classes]
    patients = np.array([row[0] for row in scored], object)
    # Stratify by view and hospital, so that each hospital's mix is kept in every part.
    strata = np.unique([f"{row[1]}\x1f{row[2]}" for row in scored], return_inverse=True)[1] if scored else None
    need = 3 if settings.test else 2
    if strata is None or len(np.unique(patients)) < need:
        what = f"{len(np.unique(patients))} labeled patients with a scored view at {', '.join(settings.source)}"
        raise SplitError(what, remedy=f"At least {need} are needed; import more labels")
    views = np.array([row[2] for row in scored], object)
    for view in settings.classes:
        if (owners := len(np.unique(patients[views == view]))) < need:
            what = f"{view} is labeled in {owners} patients of {', '.join(settings.source)}"
            raise SplitError(what, remedy=f"At least {need} are needed, one for each part; label more of that view")
    for attempt in range(ATTEMPTS):
        rng = seeds.stream(settings.seed, "split", attempt)
        parts = _draw(patients, strata, settings, rng)
        if not _missing(parts, patients, views, settings):
            return parts
    lack = _missing(
        _draw(patients, strata, settings, seeds.stream(settings.seed, "split", 0)), patients, views, settings
    )
    what = f"no way found to give every part every view; for example {lack}"
    remedy = "Label more patients with that view, lower --test, or raise --label-budget"
    raise SplitError(what, where=", ".join(settings.source), remedy=remedy)


def _draw(
    patients: npt.NDArray[np.object_],
    strata: npt.NDArray[np.intp],
    settings: SplitSettings,
    rng: np.random.Generator,
) -> dict[str, str]:
    parts = dict.fromkeys(np.unique(patients), "train")
    rest = np.ones(len(patients), bool)
    share = 1.0
    for name, fraction in (("test", settings.test), ("validation", settings.validation)):
        if fraction == 0:
            continue
        chosen = _take(patients[rest], strata[rest], fraction / share, rng)
        parts.update(dict.fromkeys(chosen, name))
        rest &= ~np.isin(patients, chosen)
        share -= fraction
    training = [patient for patient, part in parts.items() if part == "train"]
    if settings.label_budget is not None and len(training) > settings.label_budget:
        kept = set(rng.permutation(np.array(training, object))[: settings.label_budget])
        parts.update({patient: "pool" for patient in training if patient not in kept})
    return parts


def _take(
    patients: npt.NDArray[np.object_], strata: npt.NDArray[np.intp], fraction: float, rng: np.random.Generator
) -> list[str]:
    """Return about `fraction` of the patients, stratified; at least one, never all."""
    from sklearn.model_selection import StratifiedGroupKFold

    count = len(np.unique(patients))
    if count < 2:
        return []
    folds = max(2, min(count, round(1 / fraction)))
    # scikit-learn balances the strata's counts over groups; a stratum rarer than the folds only draws a warning.
    smallest = int(np.bincount(strata)[np.unique(strata)].min())
    if smallest < folds:
        chosen = rng.permutation(np.unique(patients))[: max(1, round(count * fraction))]
        return [str(patient) for patient in chosen]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    _, chosen_rows = next(splitter.split(np.zeros(len(patients)), strata, patients))
    return [str(patient) for patient in np.unique(patients[chosen_rows])]


def _missing(
    parts: Mapping[str, str],
    patients: npt.NDArray[np.object_],
    views: npt.NDArray[np.object_],
    settings: SplitSettings,
) -> str:
    """Return what some part lacks, or an empty text."""
    where = np.array([parts[patient] for patient in patients], object)
    names = ("train", "validation", "test") if settings.test else ("train", "validation")
    for name in names:
        lacking = [view for view in settings.classes if view not in set(views[where == name])]
        if lacking:
            return f"{name} lacks {', '.join(lacking)}"
    return ""
