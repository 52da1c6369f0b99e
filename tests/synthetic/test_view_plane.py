"""Planes off the standard one, and what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heart2heart.synthetic.anatomy.scene import Tissue
from heart2heart.synthetic.anatomy.view_plane import SIMULATED_VIEWS, ProbePlane, draw_probe_plane, draw_scene
from heart2heart.synthetic.patient import SyntheticPatient

PATIENT = SyntheticPatient(roughness=0.0)


def _blood(view: str, plane: ProbePlane, patient: SyntheticPatient = PATIENT) -> float:
    scene = draw_scene(view, patient, np.random.default_rng(0), plane)
    return float((scene.labels == Tissue.BLOOD).sum())


@pytest.mark.parametrize("view", SIMULATED_VIEWS)
def test_draw_probe_plane_is_wider_with_severity(view: str) -> None:
    def spread(severity: float) -> float:
        rng = np.random.default_rng(3)
        drawn = [draw_probe_plane(view, PATIENT, rng, severity=severity) for _ in range(300)]
        assert all(abs(plane.rotation) <= 0.8 and 0 <= plane.foreshortening <= 0.38 for plane in drawn)
        return float(np.std([plane.degrees for plane in drawn]) + np.std([plane.rotation for plane in drawn]))

    assert spread(0.0) < spread(1.0) < spread(2.0)


def test_draw_probe_plane_without_severity_is_the_standard_plane() -> None:
    plane = draw_probe_plane("A4C", PATIENT, np.random.default_rng(0))
    assert (plane.rotation, plane.outflow, plane.foreshortening, plane.flipped) == (0.0, 0.0, 0.0, False)


def test_draw_probe_plane_flips_the_share_of_clips_that_it_should() -> None:
    rng = np.random.default_rng(4)
    flipped = [draw_probe_plane("A4C", PATIENT, rng, flipped=0.25).flipped for _ in range(600)]
    assert np.mean(flipped) == pytest.approx(0.25, abs=0.06)


def test_draw_scene_loses_the_right_heart_as_four_chambers_turn_to_two() -> None:
    blood = [_blood("A4C", ProbePlane(rotation=turn)) for turn in (0.0, 0.4, 0.8)]
    assert blood[0] > blood[1] > blood[2]
    assert blood[2] == pytest.approx(_blood("A2C", ProbePlane()), rel=0.35)


def test_draw_scene_shows_part_of_the_right_heart_as_two_chambers_turn_to_four() -> None:
    assert _blood("A2C", ProbePlane(rotation=-0.6)) > 1.05 * _blood("A2C", ProbePlane())


def test_draw_scene_shows_the_outflow_tract_as_the_plane_tilts() -> None:
    scene = draw_scene("A4C", PATIENT, np.random.default_rng(0), ProbePlane(outflow=0.8))
    assert "aorta" in scene.landmarks
    standard = draw_scene("A4C", PATIENT, np.random.default_rng(0), ProbePlane())
    assert "aorta" not in standard.landmarks


@pytest.mark.parametrize("view", ["A4C", "A2C", "PLAX"])
def test_draw_scene_shortens_the_heart_of_a_foreshortened_plane(view: str) -> None:
    assert _blood(view, ProbePlane(foreshortening=0.3)) < 0.85 * _blood(view, ProbePlane())


def test_draw_scene_cuts_aorta_and_atrium_of_an_oblique_long_axis() -> None:
    assert _blood("PLAX", ProbePlane(rotation=0.7)) < 0.85 * _blood("PLAX", ProbePlane())


def test_draw_scene_of_a_round_heart_is_wider_than_long() -> None:
    assert _blood("A4C", ProbePlane(), replace(PATIENT, length=0.8)) < _blood("A4C", ProbePlane())


def test_draw_scene_has_pictures_without_a_heart() -> None:
    tissues = {
        tissue
        for seed in range(12)
        for tissue in np.unique(draw_scene("OTHER", PATIENT, np.random.default_rng(seed), ProbePlane()).labels)
    }
    assert {int(Tissue.LIVER), int(Tissue.LUNG), int(Tissue.BLOOD)} <= tissues
    assert int(Tissue.MYOCARDIUM) not in tissues
