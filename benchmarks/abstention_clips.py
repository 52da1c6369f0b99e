"""Features of clips for `benchmarks.abstention`: those of hospitals that a run never saw, and foreign ones."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.foreign_clips import SIMULATED, photographs, real_clips, simulate_foreign
from heart2heart.api.scope import FRAMES_PER_CLIP, clip_features, source_clips
from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.schema.scope import REFUSED_FLAGS
from heart2heart.scope.scope_model import ClipFeatures
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore, FrameStores
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


def collect(
    run: Run, data: Path, split: SplitManifest, *, lung: Path | None, photos: Path | None, dicom: Path | None, seed: int
) -> tuple[ClipFeatures, ClipFeatures, Samples]:
    """Return validation clips and reference clips of the source, and the samples.

    Args:
        run: The run.
        data: Folder with `stores`, `keys` and `hospitals` of simulated hospitals.
        split: Its split.
        lung: Folder with real lung clips.
        photos: Parquet file with photographs.
        dicom: Folder with real DICOM files that are not of a heart.
        seed: Seed of the simulated foreign clips.
    """
    stores = {site: FrameStore.open(data / "stores" / site) for site in (*split.source_sites, *split.held_out_sites)}
    labeled, reference = source_clips(run, FrameStores.open([data / "stores" / site for site in stores]), split)
    extractor = FeatureExtractor(run)
    kinds: list[str] = []
    sites: list[str] = []
    refused: list[bool] = []
    rows: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int, int]] = []
    width, patients = (0 if reference.features is None else reference.features.shape[1]), 0

    def add(kind: str, site: str, pixels: npt.NDArray[np.uint8] | None, *, stop: bool = False) -> None:
        kinds.append(kind)
        sites.append(site)
        refused.append(stop or pixels is None)
        features, logits = (np.zeros((1, width)), np.zeros((1, len(run.classes)))) if pixels is None else (
            extractor.compute(pixels)
        )  # fmt: skip
        rows.append((features.mean(0, dtype=np.float64), logits.mean(0, dtype=np.float64), patients + len(rows), -1))

    for site in split.held_out_sites:
        store = stores[site]
        truth = _truth(data, site)
        table = store.clips.to_pylist()
        modes = {each["clip"]: each["mode"] in split.settings["modes"] for each in table}
        frames = store.frames
        every = clip_features(
            run, store, frames["row"].to_numpy().astype(np.int64), frames["clip"].to_numpy(zero_copy_only=False),
            frames["patient"].to_numpy(zero_copy_only=False), np.full(len(frames), -1),
        )  # fmt: skip
        assert every.features is not None
        generator = random_stream(seed, "foreign", site)
        names = sorted(modes)
        known = {each["clip"]: each for each in table}
        for index, name in enumerate(names):
            view, mode = truth[known[name]["instance"]]
            kind = f"mode {mode}" if mode in ("m_mode", "spectral") else f"view {view}"
            target = run.classes.index(view) if kind == f"view {view}" and view in run.classes else -1
            kinds.append("in scope" if target >= 0 else kind)
            sites.append(site)
            flags = set(known[name]["flags"]) & {str(flag) for flag in REFUSED_FLAGS}
            refused.append(not modes[name] or bool(flags))
            rows.append((every.features[index], every.logits[index], patients + int(every.patient[index]), target))
        patients += int(every.patient.max()) + 1
        inside = [name for name in names if modes[name] and truth[known[name]["instance"]][0] in run.classes]
        for kind in SIMULATED:
            for name in generator.choice(inside, EACH // len(split.held_out_sites), replace=False):
                chosen = frames["row"].to_numpy()[frames["clip"].to_numpy(zero_copy_only=False) == name]
                rows_of_clip = np.sort(chosen).astype(np.int64)[:FRAMES_PER_CLIP]
                add(kind, site, simulate_foreign(kind, store.read(rows_of_clip), generator))
    generator = random_stream(seed, "photographs")
    if photos is not None:
        for pixels in photographs(photos, EACH, run.geometry.size, generator):
            add("photograph", "", pixels)
    for kind, folder in (("lung, real", lung), ("other DICOM, real", dicom)):
        for _, mode, frames_of_clip in real_clips(folder, run.geometry) if folder else ():
            add(kind, "", frames_of_clip, stop=mode not in split.settings["modes"])
    features, logits, patient, target_of = zip(*rows, strict=True)
    clips = ClipFeatures(np.array(logits), np.array(features), np.array(patient), np.array(target_of))
    return labeled, reference, Samples(np.array(kinds), np.array(sites), np.array(refused), clips)


def _truth(data: Path, site: str) -> dict[str, tuple[str, str]]:
    """Return true view and mode by pseudonym of the instance."""
    names = Pseudonymizer(Key.load(data / "keys" / f"{site}.key"))
    with (data / "hospitals" / site / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {names.uid(row["sop_instance_uid"]): (row["view"], row["mode"]) for row in rows}


def save(path: Path, labeled: ClipFeatures, reference: ClipFeatures, samples: Samples) -> None:
    """Write what `collect` returns to an `.npz` file."""
    parts = {"labeled": labeled, "reference": reference, "samples": samples.clips}
    arrays = {
        f"{name}_{field}": getattr(clips, field)
        for name, clips in parts.items()
        for field in ("logits", "features", "patient", "truth")
    }
    np.savez(path, allow_pickle=False, kind=samples.kind, site=samples.site, refused=samples.refused, **arrays)


def load(path: Path) -> tuple[ClipFeatures, ClipFeatures, Samples]:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as content:
        labeled, reference, clips = (
            ClipFeatures(*(content[f"{name}_{field}"] for field in ("logits", "features", "patient", "truth")))
            for name in ("labeled", "reference", "samples")
        )
        return labeled, reference, Samples(content["kind"], content["site"], content["refused"], clips)


def known_sites(samples: Samples) -> Sequence[str]:
    """Return the hospitals of the samples."""
    return sorted(set(samples.site.tolist()) - {""})
