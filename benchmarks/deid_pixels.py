"""Text burned into real and simulated clips, and how much of it, and of the scan, each tool leaves."""

from __future__ import annotations

import random
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from benchmarks.burned_variants import KINDS, BurnedVariant, Kind, plant
from benchmarks.deid_answer_key import Action, Judged, Requirement
from benchmarks.deid_runs import MARGIN_MASK, real_ultrasound, run_tools
from benchmarks.text_legibility import ocr_letters, template_letters
from heart2heart.dicom.header_values import silence_warnings
from heart2heart.synthetic.dicom_file import set_pixel_data

Bytes = npt.NDArray[np.uint8]
FRAMES = 6
"""Frames of a clip, spread over it."""
REAL_CLIPS = (
    "color3d_jpeg_baseline.dcm", "examples_ybr_color.dcm", "ultrasound-multiframe.dcm", "GREYSCALE_IMAGE.dcm",
    "RGB_IMAGE.dcm", "US1_UNCI.dcm", "gdcm-US-ALOKA-16.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm",
)  # fmt: skip
"""Files of different pictures; three hold text that a machine burned in."""
_SCAN_LEVEL = 16  # gray levels of a pixel that shows tissue
_CHANGE = 6  # gray levels by which tissue changes over a clip, codecs excluded
_CHANCE = 2  # letters in their order that tesseract reads in noise
_CLOSED = 15  # pixels a side: holes in a blanked area, where it was black before
MARGIN_KINDS = (
    Kind("margin, still", (12, 24)), Kind("margin, three frames", (12, 32), when="few"),
    Kind("margin, blinking", (12, 32), when="blink"),
)  # fmt: skip


@dataclass(frozen=True)
class PixelCase:
    """One clip, with text burned in or without.

    Attributes:
        name: Name of the file in the folder of originals.
        clip: Number of the clip.
        real: Whether the pixels are those of a real file.
        variant: What was burned in; None for the unchanged clip.
        frames: uint8 `(n, height, width)`, gray, unchanged.
        scan: bool `(height, width)`: tissue that moves inside the declared regions.
    """

    name: str
    clip: int
    real: bool
    variant: BurnedVariant | None
    frames: Bytes
    scan: npt.NDArray[np.bool_]


def read_frames(header: Dataset) -> Bytes:
    """Return up to `FRAMES` frames of a dataset, uint8 `(n, height, width)` or RGB `(n, height, width, 3)`."""
    count = int(header.get("NumberOfFrames") or 1)
    numbers = np.unique(np.linspace(0, count - 1, FRAMES).round().astype(int))
    frames = []
    for number in numbers.tolist():
        frame = np.asarray(pixel_array(header, index=number))
        if header.PhotometricInterpretation == "PALETTE COLOR":
            frame = apply_color_lut(frame, header) >> 8
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return np.stack(frames)


def gray(frames: Bytes) -> Bytes:
    """Return gray frames `(n, height, width)`."""
    if frames.ndim == 3:
        return frames
    return np.asarray([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames], np.uint8)


def scan_area(header: Dataset, frames: Bytes) -> npt.NDArray[np.bool_]:
    """Return where tissue moves inside the declared regions, bool `(height, width)`; nowhere for one frame."""
    least, greatest = frames.min(axis=0), frames.max(axis=0)
    moving: npt.NDArray[np.bool_] = (greatest >= _SCAN_LEVEL) & (greatest - least >= _CHANGE)
    if regions := header.get("SequenceOfUltrasoundRegions"):
        inside = np.zeros(moving.shape, bool)
        for item in regions:
            rows = slice(int(item.RegionLocationMinY0), int(item.RegionLocationMaxY1) + 1)
            inside[rows, int(item.RegionLocationMinX0) : int(item.RegionLocationMaxX1) + 1] = True
        moving &= inside
    return moving


