from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from heart2heart.errors import UnknownNameError
from heart2heart.synthetic.anatomy.scene import Tissue
from heart2heart.synthetic.anatomy.view_plane import SIMULATED_VIEWS, ProbePlane
from heart2heart.synthetic.config import MachineConfig, Variation
from heart2heart.synthetic.image_formation import (
    Acquisition,
    acquire,
    form_echo,
    frame_phases,
    log_compress,
    render_clip,
    render_frames,
    scatterer_indices,
)
from heart2heart.synthetic.patient import SyntheticPatient, draw_patient
from heart2heart.synthetic.scan_conversion import scan_converter

PATIENT = SyntheticPatient(quality=0.9)
TEXTBOOK = Variation(anatomy=0, windows=0)


def _around(acquisition: Acquisition, frame: npt.NDArray[np.uint8], name: str, half: int = 4) -> float:
    sector = scan_converter(acquisition.machine)
    x, z = acquisition.scene.landmarks[name]
    pixel = sector.spacing_cm(acquisition.depth_cm)
    column, row = round(sector.apex[0] + x / pixel), round(sector.apex[1] + z / pixel)
    return float(frame[row - half : row + half + 1, column - half : column + half + 1].mean())


@pytest.mark.parametrize("view", [view for view in SIMULATED_VIEWS if view != "OTHER"])
def test_acquire_makes_chambers_darker_than_walls(view: str, machine: MachineConfig) -> None:
    darker = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        acquisition = acquire(view, PATIENT, machine, rng)
        frame = render_frames(acquisition, frame_phases(1, 30.0, 70.0), rng)[0]
        chamber = _around(acquisition, frame, "LV" if "LV" in acquisition.scene.landmarks else "LA")
        darker.append(_around(acquisition, frame, "wall", 3) - chamber)
    assert np.median(darker) > 15


@pytest.mark.parametrize("view", SIMULATED_VIEWS)
def test_render_clip_is_black_outside_the_sector_and_varied_inside(view: str, machine: MachineConfig) -> None:
    clip = render_clip(view, PATIENT, machine, 2, np.random.default_rng(3))
    assert clip.shape == (2, machine.rows, machine.columns)
    assert clip.dtype == np.uint8
    flat = clip.reshape(2, -1)
    inside = scan_converter(machine).inside
    assert not np.delete(flat, inside, axis=1).any()
    assert float(flat[:, inside].std()) > 15


def test_render_clip_refuses_an_unknown_view_with_the_known_ones(machine: MachineConfig) -> None:
    with pytest.raises(UnknownNameError, match="SUBCOSTAL"):
        render_clip("PARIETAL", PATIENT, machine, 1, np.random.default_rng(0))


@pytest.mark.parametrize("view", ["A4C", "PSAX", "PLAX"])
def test_acquire_repeats_the_motion_each_beat(view: str, machine: MachineConfig) -> None:
    acquisition = acquire(view, PATIENT, machine, np.random.default_rng(2))
    phase = np.array([0.0, 1.0, 0.38], dtype=np.float32)
    cells = scatterer_indices(acquisition, phase, acquisition.grid)
    labels = acquisition.scatterers.labels.ravel()[cells]
    np.testing.assert_array_equal(labels[0], labels[1])
    blood = (labels == Tissue.BLOOD).sum(axis=(1, 2))
    assert blood[2] < 0.95 * blood[0]


def test_acquire_moves_a_weak_heart_less(machine: MachineConfig) -> None:
    def emptied(ejection: float) -> float:
        acquisition = acquire("PSAX", SyntheticPatient(ejection=ejection), machine, np.random.default_rng(2))
        labels = acquisition.scatterers.labels.ravel()[
            scatterer_indices(acquisition, np.array([0.0, 0.38], dtype=np.float32), acquisition.grid)
        ]
        blood = (labels == Tissue.BLOOD).sum(axis=(1, 2))
        return float(1.0 - blood[1] / blood[0])

    assert emptied(0.2) < emptied(0.65)


def test_render_frames_moves_the_speckle_with_the_tissue(machine: MachineConfig) -> None:
    """Neighbouring frames stay alike; frames far apart in the beat less so."""
    rng = np.random.default_rng(4)
    acquisition = acquire("A4C", PATIENT, machine, rng)
    frames = render_frames(acquisition, np.array([0.10, 0.11, 0.38], dtype=np.float32), rng).astype(np.float64)
    near = np.corrcoef(frames[0].ravel(), frames[1].ravel())[0, 1]
    far = np.corrcoef(frames[0].ravel(), frames[2].ravel())[0, 1]
    assert near > 0.9
    assert near > far + 0.03


