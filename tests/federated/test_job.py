"""The job of NVIDIA FLARE: it carries no code and no path of a site; one round with three sites on one machine."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from heart2heart.api.release import pool
from heart2heart.api.validation import validate
from heart2heart.errors import ConfigError, EvaluationError, ExistsError, MissingInputError
from heart2heart.federated.job import simulate_job, write_job
from heart2heart.schema.metrics_files import read_metrics
from tests.federated.sites import write_site


def require_nvflare() -> None:
    """Skip where the extra is absent; fail in CI."""
    if find_spec("nvflare") is None:
        assert not os.environ.get("CI"), "the extra federated is missing"
        pytest.skip("nvflare is not installed: no federated round has been run")


def test_write_job_names_installed_classes_and_no_path_of_a_site(tmp_path: Path) -> None:
    job = write_job(tmp_path / "job", sites=3, out="/srv/pooled")
    files = {str(path.relative_to(job)) for path in job.rglob("*") if path.is_file()}
    assert files == {
        "meta.json",
        "app_server/config/config_fed_server.json",
        "app_site/config/config_fed_client.json",
    }
    meta = json.loads((job / "meta.json").read_text())
    assert (meta["min_clients"], meta["deploy_map"]) == (3, {"app_server": ["server"], "app_site": ["@ALL"]})
    (executor,) = json.loads((job / "app_site/config/config_fed_client.json").read_text())["executors"]
    assert executor["executor"] == {"path": "heart2heart.federated.components.CountsExecutor", "args": {}}
    with pytest.raises(ExistsError):
        write_job(job, sites=3, out="x")
    with pytest.raises(ConfigError, match="0 sites"):
        write_job(tmp_path / "other", sites=0, out="x")


def test_simulate_job_pools_three_sites_and_gives_what_pooling_their_files_gives(tmp_path: Path) -> None:
    require_nvflare()
    settings = {f"site-{site}": write_site(tmp_path, site, period) for site, period in (("A", 9), ("B", 8), ("C", 7))}
    try:
        page = simulate_job(settings, tmp_path / "out", limit_s=100)
    except EvaluationError as error:
        if "did not end within" not in error.what:
            raise
        page = simulate_job(settings, tmp_path / "out", limit_s=100)  # a process of NVIDIA FLARE may hang
    assert "From counts" in page.read_text()
    files = []
    for site in "ABC":
        validate(tmp_path / f"{site}.csv", tmp_path / site, task="severity", name="Model", release="counts")
        files.append(tmp_path / site / f"counts_{site}.json")
    expected = pool(files, tmp_path / "pooled").pooled.metrics
    metrics = read_metrics(tmp_path / "out" / "metrics.json")
    assert (metrics.methods, metrics.sites) == (expected.methods, expected.sites)
    # The hashes differ: each file says when its predictions were made.
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {*(f"counts_{site}.json" for site in "ABC"), "metrics.json", "pooled.json", "report.html"}


def test_simulate_job_refuses_missing_settings_before_it_starts(tmp_path: Path) -> None:
    require_nvflare()
    with pytest.raises(MissingInputError):
        simulate_job({"a": tmp_path / "none.yaml"}, tmp_path / "out")


def test_simulate_job_ends_at_its_limit(tmp_path: Path) -> None:
    require_nvflare()
    settings = {f"site-{site}": write_site(tmp_path, site, 9) for site in "AB"}
    with pytest.raises(EvaluationError, match=r"did not end within 0.5 s"):
        simulate_job(settings, tmp_path / "out", limit_s=0.5)
    assert not (tmp_path / "out").exists()