def write_pixel_cases(folder: Path, simulated: Sequence[Path], *, seed: int, kinds: int) -> list[PixelCase]:
    """Write each clip unchanged, and with one burned-in text or code at a time, as native DICOM.

    Args:
        folder: Empty folder; the files are written into `originals`.
        simulated: Files of simulated hospitals.
        seed: Of every choice.
        kinds: Kinds of text a clip, drawn for each clip, beside those in the margin.
    """
    originals = folder / "originals"
    originals.mkdir(parents=True)
    cases = []
    for clip, (header, real) in enumerate(_clips(simulated)):
        frames = gray(read_frames(header))
        scan, draw = scan_area(header, frames), random.Random(f"{seed} {clip}")
        tissue = frames.max(axis=0) >= _SCAN_LEVEL
        near = cv2.dilate(tissue.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        chosen = [(kind, tissue) for kind in draw.sample(KINDS, kinds)] + [(kind, ~near) for kind in MARGIN_KINDS]
        variants = [None, *(plant(frames, where, kind, draw) for kind, where in chosen)]
        for index, variant in enumerate(variants):
            if index == 0 or variant is not None:
                name = f"{clip:02d}-{index:02d}.dcm"
                _write_clip(header, frames if variant is None else variant.frames, originals / name)
                cases.append(PixelCase(name, clip, real, variant, frames, scan))
    return cases


def _clips(simulated: Sequence[Path]) -> Iterator[tuple[Dataset, bool]]:
    """Yield the real files and the simulated ones, and whether a file is real."""
    real = [path for path in real_ultrasound() if path.name in REAL_CLIPS]
    for path in (*real, *simulated):
        with silence_warnings():
            yield dcmread(path), path in real


def _write_clip(template: Dataset, frames: Bytes, path: Path) -> None:
    header = Dataset()
    kept = [element for element in template if element.tag.group < 0x5000 and not element.tag.is_private]
    header.update({element.tag: element for element in kept})
    header.file_meta = template.file_meta
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = UltrasoundMultiFrameImageStorage if len(frames) > 1 else UltrasoundImageStorage
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.NumberOfFrames, header.FrameTime = len(frames), "33.3"
    header.FrameIncrementPointer = 0x00181063
    for name in ("BurnedInAnnotation", "FrameTimeVector", "PlanarConfiguration", "LossyImageCompression"):
        header.pop(name, None)
    set_pixel_data(header, frames, "native")
    header.save_as(path, enforce_file_format=True, implicit_vr=False, little_endian=True)


def motion_mask(frames: Bytes) -> npt.NDArray[np.bool_]:
    """Return the filled largest area that moves, as scripts that keep only the fan do; nothing for one frame."""
    change = frames.max(axis=0).astype(np.int16) - frames.min(axis=0)
    moving = cv2.morphologyEx((change >= _CHANGE).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(moving)
    mask = np.zeros(moving.shape, np.uint8)
    if count > 1:
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        outline, _ = cv2.findContours((labels == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(mask, outline, -1, 1, cv2.FILLED)
    return mask > 0


def cleaned_frames(
    folder: Path, python: Path, cases: Sequence[PixelCase]
) -> Iterator[tuple[str, dict[str, Path], str]]:
    """Yield each tool with its results by file name, and its median time in milliseconds a file."""
    for tool, target, seconds in run_tools(folder / "originals", folder / "results", python):
        if not tool.endswith("2026c"):  # the same pixels as the other table of the tool
            yield (
                tool,
                {path.name: path for path in target.iterdir()},
                f"{1000 * statistics.median(seconds.values()):.0f}",
            )
    yield MARGIN_MASK, {case.name: folder / "originals" / case.name for case in cases}, "-"


def _result(tool: str, path: Path | None, shape: tuple[int, ...]) -> Bytes:
    """Return the frames that a tool wrote; black ones where it wrote none."""
    if path is None:
        return np.zeros(shape, np.uint8)
    with silence_warnings():
        frames = read_frames(dcmread(path))
    if tool == MARGIN_MASK:
        mask = motion_mask(gray(frames))
        frames = frames * (mask[..., None] if frames.ndim == 4 else mask)
    if len(shape) == 3:
        return gray(frames)
    return frames if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=3)


@dataclass(frozen=True)
class PixelScore:
    """What one tool did to all clips.

    Attributes:
        judged: Actions `pixels_hidden` (each text) and `pixels_retained` (each unchanged clip).
        letters: Share of the letters left, by kind of text.
        lost: Share of the scan area that became black, by clip.
        difference: Greatest mean difference of the scan area that stayed, gray levels.
        words: Words that tesseract reads in the real files.
        milliseconds: Median time of a file.
    """

    judged: list[Judged]
    letters: Mapping[str, list[float]]
    lost: list[float]
    difference: float
    words: int
    milliseconds: str


def score_pixels(tool: str, results: dict[str, Path], cases: Sequence[PixelCase], milliseconds: str) -> PixelScore:
    """Judge the pixels of one tool."""
    judged, lost, difference, words = [], [], 0.0, 0
    letters: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        variant = case.variant
        shape = case.frames.shape if variant is None else variant.frames.shape
        after = _result(tool, results.get(case.name), shape)
        if variant is not None:
            left, read = letters_left(variant, after)
            letters[variant.name].append(left)
            requirement = Requirement(Action.PIXELS_HIDDEN, "HIPAA-A", variant.name)
            judged.append(Judged(case.clip, requirement, left == 0 and read <= _CHANCE))
            continue
        words += ocr_words(after) if case.real else 0
        if case.scan.any():
            black = case.scan & (after.max(axis=0) == 0)
            kept = case.scan & ~black
            change = np.abs(after.astype(np.int16) - case.frames)[:, kept]
            lost.append(float(black.sum() / case.scan.sum()))
            difference = max(difference, float(change.mean()) if kept.any() else 0.0)
            requirement = Requirement(Action.PIXELS_RETAINED, "TCIA-P15-PIX-K", f"clip {case.clip}")
            judged.append(Judged(case.clip, requirement, lost[-1] <= 0.02 and not change.any()))
    return PixelScore(judged, letters, lost, difference, words, milliseconds)


def letters_left(variant: BurnedVariant, after: Bytes) -> tuple[float, int]:
    """Return the share of the letters left by template, and where none is left, the letters that tesseract reads."""
    changed = (after != variant.frames).reshape(*variant.ink.shape, -1).any(axis=3)
    kernel = np.ones((_CLOSED, _CLOSED), np.uint8)
    closed = [cv2.morphologyEx(frame.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0 for frame in changed]
    blanked = np.stack(closed) & (after.reshape(*variant.ink.shape, -1).max(axis=3) == 0)
    before, left = template_letters(variant, variant.frames, blanked)
    read = ocr_letters(variant, variant.frames, blanked) if left == 0 else len(variant.text)
    return left / max(1, before), read


def ocr_words(frames: Bytes) -> int:
    """Return the words of at least three letters or digits that tesseract reads in the brightest picture of a clip."""
    picture = gray(frames).max(axis=0)
    coded, raw = cv2.imencode(".png", cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    command = ["tesseract", "stdin", "stdout", "--psm", "11"]
    done = subprocess.run(command, input=raw.tobytes(), capture_output=True, check=True)
    return (
        sum(sum(map(str.isalnum, word)) >= 3 for word in done.stdout.decode(errors="replace").split()) if coded else 0
    )
