"""Real ultrasound of several sites: lung clips of the POCOVID-Net collection, as a store and a split.

The folder holds `clips.csv` (file, label, site, patient, probe, kind) and the files that it names. The task is
pneumonia against normal: labels of one site train, another site tests, and every other clip (COVID-19, viral
pneumonia, linear probes, further sites) is the uncurated pool. It is not echocardiography and no clinical claim.

Source of the clips: Born et al., POCOVID-Net, 2020; each file has the licence that `clips.csv` names.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from heart2heart import utils
from heart2heart.datasets.file_readers import READERS, read_csv
from heart2heart.datasets.prepare import resample_to_square
from heart2heart.schema.enums import ClipMode, SplitRole
from heart2heart.schema.split import SPLIT_MEMBERS
from heart2heart.splits.certify import certify, used_members
from heart2heart.splits.copy_check import search_copies
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.store.near_duplicates import find_near_duplicates
from heart2heart.store.quality import difference_hash, frame_quality
from heart2heart.store.sector import bounding_box, sector_mask

CLASSES = ("normal", "pneumonia")
DIRECTIONS = {"northumbria-avi": ("northumbria", "avi"), "avi-northumbria": ("avi", "northumbria")}
"""Task -> site that trains, and site that tests."""

FOLDS = {"northumbria": 7, "avi": 6}
"""Site -> folds of its patients; at northumbria each of its seven patient groups is a fold."""

VALIDATION_SHARE = 0.15
"""Share of each class's clips that validates at least, where the patients allow it."""
TRAINING_SHARE = 0.6
"""Share of each class's clips that is left for training at least."""

_STRENGTH = {SplitRole.UNLABELED: 1, SplitRole.TRAIN: 2, SplitRole.VALIDATION: 3, SplitRole.TEST: 4}
_COLUMNS = ("file", "label", "site", "patient", "probe", "kind")
_REMEDY = "Name the folder that holds clips.csv and the files that it lists"


def build_lung_store(folder: Path, root: Path, *, size: int, frames: str = "even:12") -> FrameStore:
    """Read every clip, cut it to its sector, and fill the store, or find it filled.

    Args:
        folder: Holds `clips.csv` and the files.
        root: The store; its geometry is `centred`.
        size: Side of the frames, pixels.
        frames: Frames to keep of a clip.

    Raises:
        MissingInputError: no `clips.csv` there.
        LabelError: it cannot be read.
        DicomError: a file cannot be decoded.
    """
    store = FrameStore.create(root, Geometry("centred", size))
    present = set(store.all_clips["clip"].to_pylist())
    rule = FrameRule.parse(frames)
    with store.writer() as writer:
        for row in _clip_rows(folder):
            clip = _clip_name(row["file"])
            if clip in present:
                continue
            pixels, source_shape = _read_frames(folder / row["file"], rule, store.geometry)
            inside = pixels.max(axis=0) > 0
            quality, hashes = frame_quality(pixels, inside), difference_hash(pixels)
            patient = f"{row['site']}-{row['patient']}"
            content = hashlib.sha256((folder / row["file"]).read_bytes()).hexdigest()
            writer.add(
                {
                    "clip": clip, "site": row["site"], "patient": patient, "study": patient, "content": content,
                    "source": "lung_ultrasound", "synthetic": False, "mode": ClipMode.B_MODE, "rows": source_shape[1],
                    "columns": source_shape[2], "n_source": source_shape[0], "quality": float(quality.mean()),
                    "flags": [],
                },
                pixels,
                [
                    {"index": index, "time_ms": None, "quality": float(score), "dhash": int(code)}
                    for index, (score, code) in enumerate(zip(quality, hashes, strict=True))
                ],
            )  # fmt: skip
    return FrameStore.open(root)


