"""Letters that can be read after the search for text in the scan, by kind of text; false alarms; time.

Command: python -m benchmarks.burned_in FOLDER... [--seed 11] [--rounds 2] [--jobs 2] [--ocr] [--keep RESULTS]
FOLDER holds DICOM files: real ones (data of pydicom, pydicom-data and deid-data) or those of `heart2heart simulate`.
Every distinct clip is searched unchanged, and with each kind of `benchmarks.burned_variants` once a round, after JPEG
of a random quality. A still is one frame; for text that comes and goes it is shaken into eight. An unchanged clip that
is flagged may hold real text: look at it. The weights were fitted with seed 5; use other seeds.

A letter is left in a picture that is used, or kept back: `ingest` quarantines a clip whose text it cannot bound, and
`deidentify` writes no copy of it.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from benchmarks.burned_variants import KINDS, BurnedVariant, plant
from benchmarks.planted_text import QUALITIES, compressed
from benchmarks.scan_regions import scan_and_frames
from benchmarks.text_legibility import ocr_letters, template_letters
from heart2heart.cli.output import text_table
from heart2heart.deidentify.burned_in_text import text_finding
from heart2heart.errors import DicomError
from heart2heart.ingest.source_files import find_files

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
FRAMES = 12  # consecutive frames of a clip into which text is burned
ALL = 400  # frames that are searched unchanged


@dataclass(frozen=True)
class Judged:
    """One variant of one clip: letters that could be read before, those left by their ink, and those read by OCR.

    `is_withheld` tells whether the clip is kept back as a whole, with the letters that are left.
    """

    name: str
    letters: int
    left: int
    read: int
    is_withheld: bool


@dataclass(frozen=True)
class ClipResult:
    """One clip: its name, whether it moves, and its variants.

    Unchanged: the share of the scan that is blanked, whether the clip is kept back, and milliseconds.
    """

    name: str
    moving: bool
    blanked: float
    is_withheld: bool
    ms: float
    variants: list[Judged]


def distinct(folders: list[Path]) -> list[Path]:
    """Return the files that hold a scan, one of each picture."""
    seen, paths = set(), []
    for path in find_files(folders):
        try:
            _, frames = scan_and_frames(path, 1)
        except DicomError:
            continue
        small = np.asarray(Image.fromarray(np.ascontiguousarray(frames[0])).resize((12, 12))) >> 5
        if small.tobytes() not in seen:
            seen.add(small.tobytes())
            paths.append(path)
    return paths


def kept_result(path: Path, *, seed: int, rounds: int, ocr: bool, keep: Path | None) -> ClipResult:
    """Return the result of `judge_clip`, from the folder `keep` where it is there."""
    if keep is None:
        return judge_clip(path, seed=seed, rounds=rounds, ocr=ocr)
    done = keep / f"{seed}_{rounds}_{int(ocr)}_{path.stem}.json"
    if not done.exists():
        result = judge_clip(path, seed=seed, rounds=rounds, ocr=ocr)
        done.parent.mkdir(parents=True, exist_ok=True)
        unfinished = done.with_suffix(".tmp")
        unfinished.write_text(json.dumps(asdict(result)))
        unfinished.rename(done)
    stored = json.loads(done.read_text())
    return ClipResult(**stored | {"variants": [Judged(**one) for one in stored["variants"]]})


def judge_clip(path: Path, *, seed: int, rounds: int, ocr: bool) -> ClipResult:
    """Search one clip unchanged, and with every kind of text burned in."""
    seen, whole = scan_and_frames(path, ALL)
    start = time.process_time()
    finding = text_finding(whole, seen.mask)
    ms = 1000 * (time.process_time() - start)
    first = max(0, (len(whole) - FRAMES) // 2)
    frames = whole[first : first + FRAMES]
    variants = []
    for turn in range(rounds):
        for index, kind in enumerate(KINDS):
            draw = random.Random(f"{seed} {path.name} {turn} {index}")
            base = shaken(frames[0], draw) if kind.when != "always" and len(frames) == 1 else frames
            if (variant := plant(base, seen.mask, kind, draw)) is not None:
                variants.append(judge(variant, seen.mask, draw.choice(QUALITIES), ocr=ocr))
    blanked = 0.0 if finding.mask is None or not finding.is_bounded else float(finding.mask[seen.mask].mean())
    return ClipResult(path.name, len(whole) > 1, blanked, not finding.is_bounded, ms, variants)


def judge(variant: BurnedVariant, inside: Mask, quality: int, *, ocr: bool) -> Judged:
    """Compress one variant, search it, and count the letters that are left."""
    coded = compressed(variant.frames, quality) if variant.frames.ndim == 3 else coloured(variant.frames, quality)
    finding = text_finding(coded, inside)
    blanked = ~inside if finding.mask is None else finding.mask | ~inside
    before, left = template_letters(variant, coded, blanked)
    read = min(before, ocr_letters(variant, coded, blanked)) if ocr and finding.is_bounded else 0
    return Judged(variant.name, before, left, read, not finding.is_bounded)


def coloured(frames: Bytes, quality: int) -> Bytes:
    """Return RGB frames as they come out of JPEG of `quality` with colour of half the width."""
    coded = [simplejpeg.encode_jpeg(np.ascontiguousarray(frame), quality, "RGB", "422") for frame in frames]
    return np.stack([simplejpeg.decode_jpeg(frame, "RGB") for frame in coded])


def shaken(still: Bytes, draw: random.Random) -> Bytes:
    """Return eight frames of a still that moves by up to two pixels, with a changing gain."""
    frames = [
        np.clip(np.roll(still, (draw.randint(-2, 2), draw.randint(-2, 2)), (0, 1)) * draw.uniform(0.85, 1.15), 0, 255)
        for _ in range(8)
    ]
    return np.stack(frames).astype(np.uint8)


def table_rows(results: list[ClipResult], *, ocr: bool) -> Iterator[tuple[object, ...]]:
    """Yield one row a kind and one for all."""
    kinds: defaultdict[str, list[Judged]] = defaultdict(list)
    for result in results:
        for judged in result.variants:
            kinds[judged.name].append(judged)
            kinds["all"].append(judged)
    for name in (*(kind.name for kind in KINDS), "all"):
        if judged_all := kinds[name]:
            used = [one for one in judged_all if not one.is_withheld]
            letters = sum(one.letters for one in judged_all)
            left, read = sum(one.left for one in used), sum(one.read for one in used)
            kept_back = sum(one.left for one in judged_all) - left
            clips, withheld = sum(one.left > 0 for one in used), len(judged_all) - len(used)
            shares = [f"{100 * number / max(1, letters):.1f} %" for number in (left, kept_back, read)]
            yield (
                name, len(judged_all), withheld, clips, letters, left, *shares[:2], shares[2] if ocr else ""
            )  # fmt: skip


def main(folders: list[Path], *, seed: int, rounds: int, jobs: int, ocr: bool, keep: Path | None) -> None:
    """Judge every clip of the folders and print one table for the clips and one for the kinds of text."""
    work = partial(kept_result, seed=seed, rounds=rounds, ocr=ocr, keep=keep)
    with ProcessPoolExecutor(jobs) as pool:
        results = list(pool.map(work, distinct(folders)))
    rows = []
    for kind, moving in (("clips", True), ("stills", False)):
        part = [result for result in results if result.moving == moving]
        if part:
            share, times = float(np.mean([one.blanked for one in part])), sorted(one.ms for one in part)
            flagged, withheld = sum(one.blanked > 0 for one in part), sum(one.is_withheld for one in part)
            rows.append((kind, len(part), flagged, withheld, f"{100 * share:.2f} %", f"{times[len(times) // 2]:.0f}"))
    print(text_table(("unchanged", "n", "blanked", "kept back", "scan blanked", "median ms of processor"), rows))
    flagged_files = [
        (one.name, f"{100 * one.blanked:.2f} %", "yes" if one.is_withheld else "")
        for one in results
        if one.blanked or one.is_withheld
    ]
    print(text_table(("file", "scan blanked", "kept back"), flagged_files))
    names = (
        "kind", "variants", "kept back", "with letters left", "letters", "left", "left in use", "left, kept back",
        "read by tesseract",
    )  # fmt: skip
    print(text_table(names, list(table_rows(results, ocr=ocr))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--ocr", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    arguments = {name: getattr(options, name) for name in ("seed", "rounds", "jobs", "ocr", "keep")}
    main(options.folders, **arguments)
