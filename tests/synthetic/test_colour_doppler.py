from __future__ import annotations

import numpy as np

from heart2heart.synthetic.colour_doppler import ColourBox, axial_velocity, render_colour, velocity_colour_map
from heart2heart.synthetic.config import MachineConfig
from heart2heart.synthetic.image_formation import acquire
from heart2heart.synthetic.patient import SyntheticPatient
from heart2heart.synthetic.scan_conversion import scan_converter

DIASTOLE, SYSTOLE = np.array([0.53], dtype=np.float32), np.array([0.16], dtype=np.float32)


def test_axial_velocity_of_filling_is_towards_an_apical_probe_and_of_ejection_away(machine: MachineConfig) -> None:
    rng = np.random.default_rng(0)
    acquisition = acquire("A4C", SyntheticPatient(), machine, rng)
    x, z = acquisition.grid.points()
    at = {
        name: np.hypot(x - landmark[0], z - landmark[1]) < 0.6 for name, landmark in acquisition.scene.landmarks.items()
    }
    assert float(axial_velocity(acquisition, DIASTOLE, rng)[0][at["mitral"]].mean()) > 0.3
    assert float(axial_velocity(acquisition, SYSTOLE, rng)[0][at["outflow"]].mean()) < -0.2


def test_render_colour_stays_in_its_box(machine: MachineConfig) -> None:
    rng = np.random.default_rng(1)
    acquisition = acquire("A4C", SyntheticPatient(), machine, rng)
    box = ColourBox((0.3, 0.8), (0.35, 0.8), 0.6)
    frames = render_colour(acquisition, DIASTOLE, box, rng)
    assert frames.shape == (1, machine.rows, machine.columns, 3)
    chroma = np.ptp(frames[0].astype(int), axis=2) > 0
    assert chroma.sum() > 100
    mask = box.mask(machine.beams, machine.samples).astype(np.float32)[None] * 255.0
    inside = scan_converter(machine).convert(mask, (machine.rows, machine.columns))[0] > 0
    assert not (chroma & ~inside).any()


def test_velocity_colour_map_is_blue_away_and_red_towards() -> None:
    colours = velocity_colour_map().astype(int)
    assert colours.shape == (256, 3)
    assert (colours[:128, 2] > colours[:128, 0]).all()
    assert (colours[128:, 0] > colours[128:, 2]).all()
