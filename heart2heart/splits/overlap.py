"""Finds what validated frames share with the training of a model: patients, studies, clips and pictures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import SplitError
from heart2heart.schema.enums import SplitRole
from heart2heart.schema.validation import TrainingData
from heart2heart.splits.copy_check import CopySearch, search_copies
from heart2heart.splits.current_names import current_names
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStores
from heart2heart.store.near_duplicates import find_near_duplicates
from heart2heart.store.patient_links import LinkCodes, Patient

TRAINED_ROLES = (SplitRole.TRAIN, SplitRole.UNLABELED, SplitRole.VALIDATION)
"""Roles whose frames trained the model or chose its weights."""

MAX_PICTURES = 1000
"""Number of equal pictures after which the comparison stops."""


@dataclass(frozen=True)
class TrainingReference:
    """What is known of the training of a model.

    Attributes:
        split: Its training split; None: not at hand.
        stores: The stores of that split; None: not at hand.
        stated: The user named the split; the model does not record which one it is.
        adaptation_patients: Pseudonyms of the patients who adapted it; None: unknown.
        adaptation_hashes: Pixel hashes of the clips that adapted it.
        adaptation_note: What is known of an adaptation whose patients are unknown.
    """

    split: SplitManifest | None = None
    stores: FrameStores | None = None
    stated: bool = False
    adaptation_patients: tuple[str, ...] | None = ()
    adaptation_hashes: tuple[str, ...] = ()
    adaptation_note: str = "not compared: whether the model was adapted to patients is unknown"

    @property
    def trained(self) -> pa.Table | None:
        """Members of the split that trained the model or chose its weights."""
        if self.split is None:
            return None
        return self.split.members.filter(pc.is_in(self.split.members["role"], pa.array(TRAINED_ROLES)))

    @property
    def training_data(self) -> TrainingData:
        """What of the training data is at hand, apart from the validated frames."""
        if self.split is None:
            return TrainingData.NOT_SEEN
        return TrainingData.NAMES_COMPARED if self.stores is None else TrainingData.COMPARED


@dataclass(frozen=True)
class Overlap:
    """What the validated rows share with the training.

    Attributes:
        patients: Patients who trained the model.
        clips: Studies, clips, series and instances that trained it.
        pictures: Pairs of frames, validated and of the training, that show the same picture.
        adaptation: Patients and pixel hashes that adapted it.
        owners: Validated patients of all of these, as the rows name them.
        copies: What the search for processed copies found; None: not searched.
        linked: Pairs of patients, validated and of the training, who are one person by link codes.
        not_linked: Why patients were not compared by link codes; empty: they were.
    """

    patients: tuple[str, ...]
    clips: tuple[str, ...]
    pictures: tuple[tuple[str, str], ...]
    adaptation: tuple[str, ...]
    owners: frozenset[str]
    copies: CopySearch | None = None
    linked: tuple[tuple[Patient, Patient], ...] = ()
    not_linked: str = ""


def find_overlap(rows: pa.Table, stores: FrameStores | None, reference: TrainingReference) -> Overlap:
    """Compare the validated rows with the training, by the names that the stores use now.

    Args:
        rows: Columns frame, clip, site, patient, study; null where unknown.
        stores: The stores with the frames of the rows; None: predictions without pictures.
        reference: What is known of the training.
    """
    given_patients = rows["patient"]
    rows = current_names(rows, stores)
    trained = None if reference.trained is None else current_names(reference.trained, reference.stores)
    patients: set[str] = set()
    clips: set[str] = set()
    owners: set[str] = set()
    pictures: list[tuple[str, str]] = []
    copies: CopySearch | None = None
    linked: list[tuple[Patient, Patient]] = []
    not_linked = ""
    if trained is not None:
        patients = _shared(rows["patient"], trained["patient"])
        owners |= patients
        for column in ("study", "clip"):
            shared = _shared(rows[column], trained[column])
            clips |= shared
            owners |= _owners(rows, column, shared)
        if stores is not None and reference.stores is not None:
            validated, training = _clip_rows(rows, stores), _clip_rows(trained, reference.stores)
            for column in ("series", "instance"):
                shared = _shared(validated[column], training[column])
                clips |= shared
                owners |= _owners(validated, column, shared)
            hashes = _shared(validated["pixel_hash"], training["pixel_hash"])
            owners |= _owners(validated, "pixel_hash", hashes)
            pictures = _same_pictures(rows, stores, trained, reference.stores)
            owners |= _owners(rows, "frame", {left for left, _ in pictures})
            copies = _copies(rows, stores, trained, reference.stores)
            owners |= _owners(rows, "frame", {frame for pair in (copies.pairs if copies else ()) for frame in pair})
        linked, not_linked = _linked(rows, stores, trained, reference.stores)
        owners |= {patient for (_, patient), _ in linked}
    # A model records the names of its adaptation, which may be older than those of the stores.
    names = {*rows["patient"].to_pylist(), *given_patients.to_pylist()}
    adaptation = names & set(reference.adaptation_patients or ())
    owners |= adaptation
    if stores is not None and reference.adaptation_hashes:
        validated = _clip_rows(rows, stores)
        hashes = set(validated["pixel_hash"].to_pylist()) & set(reference.adaptation_hashes)
        adaptation |= {digest[:16] for digest in hashes}
        owners |= _owners(validated, "pixel_hash", hashes)
    owned = [pc.is_in(column, pa.array(list(owners), pa.string())) for column in (rows["patient"], given_patients)]
    validated_owners = given_patients.filter(pc.or_(*owned))
    return Overlap(
        tuple(sorted(patients)),
        tuple(sorted(clips)),
        tuple(pictures),
        tuple(sorted(adaptation)),
        frozenset(validated_owners.to_pylist()),
        copies,
        tuple(linked),
        not_linked,
    )


def _shared(left: pa.ChunkedArray, right: pa.ChunkedArray) -> set[str]:
    return (set(left.to_pylist()) & set(right.to_pylist())) - {None}


def _owners(rows: pa.Table, column: str, values: Collection[str]) -> set[str]:
    """Return the patients of the rows with one of these values."""
    return set(rows.filter(pc.is_in(rows[column], pa.array(sorted(values), pa.string())))["patient"].to_pylist())


def _clip_rows(rows: pa.Table, stores: FrameStores) -> pa.Table:
    return stores.clips.filter(pc.is_in(stores.clips["clip"], pc.unique(rows["clip"])))


def _copies(rows: pa.Table, stores: FrameStores, trained: pa.Table, training_stores: FrameStores) -> CopySearch | None:
    """Search the validated frames for processed copies of the training's."""
    names = ["frame", "clip", "patient"]
    parts = []
    for table, group, roles in (
        (rows, "validated", pa.repeat(SplitRole.TEST.value, len(rows))),
        (trained, "training", trained["role"]),
    ):
        part = pa.table({name: table[name].cast(pa.string()) for name in names})
        groups = pa.repeat(group, len(table))
        parts.append(part.append_column("group", groups).append_column("role", roles.cast(pa.string())))
    return search_copies(pa.concat_tables(parts), _both(stores, training_stores))