def build_lung_split(folder: Path, store: FrameStore, task: str, seed: int, path: Path) -> SplitManifest:
    """Freeze and certify the split of one task and seed, or find it frozen.

    Args:
        folder: Holds `clips.csv`.
        store: The store of `build_lung_store`.
        task: A name of `DIRECTIONS`, where the other site tests; or one of `fold_tasks`, where patients of the site
            test that trains, and every other site is pool.
        seed: Draws the patients that validate, and the folds.
        path: Folder of the split.
    """
    stores = FrameStores.open([store.root])
    if (path / "split.json").exists():
        split = SplitManifest.load(path)
    else:
        rows = {_clip_name(row["file"]): row for row in _clip_rows(folder)}
        source, target, fold = _parse_task(task)
        labels = {clip: (row["patient"], row["label"]) for clip, row in rows.items() if row["site"] == source}
        tested = patient_folds(labels, FOLDS[source], seed)[fold] if fold is not None else frozenset()
        validation = draw_validation_patients(
            {clip: label for clip, label in labels.items() if label[0] not in tested}, seed
        )
        settings = {"task": task, "seed": seed, "validation": sorted(validation)}
        split = SplitManifest.freeze(
            path,
            name=f"lung ultrasound, {task}",
            classes=CLASSES,
            seed=seed,
            source_sites=[source],
            held_out_sites=[] if target is None else [target],
            settings=settings | ({"tested": sorted(tested)} if tested else {}),
            members=_drop_repeated_clips(_members(store, rows, source, target, validation, tested), store),
            stores=stores,
        )
    if not (path / "certificate.json").exists():
        certify(split, stores)
    split.require_certified()
    return split


def frame_labels(folder: Path, store: FrameStore) -> list[str]:
    """Return the label of every frame of the store, by its row; labels outside the classes are findings of the pool."""
    labels = {_clip_name(row["file"]): row["label"] for row in _clip_rows(folder)}
    frames = store.frames.sort_by("row")
    return [labels[clip] for clip in frames["clip"].to_pylist()]


def fold_tasks(site: str) -> list[str]:
    """Return the tasks within one site: its patients are tested in turn, with the labels of its other patients.

    Examples:
        >>> fold_tasks("northumbria")[0]
        'northumbria, fold 0'
    """
    return [f"{site}, fold {fold}" for fold in range(FOLDS[site])]


