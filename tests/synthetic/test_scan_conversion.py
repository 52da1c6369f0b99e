from __future__ import annotations

import numpy as np
import pytest

from heart2heart.synthetic.config import MachineConfig
from heart2heart.synthetic.scan_conversion import PolarGrid, scan_converter


def test_convert_keeps_a_constant_inside_and_is_black_outside(machine: MachineConfig) -> None:
    sector = scan_converter(machine)
    polar = np.full((2, machine.beams, machine.samples), 200.0, dtype=np.float32)
    frames = sector.convert(polar, (machine.rows, machine.columns))
    flat = frames.reshape(2, -1)
    outside = np.setdiff1d(np.arange(flat.shape[1]), sector.inside)
    assert frames.dtype == np.uint8
    assert set(np.unique(flat[:, sector.inside]).tolist()) <= {199, 200}
    assert not flat[:, outside].any()


def test_scan_converter_fits_the_sector_between_banner_and_bottom(machine: MachineConfig) -> None:
    x0, y0, x1, y1 = scan_converter(machine).box
    assert y0 >= machine.top
    assert y1 <= machine.rows - machine.bottom + 1
    assert 0 <= x0 < x1 <= machine.columns


def test_convert_puts_a_bright_sample_where_trigonometry_does(machine: MachineConfig) -> None:
    sector, depth = scan_converter(machine), 15.0
    grid = PolarGrid.from_machine(machine, depth)
    beam, sample = 36, 80
    polar = np.zeros((1, machine.beams, machine.samples), dtype=np.float32)
    polar[0, beam, sample] = 255.0
    frame = sector.convert(polar, (machine.rows, machine.columns))[0].astype(np.float64)
    y, x = (float((axis * frame).sum() / frame.sum()) for axis in np.mgrid[0 : machine.rows, 0 : machine.columns])
    pixel = sector.spacing_cm(depth)
    wide, deep = (float(part[beam, sample]) for part in grid.points())
    assert (x - sector.apex[0]) * pixel == pytest.approx(wide, abs=0.1)
    assert (y - sector.apex[1]) * pixel == pytest.approx(deep, abs=0.1)


def test_oversampled_covers_the_same_sector(machine: MachineConfig) -> None:
    grid = PolarGrid.from_machine(machine, 12.0)
    fine = grid.oversampled(2)
    np.testing.assert_allclose(fine.angles[::2], grid.angles, atol=1e-6)
    np.testing.assert_allclose(fine.radii[::2], grid.radii, atol=1e-5)
