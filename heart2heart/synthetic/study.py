"""All studies of one synthetic patient: what is recorded, with which settings, written and labeled.

The unit of parallel work. A study has one scanner, and the operator changes its settings from clip to clip.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from heart2heart.schema.enums import ClipMode
from heart2heart.schema.views import SCORED_VIEWS, VOCABULARIES
from heart2heart.synthetic.anatomy.view_plane import draw_probe_plane
from heart2heart.synthetic.config import HospitalConfig, MachineConfig
from heart2heart.synthetic.dicom_file import StudyHeader, recording_dataset
from heart2heart.synthetic.patient import (
    SyntheticPatient,
    clipped_normal,
    draw_identity,
    draw_patient,
    draw_study_time,
    make_uid,
)
from heart2heart.synthetic.recording import Recording, record_clip
from heart2heart.synthetic.still_images import record_m_mode, record_spectral
from heart2heart.utils import random_stream

_SECTOR_WIDTHS = (1.0, 0.84)
"""Sector widths that an operator chooses, as factors of the scanner's."""


def scanner(hospital: HospitalConfig, index: int) -> MachineConfig:
    """Return one scanner of a hospital.

    Args:
        hospital: The hospital; its `machine` is scanner 0.
        index: Number of the scanner; the same number gives the same scanner for every seed.
    """
    machine = hospital.machine
    if index == 0:
        return machine
    rng = random_stream(0, "simulate", hospital.name, "scanner", index)
    free = machine.rows // 16
    return machine.model_copy(
        update={
            "sector_degrees": min(max(machine.sector_degrees + float(rng.normal(0.0, 5.0)), 58.0), 98.0),
            "top": machine.top + int(rng.integers(0, free)),
            "bottom": machine.bottom + int(rng.integers(0, free)),
            "centre": clipped_normal(rng, machine.centre, 0.012, 0.45, 0.55),
            "face": clipped_normal(rng, machine.face, 0.015, 0.01, 0.12),
            "gain_db": machine.gain_db + float(rng.normal(0.0, 1.5)),
            "dynamic_range_db": clipped_normal(rng, machine.dynamic_range_db, 4.0, 40.0, 84.0),
            "gamma": clipped_normal(rng, machine.gamma, 0.08, 0.8, 1.8),
            "beam_width_degrees": machine.beam_width_degrees * float(np.exp(rng.normal(0.0, 0.12))),
            "pulse_mm": machine.pulse_mm * float(np.exp(rng.normal(0.0, 0.15))),
        }
    )


def operate(machine: MachineConfig, severity: float, rng: np.random.Generator) -> MachineConfig:
    """Return a scanner as an operator set it for one clip.

    Args:
        machine: The scanner.
        severity: Spread of the settings; 0 returns the scanner's presets.
        rng: Source of randomness.
    """
    width = _SECTOR_WIDTHS[int(rng.random() < 0.3)]
    frequency = float(np.exp(rng.normal(0.0, 0.08 * severity)))
    spread = {
        "gain_db": machine.gain_db + float(rng.normal(0.0, 2.0 * severity)),
        "tgc_db": min(max(machine.tgc_db + float(rng.normal(0.0, 2.5 * severity)), -18.0), 14.0),
        "dynamic_range_db": clipped_normal(rng, machine.dynamic_range_db, 3.5 * severity, 38.0, 86.0),
        "gamma": clipped_normal(rng, machine.gamma, 0.09 * severity, 0.7, 1.9),
        "focus": clipped_normal(rng, machine.focus, 0.08 * severity, 0.25, 0.9),
        "megahertz": min(max(machine.megahertz * frequency, 1.2), 4.0),
        "beam_width_degrees": min(
            max(machine.beam_width_degrees / frequency * float(np.exp(rng.normal(0.0, 0.1 * severity))), 0.8), 5.0
        ),
        "pulse_mm": min(max(machine.pulse_mm / frequency * float(np.exp(rng.normal(0.0, 0.1 * severity))), 0.45), 2.2),
        "depth_factor": min(max(machine.depth_factor * float(np.exp(rng.normal(0.0, 0.08 * severity))), 0.72), 1.45),
        "slider_db": 1.8 * severity,
    }
    if severity > 0 and width != 1.0:
        spread["sector_degrees"] = max(machine.sector_degrees * width, 45.0)
    return machine.model_copy(update=spread)


RATERS = ("rater1", "rater2")


@dataclass(frozen=True)
class WrittenFile:
    """One file that was written.

    Attributes:
        path: Relative to the hospital's folder.
        uid: SOP instance UID.
        view: The view it truly shows.
        mode: `b_mode`, `colour`, `m_mode_trace` or `spectral`.
        label: The hospital's own word for the view, or empty.
        rater: Who labeled it, or empty.
        labeled_at: When, ISO 8601, or empty.
        frames: Number of frames.
    """

    path: str
    uid: str
    view: str
    mode: ClipMode
    label: str
    rater: str
    labeled_at: str
    frames: int


def write_patient(hospital: HospitalConfig, folder: Path, seed: int, index: int) -> list[WrittenFile]:
    """Simulate and write every study of patient `index`; the first `labeled_patients` have labels."""
    rng = random_stream(seed, "simulate", hospital.name, "patient", index)
    patient = draw_patient(rng, hospital.variation)
    identity = draw_identity(hospital.name, index, rng)
    first = draw_study_time(rng)
    times = [first]
    if rng.random() < hospital.second_study:
        times.append(first + datetime.timedelta(days=int(rng.integers(40, 500))))
    written = []
    for study_index, time in enumerate(times):
        uid = make_uid(seed, hospital.name, index, study_index, "study")
        series = make_uid(seed, hospital.name, index, study_index, "series")
        study = StudyHeader(identity, time, uid, series, f"ACC{int(rng.integers(10**7, 10**8))}")
        where = folder / f"study{index:04d}_{study_index + 1}"
        where.mkdir(parents=True)
        written += _write_study(hospital, where, study, patient, seed, (index, study_index), rng)
    return written