def _linked(
    rows: pa.Table, stores: FrameStores | None, trained: pa.Table, training_stores: FrameStores | None
) -> tuple[list[tuple[Patient, Patient]], str]:
    """Return pairs of patients who are one person, and why patients cannot be compared."""
    links = LinkCodes.of(stores, training_stores)
    validated, training = (
        set(zip(*(table[name].to_pylist() for name in ("site", "patient")), strict=True)) for table in (rows, trained)
    )
    return links.shared(validated, training), links.not_comparable(validated | training)


def _both(stores: FrameStores, training_stores: FrameStores) -> FrameStores:
    roots = {store.root.resolve(): store for store in (*stores.stores, *training_stores.stores)}
    return FrameStores(list(roots.values()))


def _same_pictures(
    rows: pa.Table, stores: FrameStores, trained: pa.Table, training_stores: FrameStores
) -> list[tuple[str, str]]:
    """Return the pairs of frames, validated and of the training, that show the same picture."""
    both = _both(stores, training_stores)
    names = [*rows["frame"].to_pylist(), *trained["frame"].to_pylist()]
    position = pc.index_in(pa.array(names, pa.string()), both.frames["frame"])
    if position.null_count:
        what = f"{position.null_count} frames of the training split are not in its stores"
        raise SplitError(what, remedy="Name every store of the split with --train-store")
    frames = both.frames.take(position)
    pairs, _ = find_near_duplicates(
        frames["dhash"].to_numpy().astype(np.uint64),
        np.repeat(np.array([0, 1], np.int64), [len(rows), len(trained)]),
        frames["row"].to_numpy().astype(np.int64),
        both,
        max_pairs=MAX_PICTURES,
    )
    return [(names[left], names[right]) for left, right in pairs.tolist()]
