"""A small machine and a small hospital, so that every test takes milliseconds."""

from __future__ import annotations

import pytest

from heart2heart.synthetic.config import CaseMix, HospitalConfig, MachineConfig, NonClipFiles


@pytest.fixture(scope="session")
def machine() -> MachineConfig:
    return MachineConfig(rows=150, columns=200, top=14, bottom=26, beams=48, samples=110, persistence=0.0)


@pytest.fixture(scope="session")
def hospital(machine: MachineConfig) -> HospitalConfig:
    return HospitalConfig(
        name="T",
        patients=3,
        labeled_patients=1,
        clips=(4, 5),
        frames=(2, 3),
        second_study=0.5,
        machine=machine,
        vocabulary="tmed2",
        mix=CaseMix(colour=0.2, m_mode=0.2, spectral=0.2),
        strays=NonClipFiles(text_files=2, captures=1, reports=1, truncated=1, copies=1),
    )