def invented_study(hospital: HospitalConfig, seed: int) -> StudyHeader:
    """Return a study header for files that belong to no recording; the person is invented anew."""
    rng = random_stream(seed, "simulate", hospital.name, "strays")
    identity, time = draw_identity(hospital.name, 1, rng), draw_study_time(rng)
    study, series = (make_uid(seed, hospital.name, "strays", kind) for kind in ("study", "series"))
    return StudyHeader(identity, time, study, series, "ACC00000000")


def draw_recordings(hospital: HospitalConfig, labeled: bool, rng: np.random.Generator) -> list[tuple[str, ClipMode]]:
    """Draw (view, mode) of each recording from the case mix; a labeled study has every scored view in B-mode."""
    mix = hospital.mix
    names, weights = zip(*mix.weights().items(), strict=True)
    chances = np.array(weights) / sum(weights)
    modes = (ClipMode.B_MODE, ClipMode.COLOUR, ClipMode.M_MODE, ClipMode.SPECTRAL)
    shares = np.array([1.0 - mix.colour - mix.m_mode - mix.spectral, mix.colour, mix.m_mode, mix.spectral])
    count = int(rng.integers(hospital.clips[0], hospital.clips[1] + 1))
    plan = [(view, ClipMode.B_MODE) for view in SCORED_VIEWS] if labeled else []
    while len(plan) < count:
        view = names[int(rng.choice(len(names), p=chances))]
        plan.append((view, modes[int(rng.choice(4, p=np.clip(shares, 0.0, 1.0) / shares.sum()))]))
    order = rng.permutation(len(plan))
    return [plan[index] for index in order]


def _write_study(
    hospital: HospitalConfig, where: Path, study: StudyHeader, patient: SyntheticPatient, seed: int,
    key: tuple[int, int], rng: np.random.Generator,
) -> list[WrittenFile]:  # fmt: skip
    labeled = key[0] < hospital.labeled_patients
    room = scanner(hospital, int(rng.integers(hospital.variation.layouts)))
    hospital = hospital.model_copy(update={"machine": room})
    written = []
    for index, (view, mode) in enumerate(draw_recordings(hospital, labeled, rng), start=1):
        recording = record_mode(view, mode, patient, hospital, study.caption, rng, selected=labeled)
        uid = make_uid(seed, hospital.name, *key, index)
        coded = bool(rng.random() < hospital.view_code)
        # From a stream of its own: the share of tagged clips changes no picture.
        tagged = bool(
            random_stream(seed, "simulate", hospital.name, "phase", *key, index).random() < hospital.phase_tags
        )
        dataset = recording_dataset(
            recording,
            uid,
            study,
            hospital,
            index,
            recording.heart_rate or patient.heart_rate,
            view_code=coded,
            phase_tags=tagged,
        )
        path = where / f"IM{index:04d}{hospital.suffix}"
        dataset.save_as(path, enforce_file_format=True)
        word = (
            local_term(hospital.vocabulary, recording.view, rng)
            if labeled and recording.mode in (ClipMode.B_MODE, ClipMode.COLOUR)
            else ""
        )
        rater = RATERS[int(rng.integers(2))] if word else ""
        at = (study.time + datetime.timedelta(days=3, minutes=index)).isoformat() if word else ""
        name = f"{where.name}/{path.name}"
        written.append(WrittenFile(name, uid, recording.view, recording.mode, word, rater, at, len(recording.frames)))
    return written


def record_mode(
    view: str,
    mode: ClipMode,
    patient: SyntheticPatient,
    hospital: HospitalConfig,
    caption: tuple[str, ...],
    rng: np.random.Generator,
    *,
    selected: bool = True,
) -> Recording:
    """Record one clip or still of `mode`; an M-mode or spectral still chooses its own view.

    Args:
        view: Intended view.
        mode: What is recorded.
        patient: Whose heart.
        hospital: Machine, overlays, and how much clips vary.
        caption: Lines of the banner.
        rng: Source of randomness.
        selected: Whether the clip is one that was selected for labels; others are more often off-axis.
    """
    variation = hospital.variation
    window = clipped_normal(rng, patient.quality, 0.08 * variation.windows, 0.02, 0.98)
    patient = replace(patient, quality=window)
    hospital = hospital.model_copy(update={"machine": operate(hospital.machine, variation.settings, rng)})
    if mode == ClipMode.M_MODE:
        return record_m_mode(patient, hospital, caption, rng)
    if mode == ClipMode.SPECTRAL:
        return record_spectral(patient, hospital, caption, rng)
    colour = mode == ClipMode.COLOUR
    severity = variation.planes * (1.0 if selected else variation.pool_planes)
    flipped = 0.0 if colour else variation.flipped
    plane = draw_probe_plane(view, patient, rng, severity=severity, flipped=flipped)
    return record_clip(view, patient, hospital, caption, rng, colour=colour, plane=plane)


def local_term(vocabulary: str, view: str, rng: np.random.Generator) -> str:
    """Return one of the words that a vocabulary has for a view, its word for any other view, or nothing."""
    words = VOCABULARIES[vocabulary]
    for meaning_wanted in (view, "OTHER"):
        terms = [word for word, meaning in words.items() if meaning == meaning_wanted]
        if terms:
            return terms[int(rng.integers(len(terms)))]
    return ""
