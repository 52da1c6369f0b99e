"""Every seed, every input that once broke a target, and a few changed ones: a reader raises what it promises."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.fuzz.mutate import mutations
from tests.fuzz.seeds import FOUND, seeds
from tests.fuzz.targets import TARGETS, run_target

CHANGED = {"dicom": 25, "clean_copy": 25, "verify_deid": 40, "config": 25, "decoders": 400}
"""Target -> how many changed seeds it gets; 150 if it is not named."""


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_run_target_raises_no_error_on_seeds_and_earlier_findings(target: str) -> None:
    known = seeds(target)
    assert known
    for data in known:
        run_target(target, data)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_run_target_raises_no_error_on_changed_seeds(target: str) -> None:
    inputs = list(islice(mutations(target, seed=7), CHANGED.get(target, 150)))
    assert inputs == list(islice(mutations(target, seed=7), len(inputs)))
    for data in inputs:
        run_target(target, data)


def test_found_folders_are_those_of_targets() -> None:
    assert {path.name for path in FOUND.iterdir()} <= set(TARGETS)
