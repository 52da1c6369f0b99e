"""One small seeded study through the command line, compared with values kept in tests/golden.

A refactoring changes nothing here. After a deliberate change of behaviour, write the values anew and read their diff:

    H2H_GOLDEN=write python -m pytest tests/test_golden.py && git diff tests/golden

The kept values hold on every processor and number of threads: what floating point may change is left out or compared
with a tolerance.
"""

from __future__ import annotations

import difflib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests import golden_study as study

GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 0.002
"""Of predicted numbers; four steps at a small learning rate keep the rounding of a processor far below it."""


def check(name: str, facts: study.Facts) -> None:
    """Compare facts with tests/golden/NAME.json and show a diff, or write the file when H2H_GOLDEN=write."""
    path = GOLDEN / f"{name}.json"
    if os.environ.get("H2H_GOLDEN") == "write":
        assert not os.environ.get("CI"), "golden values are not written under CI"
        path.write_text(_text(facts), encoding="utf-8")
    kept = json.loads(path.read_text(encoding="utf-8"))
    facts = json.loads(json.dumps(facts))
    _close(kept.get("numbers"), facts.get("numbers"), "numbers")
    kept, facts = ({key: value for key, value in each.items() if key != "numbers"} for each in (kept, facts))
    one, other = _text(kept).splitlines(), _text(facts).splitlines()
    lines = list(difflib.unified_diff(one, other, f"kept {path.name}", "found", lineterm=""))
    assert not lines, "\n".join([f"{path.name}; H2H_GOLDEN=write accepts what was found:", *lines])


def _text(facts: study.Facts) -> str:
    return json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _close(kept: Any, computed: Any, where: str) -> None:
    if isinstance(kept, float) and isinstance(computed, float):
        assert math.isclose(kept, computed, rel_tol=0, abs_tol=TOLERANCE), f"{where}: kept {kept}, found {computed}"
    elif isinstance(kept, list) and isinstance(computed, list):
        assert len(kept) == len(computed), f"{where}: kept {len(kept)} items, found {len(computed)}"
        for index, (one, other) in enumerate(zip(kept, computed, strict=True)):
            _close(one, other, f"{where}[{index}]")
    elif isinstance(kept, dict) and isinstance(computed, dict):
        assert sorted(kept) == sorted(computed), f"{where}: other keys"
        for name in kept:
            _close(kept[name], computed[name], f"{where}.{name}")
    else:
        assert kept == computed, f"{where}: kept {kept!r}, found {computed!r}"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


def test_help() -> None:
    check("help", dict(study.facts_of_help()))


def test_simulation(tmp_path: Path) -> None:
    check("simulation", study.facts_of_simulation(tmp_path))


def test_study(root: Path) -> None:
    """One test, since each stage reads what the one before wrote; every stage is run before the first is compared."""
    stages = ("ingest", "labels", "split", "training", "evaluation", "queue")
    stage_facts = {stage: getattr(study, f"facts_of_{stage}")(root) for stage in stages}
    faults = []
    for stage, facts in stage_facts.items():
        try:
            check(stage, facts)
        except AssertionError as error:
            faults.append(f"{stage}: {error}")
    assert not faults, "\n\n".join(faults)
