"""Suspects by cleanlab: what it is given and what is made of its answer; with the library itself where it is there."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from heart2heart.errors import MissingInputError, UnknownNameError
from heart2heart.labels.events import LabelEvent
from heart2heart.labels.label_errors import DETECTORS, find_label_errors
from heart2heart.schema.predictions import Predictions
from tests.labels.test_label_errors import CLASSES, _label_event, _predictions

SHARES = [(0.9, 0.1), (0.6, 0.4), (0.3, 0.7), (0.2, 0.8)]


def _four() -> tuple[Predictions, list[LabelEvent]]:
    clips = [f"c{index}" for index in range(4)]
    events = [_label_event(clip, CLASSES[index % 2]) for index, clip in enumerate(clips)]
    return _predictions([(clip, 0, "test", shares) for clip, shares in zip(clips, SHARES, strict=True)]), events


def test_find_cleanlab_issues_names_the_extra_and_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, events = _four()
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    for name in ("cleanlab.count", "cleanlab.filter"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(MissingInputError, match=r"not installed\. Run: pip install 'heart2heart\[cleanlab\]' \(AGPL"):
        find_label_errors([predictions], events, detector="cleanlab")
    with pytest.raises(UnknownNameError, match="Known: cleanlab, confident_learning"):
        find_label_errors([predictions], events, detector="judy")


def test_find_cleanlab_issues_gives_mask_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def find_label_issues(labels: Any, shares: Any, *, n_jobs: int) -> Any:
        calls.append((labels.tolist(), shares, n_jobs))
        return np.array([False, True, True, False])

    for name, function in (("count", lambda labels, shares: 2), ("filter", find_label_issues)):
        module: Any = ModuleType(f"cleanlab.{name}")
        module.num_label_issues = module.find_label_issues = function
        monkeypatch.setitem(sys.modules, f"cleanlab.{name}", module)
    monkeypatch.setitem(sys.modules, "cleanlab", ModuleType("cleanlab"))
    predictions, events = _four()
    report = find_label_errors([predictions], events, detector="cleanlab")
    (labels, shares, jobs) = calls[0]
    assert (labels, jobs) == ([0, 1, 0, 1], 1)
    assert shares == pytest.approx(np.array(SHARES), abs=1e-6)
    # Ranked by the normalised margin, which is -0.4 for c2 and -0.2 for c1.
    assert [(one.clip, one.label, one.model) for one in report.issues] == [
        ("c2", "PLAX", "A4C"),
        ("c1", "A4C", "PLAX"),
    ]
    assert (report.clips, report.expected_errors) == (4, 2.0)


def test_find_cleanlab_issues_finds_planted_errors() -> None:
    pytest.importorskip("cleanlab", reason="cleanlab (AGPL-3.0) is installed by nobody but you")
    rng = np.random.default_rng(3)
    truth, faulty = rng.integers(2, size=400), rng.random(400) < 0.1
    sure = np.clip(0.8 + rng.normal(0, 0.05, 400), 0, 1)
    shares = np.where(np.arange(2) == truth[:, None], sure[:, None], 1 - sure[:, None])
    clips = [f"c{index:03d}" for index in range(400)]
    events = [_label_event(clip, CLASSES[truth[index] ^ faulty[index]]) for index, clip in enumerate(clips)]
    predictions = _predictions([(clip, 0, "test", shares[index]) for index, clip in enumerate(clips)])
    by_cleanlab, by_joint = (find_label_errors([predictions], events, detector=name) for name in DETECTORS[::-1])
    named = {one.clip for one in by_cleanlab.issues}
    wrong = {clip for index, clip in enumerate(clips) if faulty[index]}
    assert len(named & wrong) > 0.9 * len(wrong)
    assert len(named - wrong) < 0.1 * len(wrong)
    assert by_cleanlab.expected_errors == pytest.approx(faulty.sum(), rel=0.25)
    assert len(named & {one.clip for one in by_joint.issues}) > 0.9 * len(named)
