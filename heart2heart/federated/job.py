"""The job of NVIDIA FLARE: a folder of JSON files that names installed classes and carries no code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from heart2heart.errors import ConfigError, EvaluationError, ExistsError, MissingInputError
from heart2heart.federated.settings import read_settings
from heart2heart.utils import write_json

JOB_NAME = "heart2heart_counts"
SIMULATOR = "nvflare.private.fed.app.simulator.simulator"
ALLOWED_CLASSES = (
    "nvflare.app_common.workflows.broadcast_and_process.BroadcastAndProcess",
    "heart2heart.federated.components.CountsExecutor",
    "heart2heart.federated.components.CountsProcessor",
)
"""Classes that server and sites allow in their `resources.json`, key `class_allow_list`."""

_TASK = "release_counts"
_COMPONENTS = "heart2heart.federated.components"


def write_job(folder: str | Path, *, sites: int, out: str, settings: Mapping[str, str | Path] | None = None) -> Path:
    """Write the job.

    Args:
        folder: New folder for the job.
        sites: Number of sites that must answer.
        out: Folder of the pooled report, a path on the server.
        settings: Path of each site's YAML file by the site's name, for a simulation. None: each site takes the file of
            its environment variable `HEART2HEART_SITE_SETTINGS`.

    Returns:
        `folder`.

    Raises:
        ConfigError: no site.
        ExistsError: the folder exists.

    Examples:
        >>> from heart2heart.federated.job import write_job
        >>> sorted(path.name for path in write_job("job", sites=3, out="pooled").iterdir())
        ['app_server', 'app_site', 'meta.json']
    """
    root = Path(folder)
    if sites < 1:
        raise ConfigError(f"{sites} sites cannot take part", where="--sites", remedy="Name at least one")
    if root.exists():
        raise ExistsError("this folder exists", where=root, remedy="Name another folder")
    named = {None: None} if settings is None else {name: str(path) for name, path in settings.items()}
    deploy = {"app_server": ["server"]}
    for name, path in named.items():
        app = "app_site" if name is None else f"app_{name}"
        deploy[app] = ["@ALL"] if name is None else [name]
        write_json(root / app / "config" / "config_fed_client.json", _client(path))
    meta = {"name": JOB_NAME, "resource_spec": {}, "min_clients": sites, "deploy_map": deploy}
    write_json(root / "meta.json", meta)
    write_json(root / "app_server" / "config" / "config_fed_server.json", _server(out, sites))
    return root


def _client(settings: str | None) -> dict[str, Any]:
    arguments = {} if settings is None else {"settings": settings}
    executor = {"path": f"{_COMPONENTS}.CountsExecutor", "args": arguments}
    return {
        "format_version": 2,
        "executors": [{"tasks": [_TASK], "executor": executor}],
        "components": [],
        "task_data_filters": [],
        "task_result_filters": [],
    }


def _server(out: str, sites: int) -> dict[str, Any]:
    workflow = "nvflare.app_common.workflows.broadcast_and_process.BroadcastAndProcess"
    arguments: dict[str, Any] = {"processor": "processor", "task_name": _TASK, "min_responses_required": sites}
    arguments["wait_time_after_min_received"] = 0
    return {
        "format_version": 2,
        "workflows": [{"id": "counts", "path": workflow, "args": arguments}],
        "components": [
            {"id": "processor", "path": f"{_COMPONENTS}.CountsProcessor", "args": {"out": out, "sites": sites}}
        ],
        "task_data_filters": [],
        "task_result_filters": [],
    }


def simulate_job(settings: Mapping[str, str | Path], out: str | Path, *, limit_s: float = 3600.0) -> Path:
    """Run the job on this machine, one process a site, to try it before hospitals do.

    Args:
        settings: Path of each site's YAML file by the site's name.
        out: New folder for the files of counts and the pooled report.
        limit_s: Seconds after which all processes are ended: a process of a site may wait for ever.

    Returns:
        The page of the report.

    Raises:
        MissingInputError: the extra `federated` is not installed, or a file of settings is missing.
        ConfigError: a file of settings has an unknown key or a wrong value.
        EvaluationError: a site sent no counts, or they cannot be pooled, as the log says; or the limit was reached.
    """
    if find_spec("nvflare") is None:
        remedy = "Install the extra: pip install 'heart2heart[federated]'"
        raise MissingInputError("federated validation needs nvflare", remedy=remedy)
    folder = Path(out).absolute()
    if folder.exists():
        raise ExistsError("this folder exists", where=folder, remedy="Name another folder")
    paths = {name: Path(path).absolute() for name, path in settings.items()}
    for path in paths.values():
        read_settings(path)  # a mistake in a file is told now, not in the log of a site
    with TemporaryDirectory() as work:
        job = write_job(Path(work) / "job", sites=len(paths), out=str(folder), settings=paths)
        workspace = Path(work) / "workspace"
        write_json(workspace / "local" / "resources.json", {"class_allow_list": list(ALLOWED_CLASSES)})
        names = ["--clients", ",".join(paths), "--n_clients", str(len(paths)), "--threads", str(len(paths))]
        command = [sys.executable, "-m", SIMULATOR, str(job), "--workspace", str(workspace), *names]
        code, log = _run_job(command, Path(work), limit_s)
    page = folder / "report.html"
    if code is None:
        what = f"the federated validation did not end within {limit_s:g} s"
        raise EvaluationError(what, where=folder, remedy="Try again, or give it more time (limit_s)")
    if code or not page.exists():
        errors = [line.partition(" - ERROR - ")[2] for line in log.splitlines() if " - ERROR - " in line]
        what = "the federated validation did not end with a report"
        raise EvaluationError(what, where=folder, remedy="; ".join(dict.fromkeys(errors[:5])) or "No error was logged")
    return page


def _run_job(command: list[str], work: Path, limit_s: float) -> tuple[int | None, str]:
    """Return the exit code of a command, None where it reached the limit, and its output; nothing of it runs on."""
    log = work / "log.txt"
    with log.open("wb") as handle:
        process = subprocess.Popen(command, cwd=work, stdout=handle, stderr=handle, start_new_session=True)
        try:
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return code, log.read_text(encoding="utf-8", errors="replace")
