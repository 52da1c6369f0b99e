"""Unlabeled frames of patients who are never scored: of held-out hospitals for the pool, and of one to adapt a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import LeakageError, RunError, SplitError
from heart2heart.schema.adaptation import AdaptationSettings
from heart2heart.schema.enums import ClipMode, SplitRole
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.utils import random_stream


def transductive_rows(split: SplitManifest, frames: Frames, sites: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return the rows of held-out hospitals' patients who are never scored, int64, sorted.

    Args:
        split: The split.
        frames: The stores.
        sites: Held-out hospitals.

    Raises:
        RunError: a hospital is not held out, or the split scores each of its patients.
    """
    members = split.members
    scored = members.filter(pc.is_in(members["role"], pa.array([SplitRole.VALIDATION, SplitRole.TEST])))["patient"]
    chosen = []
    for site in sites:
        if site not in split.held_out_sites:
            remedy = f"Held out are: {', '.join(split.held_out_sites) or 'none'}"
            raise RunError(f"hospital {site!r} is not held out", where="pool.transductive", remedy=remedy)
        of_site = members.filter(pc.equal(members["site"], site))
        free = of_site.filter(pc.invert(pc.is_in(of_site["patient"], pc.unique(scored))))
        if not len(free):
            what = f"the split scores every patient of {site}, so it has no frame for the pool"
            raise RunError(what, where=split.path, remedy="Propose a split with --adaptation 0.3")
        index = pc.index_in(free["frame"], frames.frames["frame"])
        chosen.append(frames.frames["row"].take(index).to_numpy().astype(np.int64))
    return np.unique(np.concatenate(chosen))


SCORED_ROLES = (SplitRole.VALIDATION, SplitRole.TEST)

CHOSEN_BY_SPLIT = "split"
CHOSEN_BY_SEED = "seed"


@dataclass(frozen=True)
class AdaptationPatients:
    """The patients of one hospital.

    Attributes:
        names: Pseudonyms of those who adapt, sorted.
        reserved: Pseudonyms of those left to be scored, where the split does not know the hospital.
        chosen_by: `split` or `seed`.
    """

    names: tuple[str, ...]
    reserved: tuple[str, ...]
    chosen_by: str


