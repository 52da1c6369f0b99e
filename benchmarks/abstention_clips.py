"""Features of clips for `benchmarks.abstention`: those of hospitals that a run never saw, and foreign ones."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.foreign_clips import SIMULATED, photographs, real_clips, simulate_foreign
from heart2heart.api.scope_clips import FRAMES_PER_CLIP, source_clips
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.labels.consensus import frame_labels
from heart2heart.labels.label_store import LabelStore
from heart2heart.schema.scope import REFUSED_FLAGS, answered_classes
from heart2heart.scope.scope_model import ClipFeatures
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.training.features import FeatureExtractor
from heart2heart.training.run import Run
from heart2heart.utils import random_stream

EACH = 32
"""Simulated foreign clips of a kind, and photographs."""
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Samples:
    """Clips of all groups.

    Attributes:
        kind: `in scope`, or the kind of foreign clip.
        site: Hospital; empty: none.
        refused: Whether mode or flags refuse the clip before any score.
        clips: What the model makes of them; zeros where refused without frames.
    """

    kind: Texts
    site: Texts
    refused: npt.NDArray[np.bool_]
    clips: ClipFeatures


Collected = tuple[ClipFeatures, ClipFeatures, ClipFeatures, Samples]


@dataclass(frozen=True)
class ForeignOrKnown:
    """One clip to answer or not.

    Attributes:
        kind: `in scope`, or the kind of foreign clip.
        site: Hospital; empty: none.
        patient: Number of the patient; every clip without a hospital is its own.
        target: Class; -1: foreign.
        refused: Whether mode or flags refuse it before any score.
        pixels: uint8 `(n, size, size)`; None: it has no frames.
    """

    kind: str
    site: str
    patient: int
    target: int
    refused: bool
    pixels: npt.NDArray[np.uint8] | None


def read_clips(
    geometry: Geometry,
    data: Path,
    split: SplitManifest,
    *,
    lung: Path | None,
    photos: Path | None,
    dicom: Path | None,
    seed: int,
) -> list[ForeignOrKnown]:
    """Return all clips of the held-out hospitals, and foreign ones beside them.

    Args:
        geometry: Geometry of the frames.
        data: Folder with `stores`, `keys` and `hospitals` of simulated hospitals.
        split: Its split.
        lung: Folder with real lung clips.
        photos: Parquet file with photographs.
        dicom: Folder with real DICOM files that are not of a heart.
        seed: Seed of the simulated foreign clips.
    """
    clips: list[ForeignOrKnown] = []
    for site in split.held_out_sites:
        here = _hospital_clips(data, split, site, first_patient=len(clips))
        generator = random_stream(seed, "foreign", site)
        known = [each.pixels for each in here if each.pixels is not None and each.target >= 0]
        for kind in SIMULATED:
            for index in generator.choice(len(known), EACH // len(split.held_out_sites), replace=False):
                pixels = simulate_foreign(kind, known[index], generator)
                here.append(ForeignOrKnown(kind, site, len(clips) + len(here), -1, False, pixels))
        clips += here
    generator = random_stream(seed, "photographs")
    for pixels in () if photos is None else photographs(photos, EACH, geometry.size, generator):
        clips.append(ForeignOrKnown("photograph", "", len(clips), -1, False, pixels))
    for kind, folder in (("lung, real", lung), ("other DICOM, real", dicom)):
        for _, mode, frames in real_clips(folder, geometry) if folder else ():
            refused = mode not in split.settings["modes"]
            clips.append(ForeignOrKnown(kind, "", len(clips), -1, refused, frames))
    return clips


def _hospital_clips(data: Path, split: SplitManifest, site: str, *, first_patient: int) -> list[ForeignOrKnown]:
    """Return the clips of one hospital; numbers of patients are lower than `first_patient` plus the clips."""
    store, truth = FrameStore.open(data / "stores" / site), _truth(data, site)
    frames = store.frames
    names, patients = (frames[column].to_numpy(zero_copy_only=False) for column in ("clip", "patient"))
    rows = frames["row"].to_numpy()
    _, numbers = np.unique(patients, return_inverse=True)
    clips, classes = [], answered_classes(split.classes)
    for each in sorted(store.clips.to_pylist(), key=lambda one: str(one["clip"])):
        view, mode = truth[each["instance"]]
        kind = f"mode {mode}" if mode in ("m_mode", "spectral") else f"view {view}"
        target = classes.index(view) if kind == f"view {view}" and view in classes else -1
        refused = each["mode"] not in split.settings["modes"]
        refused |= bool(set(each["flags"]) & {str(flag) for flag in REFUSED_FLAGS})
        own = np.flatnonzero(names == each["clip"])
        kept_rows = np.sort(rows[own])[np.linspace(0, len(own) - 1, min(len(own), FRAMES_PER_CLIP)).round().astype(int)]
        patient = first_patient + int(numbers[own[0]])
        pixels = store.read(kept_rows.astype(np.int64))
        clips.append(ForeignOrKnown("in scope" if target >= 0 else kind, site, patient, target, refused, pixels))
    return clips


def collect(
    run: Run, data: Path, split: SplitManifest, clips: Sequence[ForeignOrKnown], labels: Path | None
) -> Collected:
    """Return validation clips, reference clips and their copies of the source, and what a run makes of the clips.

    Args:
        run: The run.
        data: Folder with `stores`.
        split: Its split.
        clips: What `read_clips` returned.
        labels: Label store with labels of other views.
    """
    sites = (*split.source_sites, *split.held_out_sites)
    stores = FrameStores.open([data / "stores" / site for site in sites])
    views = None if labels is None else frame_labels(LabelStore(labels).events(), stores.frames)
    labeled, reference, copies = source_clips(run, stores, split, views)
    shown = [each.pixels for each in clips if each.pixels is not None]
    features, logits = FeatureExtractor(run).compute(np.concatenate(shown))
    ends = np.cumsum([len(each) for each in shown])[:-1]
    has_frames = np.array([each.pixels is not None for each in clips])
    means = []
    answers = [run.classes.index(name) for name in answered_classes(run.classes)]
    for values in (logits[:, answers], features):
        of_clips = np.zeros((len(clips), values.shape[1]))
        of_clips[has_frames] = [part.mean(0, dtype=np.float64) for part in np.split(values, ends)]
        means.append(of_clips)
    patient, target = (np.array([getattr(each, name) for each in clips]) for name in ("patient", "target"))
    kind, site = (np.array([getattr(each, name) for each in clips]) for name in ("kind", "site"))
    refused = ~has_frames | np.array([each.refused for each in clips])
    return labeled, reference, copies, Samples(kind, site, refused, ClipFeatures(means[0], means[1], patient, target))


def _truth(data: Path, site: str) -> dict[str, tuple[str, str]]:
    """Return true view and mode by pseudonym of the instance."""
    names = Pseudonymizer(Key.load(data / "keys" / f"{site}.key"))
    with (data / "hospitals" / site / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {names.uid(row["sop_instance_uid"]): (row["view"], row["mode"]) for row in rows}


def save(path: Path, labeled: ClipFeatures, reference: ClipFeatures, copies: ClipFeatures, samples: Samples) -> None:
    """Write what `collect` returns to an `.npz` file."""
    parts = {"labeled": labeled, "reference": reference, "copies": copies, "samples": samples.clips}
    arrays = {
        f"{name}_{field}": getattr(clips, field)
        for name, clips in parts.items()
        for field in ("logits", "features", "patient", "truth")
    }
    np.savez(path, allow_pickle=False, kind=samples.kind, site=samples.site, refused=samples.refused, **arrays)


def load(path: Path) -> Collected:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as content:
        labeled, reference, copies, clips = (
            ClipFeatures(*(content[f"{name}_{field}"] for field in ("logits", "features", "patient", "truth")))
            for name in ("labeled", "reference", "copies", "samples")
        )
        return labeled, reference, copies, Samples(content["kind"], content["site"], content["refused"], clips)


def known_sites(samples: Samples) -> Sequence[str]:
    """Return the hospitals of the samples."""
    return sorted(set(samples.site.tolist()) - {""})
