"""How fast synthetic clips are formed and written on one core, beside scan conversion alone.

Run it with one thread: `OMP_NUM_THREADS=1 python benchmarks/synthetic.py`. The limit beside it is the bilinear scan
conversion, which no such chain can leave out.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from heart2heart.synthetic.anatomy.view_plane import SIMULATED_VIEWS
from heart2heart.synthetic.config import HospitalConfig, NonClipFiles
from heart2heart.synthetic.hospital import simulate_hospital
from heart2heart.synthetic.image_formation import render_clip
from heart2heart.synthetic.patient import SyntheticPatient
from heart2heart.synthetic.presets import four_hospitals
from heart2heart.synthetic.scan_conversion import scan_converter

FRAMES = 20
REPEATS = 5


def _rate(work: Callable[[], int]) -> tuple[float, float]:
    """Return the median and the worst of frames a second over `REPEATS` runs, after one to warm up."""
    work()
    rates = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        rates.append(work() / (time.perf_counter() - start))
    return statistics.median(rates), min(rates)


def _scan_conversion(hospital: HospitalConfig) -> int:
    machine = hospital.machine
    polar = np.full((FRAMES, machine.beams, machine.samples), 90.0, dtype=np.float32)
    for _ in SIMULATED_VIEWS:
        scan_converter(machine).convert(polar, (machine.rows, machine.columns))
    return FRAMES * len(SIMULATED_VIEWS)


def _formation(hospital: HospitalConfig) -> int:
    rng = np.random.default_rng(0)
    for view in SIMULATED_VIEWS:
        render_clip(view, SyntheticPatient(), hospital.machine, FRAMES, rng)
    return FRAMES * len(SIMULATED_VIEWS)


def _writing(hospital: HospitalConfig) -> int:
    none = NonClipFiles(text_files=0, captures=0, reports=0, truncated=0, copies=0)
    small = hospital.model_copy(update={"patients": 2, "labeled_patients": 2, "strays": none})
    with tempfile.TemporaryDirectory() as folder:
        return simulate_hospital(small, Path(folder), 0).frames


def main() -> None:
    """Print a table of frames a second, median and worst of the runs."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("note: set OMP_NUM_THREADS=1 to measure one core")
    print(f"{'hospital':<10}{'picture':<12}{'syntax':<10}{'scan conversion':>18}{'formation':>16}{'with DICOM':>16}")
    for hospital in four_hospitals():
        columns = []
        for work in (_scan_conversion, _formation, _writing):
            median, worst = _rate(partial(work, hospital))
            columns.append(f"{median:.0f} ({worst:.0f})")
        size = f"{hospital.machine.rows}x{hospital.machine.columns}"
        print(f"{hospital.name:<10}{size:<12}{hospital.syntax:<10}{columns[0]:>18}{columns[1]:>16}{columns[2]:>16}")
    print("frames a second, one process; median of 5 runs (worst)")


if __name__ == "__main__":
    main()
