"""The probabilities of a clip: by hand, and the same wherever a clip gets a view."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import data_store
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import special

from heart2heart.active_learning.model_outputs import read_tables
from heart2heart.annotate.suggestions import read_suggestions
from heart2heart.api.prediction import predict_files
from heart2heart.evaluation.probabilities import log_probabilities
from heart2heart.evaluation.sites import aggregate_groups
from heart2heart.schema.clip_probabilities import clip_log_probabilities, clip_log_probabilities_of_sums, log_softmax
from heart2heart.schema.predictions import PREDICTIONS, Predictions
from heart2heart.store.geometry import Geometry
from heart2heart.training.run import Run
from tests.schema.test_predictions import make

CLASSES = ("PLAX", "A4C")
FRAMES = np.array([[0.9, 0.1], [0.9, 0.1], [0.001, 0.999]])
"""Two frames lean to the first view, one is all but certain of the second: the mean of the probabilities is of PLAX,
the mean of the log-probabilities is of A4C."""
REAL = Path(data_store.__file__).parent / "data" / "color3d_jpeg_baseline.dcm"


def _by_hand() -> npt.NDArray[np.float64]:
    product = FRAMES.prod(0) ** (1 / len(FRAMES))
    result: npt.NDArray[np.float64] = product / product.sum()
    return result


def test_clip_log_probabilities_are_the_renormalised_mean_of_log_probabilities() -> None:
    assert FRAMES.mean(0).argmax() == 0
    assert _by_hand().argmax() == 1
    both = np.concatenate([FRAMES[:1], FRAMES, FRAMES[1:]])
    clip = np.array([1, 0, 0, 0, 1, 1])
    actual = clip_log_probabilities(np.log(both), clip, 2)
    np.testing.assert_allclose(np.exp(actual), [_by_hand(), _by_hand()])
    sums = np.stack([np.log(both)[clip == number].sum(0) for number in (0, 1)])
    np.testing.assert_allclose(clip_log_probabilities_of_sums(sums, np.array([3, 3])), actual)


def test_clip_log_probabilities_of_logits_are_the_same() -> None:
    logits = np.random.default_rng(0).normal(size=(9, 4)) * 5
    clip = np.arange(9) % 2
    of_logits = clip_log_probabilities(logits, clip, 2)
    np.testing.assert_allclose(of_logits, clip_log_probabilities(log_softmax(logits), clip, 2))


def test_log_softmax_is_scipys_and_takes_large_and_no_logits() -> None:
    logits = np.array([[0.0, 1.0, -2.0], [1e4, 0.0, -1e4]], np.float32)
    np.testing.assert_allclose(log_softmax(logits), special.log_softmax(logits.astype(np.float64), axis=-1))
    assert log_softmax(np.zeros((0, 3))).shape == (0, 3)


def _page(logits: npt.NDArray[np.float32], folder: Path) -> tuple[str, float]:
    rows = [
        {"run": "r1", "site": "A", "patient": "p", "study": "s", "clip": "c", "frame": f"c:{index:04d}", "index": index,
         "mode": "b_mode", "quality": 0.5, "role": "test", "truth": None, "logits": row.tolist(), "image": None}
        for index, row in enumerate(logits)
    ]  # fmt: skip
    Predictions(pa.Table.from_pylist(rows, schema=PREDICTIONS), make().provenance).write(folder / "p.parquet")
    suggestion = read_suggestions(folder / "p.parquet")["c"]
    return suggestion.view, suggestion.probability


def _queue(logits: npt.NDArray[np.float32]) -> tuple[str, float]:
    geometry = Geometry("tmed2", 16)
    stores: Any = SimpleNamespace(geometry=geometry, read=lambda rows: rows)
    evidence: Any = SimpleNamespace(
        geometry=geometry,
        frame_tables=lambda rows, tables: {"probabilities": log_softmax(logits[rows]).astype(np.float32)},
    )
    rows, owner = np.arange(len(logits)), np.zeros(len(logits), np.int64)
    (of_clip,) = read_tables(evidence, stores, rows, owner, 1, {"probabilities"})["probabilities"]
    return CLASSES[int(of_clip.argmax())], float(of_clip.max())


def _evaluation(logits: npt.NDArray[np.float32]) -> tuple[str, float]:
    nothing = np.zeros(len(logits), np.int64)
    log_p = log_probabilities(logits.astype(np.float64))
    scores, _, _, _ = aggregate_groups(log_p[None], nothing, nothing, nothing)
    return CLASSES[int(scores[0, 0].argmax())], float(np.exp(scores[0, 0].max()))


def test_clip_log_probabilities_are_used_by_page_queue_prediction_and_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = np.log(FRAMES).astype(np.float32) + np.array([[3.0], [-1.0], [40.0]], np.float32)
    run = SimpleNamespace(
        geometry=Geometry("tmed2", 16),
        classes=CLASSES,
        predict=lambda pixels: logits,
        path=tmp_path,
        source_sha256="0" * 64,
    )
    monkeypatch.setattr(Run, "load", lambda path, device="cpu": run)
    (predicted,) = predict_files(tmp_path, [REAL], rule="even:3")
    results = [
        (predicted.view, max(predicted.probabilities)), _page(logits, tmp_path), _queue(logits), _evaluation(logits),
    ]  # fmt: skip
    assert [view for view, _ in results] == ["A4C"] * 4
    np.testing.assert_allclose([probability for _, probability in results], _by_hand()[1], atol=1e-5)