def patient_folds(clips: Mapping[str, tuple[str, str]], folds: int, seed: int) -> list[frozenset[str]]:
    """Divide patients into folds with classes as even as whole patients allow; each patient is in one fold.

    Args:
        clips: Patient and label by clip; labels outside the classes do not count.
        folds: Number of folds. As many as there are patients leave out one patient at a time.
        seed: Draws the order.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    chosen = [clips[clip] for clip in sorted(clips) if clips[clip][1] in CLASSES]
    patients = sorted({patient for patient, _ in chosen})
    if folds >= len(patients):
        return [frozenset([patient]) for patient in patients]
    groups = [patient for patient, _ in chosen]
    division = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = division.split(groups, [label for _, label in chosen], groups)
    return [frozenset(groups[index] for index in tested) for _, tested in parts]


def draw_validation_patients(clips: Mapping[str, tuple[str, str]], seed: int) -> frozenset[str]:
    """Draw the patients that validate.

    In a drawn order, a patient is taken who adds to a class below `VALIDATION_SHARE` and leaves `TRAINING_SHARE` of
    every class. Patients with both classes come first: some sites have few of them.

    Args:
        clips: Patient and label by clip, of the site that trains; labels outside the classes do not count.
        seed: Draws the order.
    """
    totals = Counter(label for _, label in clips.values() if label in CLASSES)
    by_patient: dict[str, Counter[str]] = {}
    for patient, label in clips.values():
        if label in CLASSES:
            by_patient.setdefault(patient, Counter())[label] += 1
    chosen: set[str] = set()
    validating: Counter[str] = Counter()
    drawn = utils.random_stream(seed, "lung validation").permutation(sorted(by_patient))
    for patient in sorted(drawn.tolist(), key=lambda patient: -len(by_patient[patient])):
        counts = by_patient[patient]
        helps = any(validating[label] < VALIDATION_SHARE * totals[label] for label in counts)
        leaves = all(
            totals[label] - validating[label] - count >= TRAINING_SHARE * totals[label]
            for label, count in counts.items()
        )
        if helps and leaves:
            chosen.add(patient)
            validating += counts
    return frozenset(chosen)


def _parse_task(task: str) -> tuple[str, str | None, int | None]:
    """Return the site that trains, and the site or the fold that tests."""
    if task in DIRECTIONS:
        return (*DIRECTIONS[task], None)
    site, _, fold = task.partition(", fold ")
    return site, None, int(fold)


def _members(
    store: FrameStore,
    rows: Mapping[str, Mapping[str, str]],
    source: str,
    target: str | None,
    validation: frozenset[str],
    tested: frozenset[str],
) -> pa.Table:
    """Return the members; the whole target tests, or the tested patients of the source do."""
    clips = {row["clip"]: row for row in store.clips.select(["clip", "patient", "study", "site"]).to_pylist()}
    members: list[dict[str, Any]] = []
    for frame in store.frames.select(["clip", "frame"]).to_pylist():
        row = rows[frame["clip"]]
        scored = row["label"] in CLASSES
        if row["site"] == target or (row["site"] == source and row["patient"] in tested):
            role = SplitRole.TEST if scored else SplitRole.EXCLUDED
        elif row["site"] == source and row["patient"] in validation:
            role = SplitRole.VALIDATION if scored else SplitRole.EXCLUDED
        else:
            role = SplitRole.TRAIN if row["site"] == source and scored else SplitRole.UNLABELED
        labeled = role in (SplitRole.TRAIN, SplitRole.VALIDATION, SplitRole.TEST)
        members.append(clips[frame["clip"]] | frame | {"role": role, "view": row["label"] if labeled else None})
    return pa.Table.from_pylist(members, schema=SPLIT_MEMBERS)


def _drop_repeated_clips(members: pa.Table, store: FrameStore) -> pa.Table:
    """Leave out clips that show a picture of a clip with a stronger role: test, then validation, then training."""
    frames = store.frames
    position = {frame: index for index, frame in enumerate(frames["frame"].to_pylist())}
    chosen = np.array([position[frame] for frame in members["frame"].to_pylist()])
    roles = members["role"].to_pylist()
    strength = np.array([_STRENGTH.get(role, 0) for role in roles])
    kept = np.flatnonzero(strength > 0)
    pairs, _ = find_near_duplicates(
        frames["dhash"].to_numpy().astype(np.uint64)[chosen[kept]],
        strength[kept],
        frames["row"].to_numpy().astype(np.int64)[chosen[kept]],
        FrameStores.open([store.root]),
    )
    clips = members["clip"].to_pylist()
    repeated = {clips[min(kept[pair], key=lambda index: strength[index])] for pair in pairs}
    copies = search_copies(used_members(members), FrameStores.open([store.root]))
    first = {frame: index for index, frame in enumerate(members["frame"].to_pylist())}
    for pair in copies.pairs if copies is not None else ():
        repeated.add(clips[min((first[frame] for frame in pair), key=lambda index: strength[index])])
    return members.filter(pa.array([clip not in repeated for clip in clips], pa.bool_()))


def _clip_rows(folder: Path) -> list[dict[str, str]]:
    table = read_csv(folder / "clips.csv", _COLUMNS, remedy=_REMEDY)
    return [dict(zip(_COLUMNS, row, strict=True)) for row in zip(*(table[name] for name in _COLUMNS), strict=True)]


def _clip_name(file: str) -> str:
    return hashlib.sha256(f"lung_ultrasound\x1f{file}".encode()).hexdigest()[:24]


def _read_frames(path: Path, rule: FrameRule, geometry: Geometry) -> tuple[npt.NDArray[np.uint8], tuple[int, int, int]]:
    """Return the kept frames, cut to the sector and resampled, and the shape of the whole clip."""
    pictures = READERS["png" if path.suffix.casefold() == ".png" else "video"](path).pixels
    kept = pictures[rule.choose(len(pictures), [])]
    mask = sector_mask(kept)
    if mask is not None:
        left, top, right, bottom = bounding_box(mask)
        kept = np.where(mask, kept, np.uint8(0))[:, top:bottom, left:right]
    return resample_to_square(np.ascontiguousarray(kept), geometry), (len(pictures), *pictures.shape[1:])
