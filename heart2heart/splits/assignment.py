"""Assigns whole labeled patients of the source to training, validation and test, stratified by view and hospital."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart import utils
from heart2heart.errors import SplitError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.split import SplitSettings
from heart2heart.store.frame_store import Frames

StringArray = npt.NDArray[np.object_]


def fold_patients(
    patients: StringArray, strata: npt.NDArray[np.intp], folds: int, rng: np.random.Generator
) -> list[list[str]]:
    """Divide patients into folds of similar strata (scikit-learn's `StratifiedGroupKFold`).

    Args:
        patients: Patient of each labeled frame `(n,)`.
        strata: Stratum of each frame `(n,)`.
        folds: Number of folds, at most the number of patients.
        rng: Shuffles the patients.

    Returns:
        The patients of each fold, sorted; every patient in exactly one.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    names = np.unique(patients)
    smallest = int(np.bincount(strata)[np.unique(strata)].min())
    if smallest < folds:  # scikit-learn balances counts of frames; it only warns of a stratum rarer than the folds
        return [sorted(map(str, part)) for part in np.array_split(rng.permutation(names), folds)]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    parts = splitter.split(np.zeros(len(patients)), strata, patients)
    return [sorted(map(str, np.unique(patients[chosen]))) for _, chosen in parts]


def sample_patients(
    patients: StringArray, strata: npt.NDArray[np.intp], fraction: float, rng: np.random.Generator
) -> list[str]:
    """Return about `fraction` of the patients, stratified: at least one, never all; of a single patient, none."""
    names = np.unique(patients)
    if len(names) < 2:
        return []
    folds = max(2, min(len(names), round(1 / fraction)))
    smallest = int(np.bincount(strata)[np.unique(strata)].min())
    if smallest < folds:
        chosen = rng.permutation(names)[: max(1, round(len(names) * fraction))]
        return sorted(map(str, chosen))
    return fold_patients(patients, strata, folds, rng)[0]


def budget_patients(
    patients: StringArray, strata: npt.NDArray[np.intp], among: Sequence[str], budget: int, rng: np.random.Generator
) -> list[str]:
    """Choose `budget` patients whose strata together are closest to those of all.

    Patients are chosen one by one: each time the patient who brings the shares of the strata closest to those of all
    candidates (squared distance). A shuffle decides ties. So a smaller budget is part of a larger one with the same
    shuffle.

    Args:
        patients: Patient of each labeled frame `(n,)`.
        strata: Stratum of each frame `(n,)`.
        among: The candidates.
        budget: Number of patients; of fewer candidates, all.
        rng: Shuffles the candidates.

    Returns:
        The chosen patients, in the order of choice.
    """
    names = rng.permutation(np.array(sorted(among), object))
    order = {name: patient_index for patient_index, name in enumerate(names.tolist())}
    kept = np.isin(patients, names)
    shares = np.zeros((len(names), int(strata.max()) + 1))
    patient_index = np.array([order[name] for name in patients[kept].tolist()], np.intp)
    np.add.at(shares, (patient_index, strata[kept]), 1)
    shares /= shares.sum(1, keepdims=True)  # a patient with many frames counts as one patient
    aim = shares.mean(0)
    total = np.zeros_like(aim)
    free = np.ones(len(names), bool)
    chosen: list[str] = []
    for count in range(1, min(budget, len(names)) + 1):
        distance = np.square((total + shares) / count - aim).sum(1)
        distance[~free] = np.inf
        best = int(np.argmin(np.round(distance, 12)))
        free[best] = False
        total += shares[best]
        chosen.append(str(names[best]))
    return chosen


MAX_SHUFFLES = 200
"""Maximum number of shuffles until every view is present in every part."""


def assign_patients(stores: Frames, labels: Mapping[str, str], settings: SplitSettings) -> dict[str, str]:
    """Return train, validation, test or pool for each labeled patient of the source hospitals."""
    frames = stores.frames
    mask = pc.and_(
        pc.is_in(frames["site"], pa.array(settings.source, pa.string())),
        pc.is_in(frames["mode"], pa.array(settings.modes, pa.string())),
    )
    source_rows = frames.filter(mask).select(["frame", "patient", "site"]).to_pylist()
    scored = [(row["patient"], row["site"], labels[row["frame"]]) for row in source_rows if row["frame"] in labels]
    scored = [row for row in scored if row[2] in settings.classes]
    patients = np.array([row[0] for row in scored], object)
    # Stratify by view and hospital, so that each hospital's mix is kept in every part.
    strata = np.unique([f"{row[1]}\x1f{row[2]}" for row in scored], return_inverse=True)[1] if scored else None
    need = settings.folds or (3 if settings.test else 2)
    if strata is None or len(np.unique(patients)) < need:
        what = f"{len(np.unique(patients))} labeled patients with a scored view at {', '.join(settings.source)}"
        raise SplitError(what, remedy=f"At least {need} are needed; import more labels")
    views = np.array([row[2] for row in scored], object)
    for view in settings.classes:
        if (owners := len(np.unique(patients[views == view]))) < need:
            what = f"{view} is labeled in {owners} patients of {', '.join(settings.source)}"
            raise SplitError(what, remedy=f"At least {need} are needed, one for each part; label more of that view")
    sample = _LabeledFrames(patients, strata, views)
    test = None if settings.folds is None else _test_fold(sample, settings)
    first_lack = ""
    for attempt in range(MAX_SHUFFLES):
        parts = _draw_assignment(sample, settings, test, utils.random_stream(settings.seed, "split", attempt))
        missing = sample.missing(parts, settings)
        if not missing:
            return parts
        first_lack = first_lack or missing
    raise _assignment_error(first_lack, settings)


def adaptation_patients(
    stores: Frames, labels: Mapping[str, str], settings: SplitSettings, held_out: Sequence[str]
) -> set[str]:
    """Choose the labeled patients of the held-out hospitals that are set aside for adaptation, stratified by view.

    Args:
        stores: All hospitals' frames.
        labels: View name by frame identifier.
        settings: How to split; a share of 0 sets nobody aside.
        held_out: The held-out hospitals.

    Raises:
        SplitError: a hospital has fewer than two labeled patients, so none can be set aside.
    """
    chosen: set[str] = set()
    if not settings.adaptation:
        return chosen
    frames = stores.frames
    usable = frames.filter(pc.is_in(frames["mode"], pa.array(settings.modes, pa.string())))
    for site in held_out:
        rows = usable.filter(pc.equal(usable["site"], site)).select(["frame", "patient"]).to_pylist()
        labeled = [row for row in rows if labels.get(row["frame"]) in settings.classes]
        patients = np.array([row["patient"] for row in labeled], object)
        if len(np.unique(patients)) < 2:
            what = (
                f"hospital {site!r} has {len(np.unique(patients))} labeled patients, so none can be set aside to adapt"
            )
            raise SplitError(
                what, remedy="Import more labels, leave the hospital out with --held-out, or --adaptation 0"
            )
        strata = np.unique([labels[row["frame"]] for row in labeled], return_inverse=True)[1]
        rng = utils.random_stream(settings.seed, "adaptation", site)
        chosen |= set(sample_patients(patients, strata, settings.adaptation, rng))
    return chosen


@dataclass(frozen=True)
class _LabeledFrames:
    """The labeled frames of the source: patient, stratum and view of each."""

    patients: npt.NDArray[np.object_]
    strata: npt.NDArray[np.intp]
    views: npt.NDArray[np.object_]

    def missing(self, parts: Mapping[str, str], settings: SplitSettings) -> str:
        """Return what some part lacks, or an empty text."""
        where = np.array([parts[patient] for patient in self.patients], object)
        names = (
            (SplitRole.TRAIN, SplitRole.VALIDATION, SplitRole.TEST)
            if settings.test
            else (SplitRole.TRAIN, SplitRole.VALIDATION)
        )
        for name in names:
            present = set(self.views[where == name])
            if lacking := [view for view in settings.classes if view not in present]:
                return f"{name} lacks {', '.join(lacking)}"
        return ""


def _assignment_error(lack: str, settings: SplitSettings) -> SplitError:
    what = f"no assignment gives every part every view; for example {lack}"
    remedy = "Label more patients with that view, lower --test or --folds, or raise --label-budget"
    return SplitError(what, where=", ".join(settings.source), remedy=remedy)


def _test_fold(sample: _LabeledFrames, settings: SplitSettings) -> list[str]:
    """Return the test patients of fold `settings.fold`; the folds do not depend on the requested fold."""
    assert settings.folds is not None
    lack = ""
    for attempt in range(MAX_SHUFFLES):
        rng = utils.random_stream(settings.seed, "folds", attempt)
        fold_members = fold_patients(sample.patients, sample.strata, settings.folds, rng)
        missing = ""
        for fold, members in enumerate(fold_members):
            present = set(sample.views[np.isin(sample.patients, members)])
            missing = missing or ", ".join(f"fold {fold} lacks {v}" for v in settings.classes if v not in present)
        if not missing:
            return fold_members[settings.fold]
        lack = lack or missing
    raise _assignment_error(lack, settings)


def _draw_assignment(
    sample: _LabeledFrames, settings: SplitSettings, test: list[str] | None, rng: np.random.Generator
) -> dict[str, str]:
    """Return the part of each patient; `test` holds the test patients if folds are used."""
    patients, strata = sample.patients, sample.strata
    parts: dict[str, str] = dict.fromkeys(np.unique(patients), SplitRole.TRAIN)
    rest = np.ones(len(patients), bool)
    share = 1.0
    for name, fraction in ((SplitRole.TEST, settings.test), (SplitRole.VALIDATION, settings.validation)):
        if fraction == 0:
            continue
        fixed = test if name == SplitRole.TEST else None
        chosen = sample_patients(patients[rest], strata[rest], fraction / share, rng) if fixed is None else fixed
        parts.update(dict.fromkeys(chosen, name))
        rest &= ~np.isin(patients, chosen)
        share -= fraction
    training = [patient for patient, part in parts.items() if part == SplitRole.TRAIN]
    if settings.label_budget is not None and len(training) > settings.label_budget:
        kept = budget_patients(patients, strata, training, settings.label_budget, rng)
        parts.update({patient: "pool" for patient in training if patient not in set(kept)})
    return parts
