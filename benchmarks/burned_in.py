"""Sensitivity and false alarms of the detection of text in the scan, and its time.

Command: python -m benchmarks.burned_in FOLDER... [--seed 11] [--lines 5] (such as hospitals of `heart2heart simulate`)
Each file is judged unchanged, and again with one invented line at a time (`benchmarks.planted_text`). A line counts as
found when at least 80 % of its ink is covered. An unchanged file that is flagged may hold real
text: look at it. The weights were fitted with seed 5 on simulated clips of seed 5; use other seeds.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.planted_text import QUALITIES, SIZES, compressed, plant_text
from benchmarks.scan_regions import scans
from heart2heart.cli.output import text_table
from heart2heart.deidentify.burned_in_text import text_mask

COVERED = 0.8  # share of the ink without which a line may still be read
CLASSES = ((8, 11), (12, 16), (17, 24))  # px


def main(folders: list[Path], *, seed: int, lines: int) -> None:
    """Judge every file of the folders and print one table for the files and one for the styles of the lines."""
    draw = random.Random(seed)
    times: defaultdict[str, list[float]] = defaultdict(list)
    blanked: defaultdict[str, list[float]] = defaultdict(list)
    planted: Counter[tuple[str, object]] = Counter()
    hits: Counter[tuple[str, object]] = Counter()
    for _, seen in scans(folders):
        kind = "clips" if len(seen.sample) > 3 else "stills"
        start = time.perf_counter()
        suspected = text_mask(seen.sample, seen.mask)
        times[kind].append(1000 * (time.perf_counter() - start))
        blanked[kind].append(0.0 if suspected is None else float(suspected[seen.mask].mean()))
        for _ in range(lines):
            size = draw.randint(*SIZES)
            written = plant_text(seen.sample, seen.mask, draw, size=size)
            if written is None:
                continue
            judged = text_mask(compressed(written.frames, draw.choice(QUALITIES)), seen.mask)
            hit = judged is not None and float(judged[written.ink].mean()) >= COVERED
            sizes = next(pair for pair in CLASSES if pair[0] <= size <= pair[1])
            for key in ((kind, "all"), (kind, sizes), ("style", written.style)):
                planted[key] += 1
                hits[key] += hit
    rows = [
        (
            kind,
            len(times[kind]),
            sum(share > 0 for share in blanked[kind]),
            f"{100 * sum(blanked[kind]) / len(blanked[kind]):.2f} %",
            *(f"{hits[kind, part]} of {planted[kind, part]}" for part in ("all", *CLASSES)),
            f"{sorted(times[kind])[len(times[kind]) // 2]:.1f} / {max(times[kind]):.1f}",
        )
        for kind in sorted(times)
    ]
    classes = (f"{low}-{high} px" for low, high in CLASSES)
    print(text_table(("files", "n", "flagged", "blanked", "lines found", *classes, "ms, median / most"), rows))
    styles = sorted(str(style) for kind, style in planted if kind == "style")
    print(text_table(("style", "found", "of"), [(s, hits["style", s], planted["style", s]) for s in styles]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--lines", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.folders, seed=arguments.seed, lines=arguments.lines)
