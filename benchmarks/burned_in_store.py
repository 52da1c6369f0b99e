"""Letters that can be read in the store after `heart2heart ingest`, from files to stored frames, by kind of text.

Command: python -m benchmarks.burned_in_store FOLDER... [--seed 11] [--rounds 1] [--jobs 2] [--keep RESULTS]
FOLDER, kinds and draws are those of `benchmarks.burned_in`, but a clip has up to 120 frames. Each variant becomes a
JPEG file with the header of its clip, and is ingested twice: with `--text quarantine`, which blanks nothing, and with
`--text blank`. RESULTS keeps the results of each clip, so that a broken run goes on.

A letter is in the store when its longer side has at least five stored pixels, and half of its ink differs from its
surroundings by 20 gray levels in a judged frame; it is left when it still does after blanking. A code is in the store
when its modules have at least one stored pixel a side.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from benchmarks.burned_in import distinct, shaken
from benchmarks.burned_variants import KINDS, BurnedVariant, plant
from benchmarks.planted_text import QUALITIES
from benchmarks.scan_regions import scan_and_frames
from benchmarks.text_legibility import CODES, DIFFERS, LEFT, judged_frames
from heart2heart.cli.output import text_table
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.settings import IngestSettings
from heart2heart.schema.status import ClipFlag
from heart2heart.schema.text_policy import TextPolicy
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Resampler

Bytes = npt.NDArray[np.uint8]
FRAMES = 120  # frames of a clip, at most
READABLE = 5  # stored pixels, the longer side of a letter
_INK, _NEAR = 64, 26  # of 255: share of a stored pixel from which it is ink, and up to which it is not


@dataclass(frozen=True)
class StoredText:
    """One variant in the store: letters that are in it, and of these the ones that are left after blanking."""

    name: str
    letters: int
    left: int
    is_withheld: bool


def stored_variants(path: Path, *, seed: int, rounds: int, keep: Path | None) -> list[StoredText]:
    """Ingest one clip with every kind of text burned in."""
    done = None if keep is None else keep / f"{seed}_{rounds}_{path.stem}.json"
    if done is not None and done.exists():
        return [StoredText(**one) for one in json.loads(done.read_text())]
    seen, frames = scan_and_frames(path, FRAMES)
    results = []
    for turn in range(rounds):
        for index, kind in enumerate(KINDS):
            draw = random.Random(f"{seed} {path.name} {turn} {index}")
            base = shaken(frames[0], draw) if kind.when != "always" and len(frames) == 1 else frames
            variant = plant(base, seen.mask, kind, draw)
            if variant is not None:
                results.append(_through_store(path, variant, seen.box, draw.choice(QUALITIES)))
    if done is not None:
        done.parent.mkdir(parents=True, exist_ok=True)
        unfinished = done.with_suffix(".tmp")
        unfinished.write_text(json.dumps([asdict(one) for one in results]))
        unfinished.rename(done)
    return results


def _through_store(path: Path, variant: BurnedVariant, box: tuple[int, int, int, int], quality: int) -> StoredText:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file = root / "clip.dcm"
        write_variant(path, variant, box, quality).save_as(file, enforce_file_format=True)
        stores = []
        for policy in (TextPolicy.QUARANTINE, TextPolicy.BLANK):
            settings = IngestSettings(text=policy)
            ingest([file], site="A", store=root / policy, key=root / f"{policy}.key", settings=settings)
            stores.append(FrameStore.open(root / policy))
        if not all(len(store.all_clips) for store in stores):
            return StoredText(variant.name, 0, 0, is_withheld=True)
        rows = [store.all_clips.to_pylist()[0] for store in stores]
        before, after = (store.read(store.frames_of(store.all_clips)["row"].to_numpy()) for store in stores)
        kept = ClipFlag.TEXT_QUARANTINED in rows[1]["flags"]
        letters, left = stored_letters(variant, box, rows[1], stores[1], before, after)
        return StoredText(variant.name, letters, left, kept)


def write_variant(path: Path, variant: BurnedVariant, box: tuple[int, int, int, int], quality: int) -> Dataset:
    """Return the clip with the variant in its place, as JPEG baseline, with the technical elements of the file."""
    stored = dcmread(path, stop_before_pixels=True, force=True)
    dataset = Dataset({element.tag: element for element in stored})  # decoded, as the file may be big endian
    dataset.file_meta = stored.file_meta
    x0, y0, x1, y1 = box
    colours = variant.frames.shape[3:]
    coded = []
    for frame in variant.frames:
        whole = np.zeros((dataset.Rows, dataset.Columns, *(colours or (1,))), np.uint8)
        whole[y0:y1, x0:x1] = frame if colours else frame[..., None]
        coded.append(simplejpeg.encode_jpeg(whole, quality, *(("RGB", "422") if colours else ("GRAY", "Gray"))))
    for name in list(dataset.keys()):
        if dataset[name].keyword.endswith(("LookupTableDescriptor", "LookupTableData")):
            del dataset[name]
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.SamplesPerPixel = 3 if colours else 1
    dataset.PhotometricInterpretation = "YBR_FULL_422" if colours else "MONOCHROME2"
    if colours:
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames = len(coded)
    dataset.PixelData = encapsulate(coded)
    dataset["PixelData"].VR = "OB"
    return dataset


def stored_letters(
    variant: BurnedVariant,
    box: tuple[int, int, int, int],
    row: dict[str, Any],
    store: FrameStore,
    before: Bytes,
    after: Bytes,
) -> tuple[int, int]:
    """Return the letters that are in the frames before blanking, and of these the ones that still are after it.

    Args:
        variant: What was burned in.
        box: Box of the frames of the variant in the picture.
        row: Row of the clip in the store.
        store: The store, for its geometry.
        before: uint8 `(n, N, N)`, the stored frames without blanking.
        after: The same with blanking.
    """
    x0, y0, x1, y1 = row["box"]
    down, along = row["spacing_mm"] or (1.0, 1.0)
    resample = Resampler(y1 - y0, x1 - x0, store.geometry, (down, along))
    module = variant.size * along / store.geometry.letterbox((y1 - y0) * down, (x1 - x0) * along).step
    if variant.name in CODES and module < 1:
        return 0, 0
    whole = np.zeros((row["rows"], row["columns"]), np.uint8)
    drawn: set[int] = set()
    left: set[int] = set()
    for number in judged_frames(variant):
        glyphs = whole.copy()
        glyphs[box[1] : box[3], box[0] : box[2]] = variant.glyphs[number]
        glyphs = glyphs[y0:y1, x0:x1]
        any_ink = resample(np.uint8(255) * (glyphs > 0)[None].view(np.uint8))[0]
        for letter in range(1, int(glyphs.max()) + 1):
            ink = resample(np.uint8(255) * (glyphs == letter)[None].view(np.uint8))[0] >= _INK
            if _longer_side(ink) < READABLE:
                continue
            if variant.name in CODES:
                drawn.add(letter)
                left |= {letter} if (before[number] == after[number])[ink].mean() >= LEFT else set()
            elif _differs(before[number], ink, any_ink):
                drawn.add(letter)
                left |= {letter} if _differs(after[number], ink, any_ink) else set()
    return len(drawn), len(left)


def _longer_side(ink: npt.NDArray[np.bool_]) -> int:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return 0 if not len(rows) else int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1


def _differs(frame: Bytes, ink: npt.NDArray[np.bool_], any_ink: Bytes) -> bool:
    """Return whether half of the ink differs from the median of what is around it."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    near = np.s_[max(0, rows[0] - 2) : rows[-1] + 3, max(0, columns[0] - 2) : columns[-1] + 3]
    around = frame[near][any_ink[near] < _NEAR]
    level = float(np.median(around)) if len(around) else 0.0
    return bool((np.abs(frame[ink].astype(np.float64) - level) >= DIFFERS).mean() >= LEFT)