@dataclass(frozen=True)
class AdaptationFrames:
    """The frames that adapt a run, in the order in which they are read.

    Attributes:
        site: The hospital.
        store: The store that holds them.
        table: Their rows of the store's table of frames.
        patients: Who they are of.
    """

    site: str
    store: Frames
    table: pa.Table
    patients: AdaptationPatients

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Return the rows for `Frames.read`, int64 `(n,)`."""
        rows: npt.NDArray[np.int64] = self.table["row"].to_numpy().astype(np.int64)
        return rows

    @property
    def owners(self) -> list[str]:
        """Return the patient of each frame."""
        owners: list[str] = self.table["patient"].to_pylist()
        return owners

    def patient_weights(self) -> npt.NDArray[np.float64]:
        """Return a weight for each frame, so that every patient counts once, float64 `(n,)` that sums to 1."""
        _, owner, counts = np.unique(np.array(self.owners, object), return_inverse=True, return_counts=True)
        return np.asarray(1 / counts[owner] / len(counts), np.float64)

    def pixel_hashes(self) -> tuple[str, ...]:
        """Return the pixel hashes of their clips, sorted."""
        clips = self.store.clips
        used = clips.filter(pc.is_in(clips["clip"], pc.unique(self.table["clip"])))
        return tuple(sorted(set(used["pixel_hash"].to_pylist())))


def choose_site(store: Frames, site: str | None) -> str:
    """Return the hospital to adapt to: the named one, or the store's only one.

    Raises:
        RunError: the store holds no such hospital, or several of which none is named.
    """
    sites = sorted(set(store.clips["site"].to_pylist()))
    known = f"There are: {', '.join(sites)}"
    if site is None and len(sites) == 1:
        return str(sites[0])
    if site is None:
        raise RunError(f"the store holds {len(sites)} hospitals", remedy=f"Name one with --site. {known}")
    if site not in sites:
        raise RunError(f"no clip of hospital {site!r} in the store", remedy=known)
    return site


def choose_patients(
    split: SplitManifest, store: Frames, site: str, settings: AdaptationSettings, named: Sequence[str] = ()
) -> AdaptationPatients:
    """Choose the patients who may adapt a run at a hospital.

    A patient of whom the run's split scores a frame (validation or test) is never chosen. Where the split does not know
    the hospital, the patients are divided with the seed, and the others are reserved to be scored.

    Args:
        split: The run's split.
        store: The store with the hospital's frames.
        site: The hospital.
        settings: `share` and `seed` divide the patients of an unknown hospital.
        named: Patients to take, and no others; empty takes all who may adapt.

    Raises:
        LeakageError: a named patient is scored.
        RunError: a named patient is unknown, or nobody may adapt.
    """
    clips = store.clips
    present = sorted(set(clips.filter(pc.equal(clips["site"], site))["patient"].to_pylist()))
    members = split.members
    scored = set(members.filter(pc.is_in(members["role"], pa.array(SCORED_ROLES)))["patient"].to_pylist())
    if unknown := sorted(set(named) - set(present)):
        raise RunError(f"{len(unknown)} named patients have no clip at {site}", where=unknown[0])
    if overlap := sorted(set(named) & scored):
        remedy = "Name patients whose frames the split leaves out, or propose a split with --adaptation"
        raise LeakageError(
            f"{len(overlap)} named patients are scored by the run's split", where=overlap[0], remedy=remedy
        )
    if pc.any(pc.equal(members["site"], site)).as_py():
        free = [patient for patient in named or present if patient not in scored]
        if not free:
            what = f"the run's split scores every patient of {site}, so nobody is left to adapt to"
            remedy = "Propose a split with --adaptation 0.3 and train with it, or ingest further patients"
            raise RunError(what, where=split.path, remedy=remedy)
        return AdaptationPatients(tuple(sorted(free)), (), CHOSEN_BY_SPLIT)
    if named:
        return AdaptationPatients(tuple(sorted(named)), tuple(sorted(set(present) - set(named))), CHOSEN_BY_SEED)
    order = random_stream(settings.seed, "adaptation patients", site).permutation(np.array(present, object)).tolist()
    count = min(max(2, round(settings.share * len(order))), len(order))
    return AdaptationPatients(tuple(sorted(order[:count])), tuple(sorted(order[count:])), CHOSEN_BY_SEED)


def select_frames(
    store: Frames, site: str, patients: AdaptationPatients, settings: AdaptationSettings, modes: Collection[str]
) -> AdaptationFrames:
    """Select the frames of the chosen patients, at most `frames_per_patient` of each, in a seeded order.

    Args:
        store: The store with the hospital's frames.
        site: The hospital.
        patients: Who may adapt.
        settings: Number of frames and seed.
        modes: Modes that the run's pool takes.

    Raises:
        RunError: no gray two-dimensional frame, or frames of one patient only.
    """
    frames = store.frames
    of_patients = frames.filter(
        pc.and_(pc.equal(frames["site"], site), pc.is_in(frames["patient"], pa.array(patients.names, pa.string())))
    )
    usable = of_patients.filter(pc.is_in(of_patients["mode"], pa.array(sorted(modes), pa.string())))
    if not pc.any(pc.equal(usable["mode"], ClipMode.B_MODE)).as_py():
        present = ", ".join(sorted(set(of_patients["mode"].to_pylist()))) or "none"
        what = f"the {len(patients.names)} patients of {site} who may adapt have no gray two-dimensional frame"
        raise RunError(f"{what} (their modes: {present})", remedy="Ingest B-mode clips of further patients")
    owners = np.array(usable["patient"].to_pylist(), object)
    if len(np.unique(owners)) < 2:
        what = f"only one patient of {site} may adapt the run: statistics of one heart are no hospital's"
        raise RunError(what, remedy="Ingest further patients, or propose a split with a larger --adaptation share")
    rng = random_stream(settings.seed, "adaptation frames", site)
    kept = [
        rng.permutation(np.flatnonzero(owners == patient))[: settings.frames_per_patient]
        for patient in np.unique(owners)
    ]
    table = usable.take(pa.array(rng.permutation(np.concatenate(kept))))
    return AdaptationFrames(site, store, table, patients)


def check_not_scored(
    patients: Collection[str], pixel_hashes: Collection[str], split: SplitManifest, store: Frames
) -> None:
    """Refuse to score a run on patients who adapted it.

    Args:
        patients: Pseudonyms of those who adapted it.
        pixel_hashes: Pixel hashes of their clips.
        split: The split whose validation and test frames are scored.
        store: The stores of the split.

    Raises:
        LeakageError: a scored patient adapted the run, under this or another pseudonym.
    """
    members = split.members.filter(pc.is_in(split.members["role"], pa.array(SCORED_ROLES)))
    overlap = sorted(set(members["patient"].to_pylist()) & set(patients))
    remedy = "Adapt the source run again with patients whom this split does not score"
    if overlap:
        what = f"{len(overlap)} patients who adapted this run are scored by the split"
        raise LeakageError(what, where=overlap[0], remedy=remedy)
    clips = store.clips.filter(pc.is_in(store.clips["clip"], pc.unique(members["clip"])))
    if shared := set(clips["pixel_hash"].to_pylist()) & set(pixel_hashes):
        what = f"{len(shared)} clips that adapted this run are scored by the split, under another pseudonym"
        raise LeakageError(what, where=min(shared)[:16], remedy=remedy)


def require_run_split(split: SplitManifest, sha256: str) -> None:
    """Refuse a split that is not the run's own.

    Raises:
        SplitError: it is another one.
    """
    if split.sha256 != sha256:
        remedy = "Name the split that the run was trained with: --split"
        raise SplitError("this is not the split that the run was trained with", where=split.path, remedy=remedy)


def batch_slices(frames: int, size: int) -> Iterator[slice]:
    """Yield the slices of batches of `size` frames; the last one may be smaller."""
    for start in range(0, frames, size):
        yield slice(start, min(start + size, frames))