def test_render_frames_differ_more_by_view_than_by_patient(machine: MachineConfig) -> None:
    """The mean picture of a view is nearer to a new patient's picture of that view than to others, most of the time."""
    views = ("PLAX", "PSAX", "A4C", "A2C")

    def picture(view: str, seed: int) -> npt.NDArray[np.float64]:
        rng = np.random.default_rng(seed)
        frame = render_frames(
            acquire(view, draw_patient(rng, TEXTBOOK), machine, rng), frame_phases(1, 30.0, 70.0), rng
        )[0]
        coarse: npt.NDArray[np.float64] = frame.reshape(15, 10, 20, 10).mean(axis=(1, 3)).ravel()
        return coarse

    means = np.stack([np.mean([picture(view, seed) for seed in range(8)], axis=0) for view in views])
    hits = [
        np.argmin(((picture(view, 100 + seed) - means) ** 2).sum(axis=1)) == index
        for index, view in enumerate(views)
        for seed in range(5)
    ]
    assert np.mean(hits) > 0.5


def test_log_compress_is_monotonic_and_spans_the_dynamic_range(machine: MachineConfig) -> None:
    decibel = np.linspace(-machine.dynamic_range_db - 10, 10, 200)
    gray = log_compress((10 ** (decibel / 20)).astype(np.float32)[None, None], machine)[0, 0]
    assert (np.diff(gray) >= 0).all()
    assert gray[0] == 0.0
    assert gray[-1] == 255.0


def test_log_compress_mixes_frames_by_persistence(machine: MachineConfig) -> None:
    flash = np.zeros((3, 1, 1), dtype=np.float32)
    flash[1] = 1.0
    gray = log_compress(flash, machine.model_copy(update={"persistence": 0.5}))[:, 0, 0]
    assert gray[0] == 0.0 < gray[2] < gray[1]


def test_acquire_on_a_flipped_plane_gives_the_mirror_image(machine: MachineConfig) -> None:
    def frame(flipped: bool) -> npt.NDArray[np.uint8]:
        rng = np.random.default_rng(6)
        acquisition = acquire("A4C", PATIENT, machine, rng, ProbePlane(flipped=flipped))
        picture: npt.NDArray[np.uint8] = render_frames(acquisition, frame_phases(1, 30.0, 70.0), rng)[0]
        return picture

    left, right = frame(False).astype(float), frame(True).astype(float)
    mirrored = np.roll(right[:, ::-1], 1, axis=1)  # the axis of the sector lies on a column, not between two
    assert np.corrcoef(left.ravel(), mirrored.ravel())[0, 1] > 0.98


def test_form_echo_adds_bands_at_multiples_of_the_chest_wall_by_reverberation(machine: MachineConfig) -> None:
    quiet = machine.model_copy(update={"noise_db": -120.0, "clutter_db": -10.0})
    acquisition = acquire("A4C", PATIENT, quiet, np.random.default_rng(0))
    empty = replace(acquisition.scatterers, field=np.zeros_like(acquisition.scatterers.field))
    bare = replace(acquisition, scatterers=empty, scene=replace(acquisition.scene, leaflets=[]))
    shown = replace(bare, patient=replace(PATIENT, reverberation=1.0))
    phase = frame_phases(1, 30.0, 70.0)
    with_bands, without = (
        np.abs(form_echo(each, phase, each.grid, np.random.default_rng(1)))[0].mean(axis=0) for each in (shown, bare)
    )
    depth = bare.grid.radii - bare.grid.face
    near = np.abs(depth - PATIENT.chest) < 0.1
    between = np.abs(depth - 1.5 * PATIENT.chest) < 0.1
    assert (with_bands / without)[near].mean() > 3.0
    assert (with_bands / without)[between].mean() < 1.2


def test_form_echo_raises_the_haze_as_the_acoustic_window_gets_worse(machine: MachineConfig) -> None:
    """Without tissue, leaflets and receiver noise only haze is left: 8 dB from the best window to the worst."""
    quiet = machine.model_copy(update={"noise_db": -120.0})
    acquisition = acquire("A4C", PATIENT, quiet, np.random.default_rng(0))
    empty = replace(acquisition.scatterers, field=np.zeros_like(acquisition.scatterers.field))
    bare = replace(acquisition, scatterers=empty, scene=replace(acquisition.scene, leaflets=[]))
    level = {}
    for quality in (0.1, 0.5, 0.9):
        shown = replace(bare, patient=replace(PATIENT, quality=quality))
        level[quality] = float(
            np.abs(form_echo(shown, frame_phases(1, 30.0, 70.0), shown.grid, np.random.default_rng(1))).mean()
        )
    assert 20 * np.log10(level[0.1] / level[0.5]) == pytest.approx(8.0 * 0.4, abs=0.05)
    assert 20 * np.log10(level[0.5] / level[0.9]) == pytest.approx(8.0 * 0.4, abs=0.05)
