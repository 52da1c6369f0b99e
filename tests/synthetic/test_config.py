from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heart2heart.errors import ConfigError
from heart2heart.synthetic.config import HospitalConfig
from heart2heart.synthetic.presets import four_hospitals, fresh_hospitals


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vocabulary": "klingon"}, "clinical"),
        ({"labeled_patients": 30, "patients": 3}, "must not exceed patients"),
        ({"frames": [9, 3]}, "fewest"),
        ({"name": "../elsewhere"}, "name"),
        ({"mix": {"colour": 0.7, "spectral": 0.6}}, "must not exceed 1"),
        ({"mix": dict.fromkeys(("plax", "psax", "a4c", "a2c", "a3c", "a5c", "subcostal", "other"), 0)}, "above 0"),
        ({"machine": {"beam": 3}}, "unknown key"),
    ],
)
def test_hospital_config_refuses_bad_values_with_a_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        HospitalConfig.parse({"name": "X", "labeled_patients": 0, **change}, where="test")


def test_hospital_config_is_the_same_after_yaml(tmp_path: Path, hospital: HospitalConfig) -> None:
    hospital.save(tmp_path / "hospital.yaml")
    assert HospitalConfig.load(tmp_path / "hospital.yaml") == hospital


def test_four_hospitals_differ_where_it_matters() -> None:
    hospitals = four_hospitals()
    assert [hospital.name for hospital in hospitals] == ["A", "B", "C", "D"]
    for name in ("machine", "syntax", "vocabulary", "manufacturer", "frame_rate"):
        assert len({str(getattr(hospital, name)) for hospital in hospitals}) == 4, name
    assert all(hospital.labeled_patients <= hospital.patients / 4 for hospital in hospitals)


def test_fresh_hospitals_are_drawn_the_same_each_time_and_differ_from_the_demos() -> None:
    fresh, demo = fresh_hospitals(), four_hospitals()
    assert fresh == fresh_hospitals()
    assert [hospital.name for hospital in fresh] == ["E", "F", "G", "H"]
    for name in ("machine", "syntax", "vocabulary", "manufacturer"):
        assert len({str(getattr(hospital, name)) for hospital in fresh}) == 4, name
    machines = {hospital.machine.digest() for hospital in (*fresh, *demo)}
    assert len(machines) == 8
    assert {hospital.model for hospital in fresh}.isdisjoint(hospital.model for hospital in demo)


def test_four_hospitals_scale_the_number_of_patients_only() -> None:
    small = four_hospitals(0.1)
    assert sum(hospital.patients for hospital in small) < 30
    assert [hospital.machine for hospital in small] == [hospital.machine for hospital in four_hospitals()]
    with pytest.raises(ConfigError, match="above 0"):
        four_hospitals(0)
