"""Scanners of a hospital, and what an operator changes on them."""

from __future__ import annotations

import numpy as np
import pytest

from heart2heart.synthetic.config import HospitalConfig, MachineConfig
from heart2heart.synthetic.presets import four_hospitals, fresh_hospitals
from heart2heart.synthetic.study import operate, scanner

HOSPITALS = (*four_hospitals(), *fresh_hospitals())


@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda hospital: str(hospital.name))
def test_operate_stays_within_what_a_machine_can_do(hospital: HospitalConfig) -> None:
    rng = np.random.default_rng(0)
    for index in range(hospital.variation.layouts):
        for _ in range(40):
            machine = operate(scanner(hospital, index), 2.0, rng)
            assert MachineConfig.parse(machine.model_dump(), where="test") == machine


def test_operate_without_severity_keeps_the_presets() -> None:
    machine = MachineConfig()
    assert operate(machine, 0.0, np.random.default_rng(1)) == machine


def test_operate_spreads_gain_and_depth_with_severity() -> None:
    def spread(severity: float) -> tuple[float, float]:
        rng = np.random.default_rng(2)
        drawn = [operate(MachineConfig(), severity, rng) for _ in range(200)]
        return float(np.std([m.gain_db for m in drawn])), float(np.std([m.depth_factor for m in drawn]))

    assert all(wide > 1.5 * narrow for wide, narrow in zip(spread(1.0), spread(0.5), strict=True))


def test_scanner_zero_is_the_hospitals_machine_and_others_are_the_same_each_time() -> None:
    hospital = HOSPITALS[0]
    assert scanner(hospital, 0) == hospital.machine
    assert scanner(hospital, 1) == scanner(hospital, 1) != scanner(hospital, 2)
