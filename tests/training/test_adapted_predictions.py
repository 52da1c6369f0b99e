"""A run adapted at several hospitals becomes one model: each hospital's rows come from the run adapted there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from heart2heart.errors import RunError
from heart2heart.evaluation.evaluate import evaluate_predictions
from heart2heart.schema.adaptation import AdaptationRecord, AdaptationSettings
from heart2heart.schema.predictions import Predictions
from heart2heart.training.adapt import join_adapted
from tests.evaluation.factory import HOSPITALS, make_predictions


def record(site: str, *, source: str = "fixmatch", seed: int = 0) -> AdaptationRecord:
    return AdaptationRecord(
        site=site, settings=AdaptationSettings(seed=seed), source_run=source, source_weights_sha256=source,
        store_digest="d", chosen_by="split", patients=(), pixel_hashes=(), clips=1, frames=1, layers=3,
        kept_source=False, outcome="adapted",
    )  # fmt: skip


def part(run: str, method: str, shift: float) -> Predictions:
    """Return the predictions of one run, whose logits are those of the factory plus `shift`."""
    whole = make_predictions(hospitals=HOSPITALS[:3])
    first = whole.provenance.runs[0]
    table = whole.table.filter(pc.equal(whole.table["run"], first.run))
    logits = [[value + shift for value in row] for row in table["logits"].to_pylist()]
    columns = {
        "run": pa.array([run] * len(table), pa.string()),
        "logits": pa.array(logits, pa.list_(pa.float32())),
    }
    table = pa.table([columns.get(name, table[name]) for name in table.column_names], schema=table.schema)
    info = first.model_copy(update={"run": run, "method": method})
    return Predictions(table, whole.provenance.model_copy(update={"runs": (info,)}))


def test_join_adapted_takes_each_hospital_from_the_run_adapted_there() -> None:
    plain = part("fixmatch", "FixMatch", 0)
    at_east, at_south = part("e", "FixMatch, adapted at east", 1), part("s", "FixMatch, adapted at south", 2)
    joined = join_adapted([plain, at_east, at_south], [None, record("east"), record("south")])
    assert len(joined) == 2
    assert joined[0] is plain
    table = joined[1].table.sort_by("frame")
    original = plain.table.sort_by("frame")
    assert len(table) == len(original)
    shift = np.array([row[0] for row in table["logits"].to_pylist()])
    shift -= [row[0] for row in original["logits"].to_pylist()]
    sites = table["site"].to_numpy(zero_copy_only=False)
    # Elsewhere every adapted run predicts as its source; the first one stands for all.
    for site, expected in (("north", 1), ("east", 1), ("south", 2)):
        np.testing.assert_allclose(shift[sites == site], expected, atol=1e-5)
    info = joined[1].provenance.runs[0]
    assert (info.run, info.method) == ("fixmatch_adapted", "FixMatch, adapted at east, south")
    assert info.facts.adaptation == "batch statistics of each hospital"
    assert set(table["run"].to_pylist()) == {"fixmatch_adapted"}
    metrics = evaluate_predictions(Predictions.concat(joined), replicates=100)
    assert [method.method for method in metrics.methods] == ["FixMatch", "FixMatch, adapted at east, south"]


def test_join_adapted_keeps_seeds_and_settings_apart() -> None:
    parts = [part(name, f"M, adapted at {site}", 0) for name, site in (("a", "east"), ("b", "south"), ("c", "south"))]
    records = [record("east"), record("south", source="other"), record("south", seed=3)]
    assert join_adapted(parts, records) == parts


def test_join_adapted_refuses_two_adaptations_at_one_hospital() -> None:
    parts = [part(name, "M, adapted at east", 0) for name in "ab"]
    with pytest.raises(RunError, match="adapted twice at one hospital"):
        join_adapted(parts, [record("east"), record("east")])