def table_rows(results: list[StoredText]) -> Iterator[tuple[object, ...]]:
    """Yield one row a kind and one for all."""
    kinds: defaultdict[str, list[StoredText]] = defaultdict(list)
    for one in results:
        kinds[one.name].append(one)
        kinds["all"].append(one)
    for name in (*(kind.name for kind in KINDS), "all"):
        if part := kinds[name]:
            letters = sum(one.letters for one in part)
            used = sum(one.left for one in part if not one.is_withheld)
            withheld = sum(one.left for one in part if one.is_withheld)
            shares = [f"{100 * number / max(1, letters):.1f} %" for number in (used, withheld)]
            yield name, len(part), sum(one.is_withheld for one in part), letters, used, *shares


def main(folders: list[Path], *, seed: int, rounds: int, jobs: int, keep: Path | None) -> None:
    """Ingest every clip of the folders with every kind of text, and print one table for the kinds of text."""
    work = partial(stored_variants, seed=seed, rounds=rounds, keep=keep)
    with ProcessPoolExecutor(jobs) as pool:
        results = [one for part in pool.map(work, distinct(folders)) for one in part]
    names = ("kind", "variants", "kept back", "letters in the store", "left", "left in use", "left, kept back")
    print(text_table(names, list(table_rows(results))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    main(options.folders, seed=options.seed, rounds=options.rounds, jobs=options.jobs, keep=options.keep)
