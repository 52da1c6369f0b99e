"""A run adapted to a hospital: what it may see, what it predicts there and elsewhere, and when it stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heart2heart.api import evaluate
from heart2heart.api.adaptation import adapt
from heart2heart.errors import ConfigError, ExistsError, LeakageError, RunError, SplitError
from heart2heart.export.export import export_run
from heart2heart.schema.adaptation import AdaptationRecord
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import FrameStore
from heart2heart.training import checkpoint
from heart2heart.training.adaptation_statistics import read_statistics
from heart2heart.training.run import Run
from heart2heart.training.train import train
from heart2heart.utils import write_json
from tests.training.adaptation_study import TRAINING, AdaptationStudy, adaptation_study, scored_patients, write_clips


@pytest.fixture(scope="module")
def source(study: AdaptationStudy, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(study.tiny().config(**TRAINING), tmp_path_factory.mktemp("runs") / "source")


@pytest.fixture(scope="module")
def adapted(source: Run, study: AdaptationStudy, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return adapt(source, study.store, tmp_path_factory.mktemp("adapted") / "source_at_b", site="B")


def record_of(run: Run) -> AdaptationRecord:
    record = run.directory.record.adaptation
    assert record is not None
    return record


def accuracy(run: Run, study: AdaptationStudy, site: str) -> float:
    """Return the share of right test frames at a hospital."""
    store, split = FrameStore.open(study.store), SplitManifest.load(study.split)
    selected = split.select(store, "test")
    here = np.array(selected.members["site"].to_pylist()) == site
    logits = run.predict_at(store.read(selected.rows[here]), [site] * int(here.sum()))
    return float((logits.argmax(1) == selected.targets[here]).mean())


def test_adapt_helps_at_the_hospital_and_leaves_others_as_they_were(
    source: Run, adapted: Run, study: AdaptationStudy
) -> None:
    assert record_of(adapted).kept_source is False, record_of(adapted).outcome
    assert accuracy(source, study, "A") > 0.9
    assert accuracy(adapted, study, "B") > accuracy(source, study, "B") + 0.2
    pixels = FrameStore.open(study.store).read(np.arange(20))
    elsewhere = adapted.predict_at(pixels, ["A"] * 10 + ["B"] * 10)
    np.testing.assert_allclose(elsewhere[:10], source.predict(pixels[:10]), atol=1e-5)
    np.testing.assert_allclose(elsewhere[10:], adapted.predict(pixels[10:]), atol=1e-5)
    assert not np.allclose(elsewhere[10:], source.predict(pixels[10:]), atol=1e-2)


def test_adapt_sees_no_scored_patient_and_records_what_decided(adapted: Run, study: AdaptationStudy) -> None:
    split, store = SplitManifest.load(study.split), FrameStore.open(study.store)
    record = record_of(adapted)
    aside = {row["patient"] for row in split.members.to_pylist() if row["role"] == "adaptation"}
    assert set(record.patients) == aside
    assert not aside & scored_patients(split)
    assert (record.site, record.chosen_by, record.clips, record.frames) == ("B", "split", 16, 48)
    assert record.weight == pytest.approx(record.effective_patients / (record.effective_patients + 1))
    assert {check.name for check in record.checks} >= {"patients", "entropy", "collapse"}
    assert len(record.pixel_hashes) == 16
    hashes = dict(zip(store.clips["patient"].to_pylist(), store.clips["pixel_hash"].to_pylist(), strict=True))
    assert not set(record.pixel_hashes) & {hashes[patient] for patient in scored_patients(split)}
    assert record.before is not None
    assert record.after is not None
    assert sum(record.after.shares.values()) == pytest.approx(1)


def test_adapt_changes_nothing_but_statistics(source: Run, adapted: Run) -> None:
    before = checkpoint.load(source.directory.best_checkpoint)["weights"]
    content = checkpoint.load(adapted.directory.best_checkpoint)
    changed = {name for name, value in before.items() if not torch.equal(value, content["weights"][name])}
    assert changed == set(content["source_weights"])
    assert {name.rsplit(".", 1)[1] for name in changed} == {"running_mean", "running_var"}
    assert all(torch.equal(value, before[name]) for name, value in content["source_weights"].items())


def test_adapt_makes_an_ordinary_run(adapted: Run, study: AdaptationStudy, tmp_path: Path) -> None:
    metrics = evaluate(adapted.path, study.store, tmp_path / "evaluation", replicates=100, probes=True)
    assert [(site.site, site.held_out) for site in metrics.sites] == [("A", False), ("B", True)]
    info = Run.load(adapted.path).info()
    assert info.facts.adaptation == "batch statistics of B"
    assert info.method.endswith("adapted at B")
    assert list(export_run(adapted, tmp_path / "exported", ("pt2",)))


def test_adapt_gives_the_same_run_twice(source: Run, adapted: Run, study: AdaptationStudy, tmp_path: Path) -> None:
    again = adapt(source.path, study.store, tmp_path / "again", site="B")
    one, other = (read_statistics(run.network) for run in (adapted, again))
    assert all(torch.equal(one[name].mean, other[name].mean) for name in one)
    assert record_of(again).model_copy(update={"seconds": 0.0}) == record_of(adapted).model_copy(
        update={"seconds": 0.0}
    )


def test_evaluate_refuses_a_run_adapted_to_scored_patients(
    adapted: Run, study: AdaptationStudy, tmp_path: Path
) -> None:
    split, store = SplitManifest.load(study.split), FrameStore.open(study.store)
    scored = sorted(patient for patient in scored_patients(split) if patient.startswith("B"))
    clips = {row["patient"]: row["pixel_hash"] for row in store.clips.to_pylist()}
    for name, update in (
        ("patients who adapted this run", {"patients": (*record_of(adapted).patients, scored[0])}),
        ("under another pseudonym", {"pixel_hashes": (clips[scored[0]],)}),
    ):
        record = record_of(adapted).model_copy(update=update)
        run = adapted.directory.record.model_copy(update={"adaptation": record})
        folder = tmp_path / name.replace(" ", "_")
        folder.mkdir()
        (folder / "config.yaml").write_text((adapted.path / "config.yaml").read_text())
        write_json(folder / "run.json", run.model_dump(mode="json"))
        with pytest.raises(LeakageError, match=name) as error:
            evaluate(folder, study.store, tmp_path / "evaluation", replicates=100)
        assert "Adapt the source run again" in str(error.value)


def test_adapt_at_a_hospital_that_the_split_does_not_know(source: Run, tmp_path: Path) -> None:
    store = write_clips(tmp_path / "new", {"N": 6}, seed=3)
    record = record_of(adapt(source, store.root, tmp_path / "at_n"))
    assert record.chosen_by == "seed"
    assert (len(record.patients), len(record.reserved_patients)) == (3, 3)
    assert not set(record.patients) & set(record.reserved_patients)
    other = record_of(adapt(source, store.root, tmp_path / "other", seed=5))
    assert set(other.patients) | set(other.reserved_patients) == set(record.patients) | set(record.reserved_patients)
    assert other.patients != record.patients


def test_adapt_keeps_the_source_statistics_where_a_check_fails(source: Run, tmp_path: Path) -> None:
    store = write_clips(tmp_path / "one_view", {"S": 6}, views=(0,), seed=4)  # pictures as at the source, of one view
    run = adapt(source, store.root, tmp_path / "kept")
    record = record_of(run)
    assert record.kept_source
    assert record.outcome.startswith("kept the source's statistics because ")
    assert (record.weight, record.statistics) == (0, "source")
    assert {check.name for check in record.checks if not check.passed} >= {"views", "views with weighted frames"}
    pixels = store.read(np.arange(6))
    np.testing.assert_array_equal(run.predict(pixels), source.predict(pixels))
    assert f"adaptation: {record.outcome}" in run.directory.record.notes
    forced = adapt(source, store.root, tmp_path / "forced", refuse=False)
    assert not np.allclose(forced.predict(pixels), source.predict(pixels))


def test_adapt_with_labels_adjusts_temperature_and_shares(source: Run, study: AdaptationStudy, tmp_path: Path) -> None:
    from heart2heart.evaluation.probabilities import fit_temperature
    from heart2heart.schema.adaptation import AdaptationSettings
    from heart2heart.training.adapt import adapt_run
    from heart2heart.training.unscored_frames import choose_patients, select_frames

    store, split = FrameStore.open(study.store), SplitManifest.load(study.split)
    settings = AdaptationSettings(shots=10)
    frames = select_frames(store, "B", choose_patients(split, store, "B", settings), settings, {"b_mode"})
    run = adapt_run(
        source, frames, split, tmp_path / "out", settings, store_digest="", labels=study.labels,
        fit_temperature=fit_temperature,
    )  # fmt: skip
    record = record_of(run)
    assert (record.labels, len(record.logit_offset)) == (10, 4)
    assert record.temperature != 1
    pixels = store.read(frames.rows[:5])
    unadjusted = adapt(source, study.store, tmp_path / "plain", site="B").predict(pixels)
    expected = unadjusted / record.temperature + np.array(record.logit_offset, np.float32)
    np.testing.assert_allclose(run.predict(pixels), expected, rtol=1e-4, atol=1e-4)


def test_adapt_minimises_entropy_on_scale_and_shift(source: Run, study: AdaptationStudy, tmp_path: Path) -> None:
    run = adapt(source, study.store, tmp_path / "tent", site="B", entropy_steps=5, refuse=False)
    changed = checkpoint.load(run.directory.best_checkpoint)["source_weights"]
    assert {name.rsplit(".", 1)[1] for name in changed} == {"running_mean", "running_var", "weight", "bias"}
    assert all(parameter.requires_grad for parameter in run.network.parameters())
    assert [check.name for check in record_of(run).checks][-1] == "collapse with minimised entropy"
    store = write_clips(tmp_path / "one_view", {"S": 6}, views=(0,), seed=4)
    kept = adapt(source, store.root, tmp_path / "kept", entropy_steps=5)
    assert record_of(kept).kept_source
    assert not any("minimised" in check.name for check in record_of(kept).checks)


def spoil(**changes: Any) -> Callable[[Run, AdaptationStudy, Path], Any]:
    return lambda run, study, folder: adapt(run, study.store, folder / "out", **{"site": "B", **changes})


def one_patient(run: Run, study: AdaptationStudy, folder: Path) -> Any:
    patient = next(
        row["patient"] for row in SplitManifest.load(study.split).members.to_pylist() if row["role"] == "adaptation"
    )
    return adapt(run, study.store, folder / "out", site="B", patients=[patient])


def only_doppler(run: Run, study: AdaptationStudy, folder: Path) -> Any:
    return adapt(run, write_clips(folder / "doppler", {"N": 4}, mode="spectral").root, folder / "out")


def scored_patient(run: Run, study: AdaptationStudy, folder: Path) -> Any:
    scored = sorted(p for p in scored_patients(SplitManifest.load(study.split)) if p.startswith("B"))
    return adapt(run, study.store, folder / "out", site="B", patients=scored[:1])


def another_split(run: Run, study: AdaptationStudy, folder: Path) -> Any:
    return adapt(run, study.store, folder / "out", site="B", split=adaptation_study(folder / "other", seed=1).split)


def occupied(run: Run, study: AdaptationStudy, folder: Path) -> Any:
    return adapt(run, study.store, run.path, site="B")


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (spoil(site=None), RunError, "holds 2 hospitals"),
        (spoil(site="Z"), RunError, "no clip of hospital 'Z'"),
        (spoil(patients=["nobody"]), RunError, "1 named patients have no clip at B"),
        (spoil(statistics="best"), ConfigError, "statistics"),
        (spoil(shots=3), ConfigError, "belong together"),
        (one_patient, RunError, "only one patient of B"),
        (only_doppler, RunError, "no gray two-dimensional frame"),
        (scored_patient, LeakageError, "1 named patients are scored"),
        (another_split, SplitError, "not the split that the run was trained with"),
        (occupied, ExistsError, "something is here already"),
    ],
)
def test_adapt_refuses(
    wrong: Callable[[Run, AdaptationStudy, Path], Any],
    error: type[Exception],
    message: str,
    source: Run,
    study: AdaptationStudy,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        wrong(source, study, tmp_path)


def test_adapt_refuses_to_adapt_twice(adapted: Run, study: AdaptationStudy, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="adapted to B"):
        adapt(adapted, study.store, tmp_path / "twice", site="B")


def test_adapt_refuses_where_every_patient_is_scored(tmp_path: Path) -> None:
    study = adaptation_study(tmp_path, adaptation=0)
    run = train(study.tiny().config(steps=4), tmp_path / "run")
    with pytest.raises(RunError, match="nobody is left to adapt to") as error:
        adapt(run, study.store, tmp_path / "out", site="B")
    assert "--adaptation" in str(error.value)


def test_adapt_without_batch_norm_takes_view_shares_alone(study: AdaptationStudy, tmp_path: Path) -> None:
    network = {
        "name": "ViT",
        "options": {"patch_size": 8, "hidden_size": 16, "mlp_dim": 16, "num_layers": 1, "num_heads": 2},
    }
    run = train(study.tiny().config(network=network, steps=4), tmp_path / "run")
    with pytest.raises(RunError, match="ViT has no batch normalisation"):
        adapt(run, study.store, tmp_path / "out", site="B")
    with pytest.raises(RunError, match="entropy minimisation has nothing to change"):
        adapt(run, study.store, tmp_path / "out", site="B", entropy_steps=1)
    record = record_of(adapt(run, study.store, tmp_path / "out", site="B", correct_prior=True))
    assert (record.layers, record.kept_source, len(record.logit_offset)) == (0, True, 4)
    assert "no batch normalisation" in record.outcome
    assert json.loads((tmp_path / "out" / "run.json").read_text())["adaptation"]["site"] == "B"


def test_adapt_weights_frames_by_their_predicted_views(
    source: Run, adapted: Run, study: AdaptationStudy, tmp_path: Path
) -> None:
    aware = adapt(source, study.store, tmp_path / "aware", site="B", statistics="prior_aware")
    record, plain = record_of(aware), record_of(adapted)
    assert (plain.statistics, record.statistics) == ("plain", "prior_aware")
    assert sum(record.estimated_shares.values()) == pytest.approx(1)
    assert record.trained_shares == pytest.approx(dict.fromkeys(source.classes, 0.25))
    assert record.effective_patients < plain.effective_patients == 4
    assert (plain.method, record.method) == ("batch statistics of B", "prior-aware batch statistics of B")
    assert record.outcome == "adapted the statistics to B, with frames weighted by their views"
    one, other = (read_statistics(each.network) for each in (adapted, aware))
    assert not all(torch.equal(one[name].mean, other[name].mean) for name in one)
    assert accuracy(aware, study, "B") > accuracy(source, study, "B")
