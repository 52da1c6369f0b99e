"""Agreement of the estimated and the true sector, on simulated clips of each machine, with the near field frozen too.

Command: python -m benchmarks.sector [--clips 3]
Freezing gives every frame the first one's pixels above a depth, as under a probe that does not move. Written are means:
intersection over union, the share of the true sector that is kept, and the same of its frozen part.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from heart2heart.cli.output import text_table
from heart2heart.dicom.image_pixel import luma
from heart2heart.schema.enums import ClipMode
from heart2heart.store.frame_sampling import FrameRule
from heart2heart.store.sector import sector_mask
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.patient import draw_patient
from heart2heart.synthetic.presets import four_hospitals
from heart2heart.synthetic.recording import Recording
from heart2heart.synthetic.scan_conversion import scan_converter
from heart2heart.synthetic.study import record_mode

FROZEN = (0.0, 0.15, 0.3)  # shares of the depth
VIEWS = ("PLAX", "A4C", "SUBCOSTAL")
CAPTION = ("INVENTED, PERSON", "T0", "01.01.2020")
Mask = npt.NDArray[np.bool_]


def recordings(hospital: HospitalConfig, clips: int) -> Iterator[Recording]:
    """Yield `clips` B-mode clips of one machine."""
    for seed in range(clips):
        draw = np.random.default_rng(seed)
        yield record_mode(VIEWS[seed % len(VIEWS)], ClipMode.B_MODE, draw_patient(draw), hospital, CAPTION, draw)


def true_sector(hospital: HospitalConfig) -> tuple[Mask, npt.NDArray[np.float64]]:
    """Return the true sector, bool `(rows, columns)`, and the depth of each pixel as a share of the whole."""
    machine, sector = hospital.machine, scan_converter(hospital.machine)
    inside = np.zeros(machine.rows * machine.columns, bool)
    inside[sector.inside] = True
    y, x = np.mgrid[0 : machine.rows, 0 : machine.columns]
    radius = np.hypot(x - sector.apex[0], y - sector.apex[1] + sector.length * machine.face)
    return inside.reshape(machine.rows, machine.columns), radius / sector.length - machine.face


def estimate(recording: Recording, still: Mask, *, region: bool) -> Mask:
    """Return the estimated sector in the whole picture; `still` pixels do not move; with or without the region."""
    gray = recording.frames if recording.frames.ndim == 3 else luma(recording.frames)
    gray = np.where(still, gray[0], gray)[FrameRule("even", 6).choose(len(gray))]
    sector = np.zeros(gray.shape[1:], bool)
    x0, y0, x1, y1 = recording.regions[0].box if region else (0, 0, gray.shape[2] - 1, gray.shape[1] - 1)
    mask = sector_mask(gray[:, y0 : y1 + 1, x0 : x1 + 1])
    if mask is not None:
        sector[y0 : y1 + 1, x0 : x1 + 1] = mask
    return sector


def main(clips: int) -> None:
    """Print one line a machine, with and without its region."""
    rows = []
    for hospital in four_hospitals():
        truth, depth = true_sector(hospital)
        clips_taken = list(recordings(hospital, clips))
        for region in (True, False):
            row = [hospital.model, "given" if region else "none"]
            for share in FROZEN:
                still = truth & (depth < share)
                masks = [estimate(clip, still, region=region) for clip in clips_taken]
                row.append(f"{np.mean([(f & truth).sum() / (f | truth).sum() for f in masks]):.2f}")
                row.append(f"{np.mean([f[truth].mean() for f in masks]):.2f}")
                row.append(f"{np.mean([f[still].mean() for f in masks]):.2f}" if share else "")
            rows.append(row)
    names = [f"{what} {share:.0%}" for share in FROZEN for what in ("IoU", "kept", "frozen kept")]
    print(text_table(("machine (synthetic)", "region", *names), rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=3)
    main(parser.parse_args().clips)
