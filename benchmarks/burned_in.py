"""How often text in the scan is found, and how often it is suspected where there is none.

Command: python -m benchmarks.burned_in FOLDER... (such as the hospitals of `heart2heart simulate`)
Each clip is judged as it is, and again with a name planted at random in the visible part, in white or gray, compressed
as JPEG of quality 80 after that as archives do. A clip flagged as it is may hold real text: look at it.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

from heart2heart.cli.tables import text_table
from heart2heart.dicom.burned_in import text_mask
from heart2heart.dicom.deidentify import technical
from heart2heart.dicom.film import open_film
from heart2heart.dicom.layout import read_layout
from heart2heart.dicom.pixels import find_frames
from heart2heart.dicom.reader import open_dicom
from heart2heart.dicom.regions import read_scan
from heart2heart.dicom.sight import Sight, look
from heart2heart.dicom.triage import require_ultrasound
from heart2heart.errors import DicomError
from heart2heart.ingest import find_files

Bytes = npt.NDArray[np.uint8]
SIZES = (11, 16)
WORDS = "PLANTED 19"


def scan_of(path: Path) -> Sight:
    """Return where the scan is, with the frames that the detector sees."""
    with open_dicom(path) as opened:
        require_ultrasound(opened.header, has_pixels=opened.pixels_at < len(opened.data))
        facts = technical(opened.header)
        layout = read_layout(facts, big_endian=opened.big_endian)
        film = open_film(find_frames(opened, layout), layout, strict=False)
        return look(film, read_scan(facts, rows=layout.rows, columns=layout.columns))


def plant(pictures: Bytes, inside: npt.NDArray[np.bool_], size: int, draw: random.Random) -> Bytes | None:
    """Write into every frame at one random place where it is visible whole; None when there is none."""
    font = ImageFont.load_default(size=size)
    wide, tall = (int(side) + 1 for side in font.getbbox(WORDS)[2:])
    height, width = inside.shape
    for _ in range(200 if height > tall and width > wide else 0):
        x, y = draw.randrange(width - wide), draw.randrange(height - tall)
        if inside[y : y + tall, x : x + wide].all():
            layer = Image.new("L", (width, height))
            ImageDraw.Draw(layer).text((x, y), WORDS, fill=draw.choice((190, 255)), font=font)
            written = np.maximum(pictures, np.asarray(layer))[..., None]
            coded = [simplejpeg.encode_jpeg(np.ascontiguousarray(frame), 80, "GRAY", "Gray") for frame in written]
            return np.stack([simplejpeg.decode_jpeg(frame, "GRAY")[..., 0] for frame in coded])
    return None


def main(folders: list[Path]) -> None:
    """Judge every fourth file of a folder with more than 100, every file of a smaller one."""
    draw = random.Random(0)
    total: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    planted: Counter[tuple[str, int]] = Counter()
    found: Counter[tuple[str, int]] = Counter()
    for folder in folders:
        files = find_files([folder])
        for path in files[:: 4 if len(files) > 100 else 1]:
            try:
                seen = scan_of(path)
            except DicomError:
                continue
            kind = f"{seen.mode}, {'clip' if len(seen.sample) > 3 else 'still'}"
            total[kind] += 1
            flagged[kind] += text_mask(seen.sample, seen.mask) is not None
            for size in SIZES:
                if (written := plant(seen.sample, seen.mask, size, draw)) is not None:
                    planted[kind, size] += 1
                    found[kind, size] += text_mask(written, seen.mask) is not None
    rows = [
        (kind, count, flagged[kind], *(f"{found[kind, size]} of {planted[kind, size]}" for size in SIZES))
        for kind, count in sorted(total.items())
    ]
    print(text_table(("kind", "files", "flagged", *(f"found, {size} px" for size in SIZES)), rows))


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
