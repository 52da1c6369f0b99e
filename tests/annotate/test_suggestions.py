"""Suggestions of a model and the order of a queue, and files that are neither."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heart2heart.annotate.suggestions import read_queue, read_suggestions
from heart2heart.errors import ConfigError, LabelError, MissingInputError, UnknownNameError
from heart2heart.schema.predictions import PREDICTIONS, Predictions
from tests.schema.test_predictions import make

RNG = np.random.default_rng(0)


def _predictions(clips: int, frames: int) -> Predictions:
    """Return random predictions of two runs; the second one has an altered copy of each frame as well."""
    rows = []
    for clip in range(clips):
        for run, role in (("r1", "test"), ("r2", "test"), ("r2", "sector_masked")):
            rows += [
                {"run": run, "site": "A", "patient": "p", "study": "s", "clip": f"c{clip}",
                 "frame": f"c{clip}:{index:04d}", "index": index, "mode": "b_mode", "quality": 0.5, "role": role,
                 "truth": None, "logits": [float(x) for x in RNG.normal(size=2)], "image": None}
                for index in range(frames)
            ]  # fmt: skip
    one = make()
    runs = tuple(one.provenance.runs[0].model_copy(update={"run": run}) for run in ("r1", "r2"))
    provenance = one.provenance.model_copy(update={"runs": runs})
    return Predictions(pa.Table.from_pylist(rows, schema=PREDICTIONS), provenance)


def test_read_suggestions_takes_the_mean_of_log_probabilities(tmp_path: Path) -> None:
    predictions = _predictions(clips=6, frames=3)
    predictions.write(tmp_path / "p.parquet")
    suggestions = read_suggestions(tmp_path / "p.parquet", "r2")
    assert sorted(suggestions) == [f"c{clip}" for clip in range(6)]
    for clip, suggestion in suggestions.items():
        logits_of_clip = [
            row["logits"]
            for row in predictions.table.to_pylist()
            if (row["clip"], row["run"], row["role"]) == (clip, "r2", "test")
        ]
        shares = [np.exp(logits) / np.exp(logits).sum() for logits in np.array(logits_of_clip, np.float64)]
        mean = np.exp(np.mean(np.log(shares), axis=0))
        mean /= mean.sum()
        assert suggestion.view == ("PLAX", "A4C")[int(mean.argmax())]
        assert suggestion.probability == pytest.approx(mean.max())
        assert suggestion.run == "r2"


def test_read_suggestions_chooses_the_run(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    _predictions(clips=1, frames=1).write(path)
    with pytest.raises(ConfigError, match="--run: r1, r2"):
        read_suggestions(path)
    with pytest.raises(UnknownNameError, match="unknown run 'r3'"):
        read_suggestions(path, "r3")
    make().write(path)
    assert read_suggestions(path)["c"].view == "A4C"


def test_read_queue_keeps_the_order(tmp_path: Path) -> None:
    table = pa.table({"clip": ["c2", "c1", "c3"], "why": ["entropy 0.9", None, "rare"], "score": [1.0, 2.0, 3.0]})
    pq.write_table(table, tmp_path / "q.parquet")
    (tmp_path / "q.csv").write_text("why,clip\nentropy 0.9,c2\n,c1\nrare,c3\n", encoding="utf-8")
    for name in ("q.parquet", "q.csv"):
        assert list(read_queue(tmp_path / name).items()) == [("c2", "entropy 0.9"), ("c1", ""), ("c3", "rare")]


@pytest.mark.parametrize("name", ["q.parquet", "q.csv"])
def test_read_queue_refuses_other_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(MissingInputError, match="no queue file here"):
        read_queue(path)
    path.write_bytes(b"\x00\xff\xfe,not a table\n1\n")
    with pytest.raises(LabelError, match="queue"):
        read_queue(path)
    table = pa.table({"clip": pa.array([], pa.string()), "why": pa.array([], pa.string())})
    pq.write_table(table, path) if name == "q.parquet" else path.write_text("clip,why\n")
    with pytest.raises(MissingInputError, match="names no clip"):
        read_queue(path)
