"""Inputs beside the validation, and silent models beside the active one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heart2heart.errors import ConfigError, EvaluationError
from heart2heart.schema.service import ClipMeasures
from heart2heart.service.monitoring import (
    CHANGED,
    Agreement,
    input_shifts,
    make_reference,
    read_reference,
    stability_index,
    weekly_agreement,
)
from heart2heart.service.page import service_page
from heart2heart.utils import write_json
from tests.service.support import FixedModel, make_clip, open_service, settings_of

WEIGHTS = "a" * 64


def measures(count: int, *, seed: int, brighter: float = 0.0, maker: str = "GE") -> list[ClipMeasures]:
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        gray = draw.dirichlet(np.linspace(2, 1 + brighter, 16))
        frames, confidence = int(draw.integers(20, 60)), float(draw.uniform(0.5, 1))
        rows.append(
            ClipMeasures(
                gray=tuple(gray), sector=float(draw.uniform(0.3, 0.5)), frames=frames, manufacturer=maker,
                confidence=confidence,
            )
        )  # fmt: skip
    return rows


def test_input_shifts_mark_a_new_scanner_and_nothing_else() -> None:
    reference = make_reference(measures(1500, seed=1), weights_sha256=WEIGHTS)
    same = {each.name: each.shift for each in input_shifts(reference, measures(1500, seed=2))}
    assert max(same.values()) < 0.1
    changed = input_shifts(reference, measures(400, seed=3, brighter=4, maker="Philips"))
    assert {each.name for each in changed if each.shift > CHANGED} == {"gray mean", "gray black", "manufacturer"}
    assert input_shifts(reference, measures(49, seed=4)) == []


@given(shares=st.lists(st.integers(0, 100), min_size=2, max_size=10), clips=st.integers(1, 1000))
def test_stability_index_is_zero_for_equal_shares_and_never_negative(shares: list[int], clips: int) -> None:
    first = np.array(shares, float) + (sum(shares) == 0)
    p, q = first / first.sum(), first[::-1] / first.sum()
    assert stability_index(p, p, clips=clips) == pytest.approx(0)
    # by its definition, summed by hand
    a = 0.5 / clips
    pairs = [((x + a) / (1 + a * len(p)), (y + a) / (1 + a * len(p))) for x, y in zip(q, p, strict=True)]
    expected = sum((x - y) * np.log(x / y) for x, y in pairs)
    assert stability_index(p, q, clips=clips) == pytest.approx(expected, abs=1e-12)
    assert expected >= 0


def test_read_reference_refuses_another_model_and_too_few_clips(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    reference = make_reference(measures(30, seed=1), weights_sha256=WEIGHTS)
    write_json(path, reference.model_dump(mode="json"))
    assert read_reference(path, weights_sha256=WEIGHTS) == reference
    with pytest.raises(ConfigError, match="another model"):
        read_reference(path, weights_sha256="b" * 64)
    write_json(path, [1])
    with pytest.raises(ConfigError):
        read_reference(path, weights_sha256=WEIGHTS)
    with pytest.raises(EvaluationError, match="20 clips"):
        make_reference(measures(19, seed=1), weights_sha256=WEIGHTS)


def test_weekly_agreement_counts_clips_with_one_view_of_both(tmp_path: Path) -> None:
    names = [
        {"name": "one", "path": "run"},
        *({"name": name, "path": "run", "silent": True} for name in ("two", "three")),
    ]
    models = FixedModel("one", 1), FixedModel("two", 1), FixedModel("three", 0)
    with open_service(settings_of(tmp_path / "service", models=names), models) as service:
        for index in range(2):
            service.spool.store(f"1.2.{index}", make_clip(tmp_path, index).read_bytes())
        service.spool.store("1.2.9", b"damaged")
        service.intake.scan()
        service._answerer.answer_batch()
        points = weekly_agreement(service.queue)
        page = service_page(service.queue, [])
        assert service.queue.answers("none") == {}
    week = points[0].week
    assert points == [Agreement("three", week, 2, 0), Agreement("two", week, 2, 2)]
    assert "0 of 2" in page
    assert "2 of 2" in page
    assert "excluded:not_dicom" in page
