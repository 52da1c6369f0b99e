"""Federated validation: one round in which each hospital releases its counts and the server pools them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from heart2heart.errors import ConfigError


def write_federated_job(folder: str | Path, *, sites: int, out: str) -> Path:
    """Write a job of NVIDIA FLARE for one round: every site validates, the server pools the counts.

    The job names classes of the installed package and carries no code. What a site reads is in a YAML file at the site,
    named by its environment variable `HEART2HEART_SITE_SETTINGS`.

    Args:
        folder: New folder for the job.
        sites: Number of sites that must answer.
        out: Folder of the pooled report, a path on the server.

    Raises:
        ConfigError: no site.
        ExistsError: the folder exists.

    Examples:
        >>> from heart2heart.api import write_federated_job
        >>> sorted(path.name for path in write_federated_job("job", sites=3, out="pooled").iterdir())
        ['app_server', 'app_site', 'meta.json']
    """
    from heart2heart.federated.job import write_job

    return write_job(folder, sites=sites, out=out)


def simulate_federation(settings: Mapping[str, str | Path], out: str | Path) -> Path:
    """Run the round on this machine, one process a site, to try it before hospitals do.

    Args:
        settings: YAML file of each site by the site's name.
        out: New folder for the files of counts and the pooled report.

    Returns:
        The page of the report.

    Raises:
        MissingInputError: the extra `federated` is not installed.
        EvaluationError: a site sent no counts, or they cannot be pooled.

    Examples:
        >>> from heart2heart.api import simulate_federation
        >>> simulate_federation({}, "round")
        Traceback (most recent call last):
        heart2heart.errors.ConfigError: no site to simulate: --simulate. Name each as NAME=SETTINGS.yaml
    """
    from heart2heart.federated.job import simulate_job

    if not settings:
        raise ConfigError("no site to simulate", where="--simulate", remedy="Name each as NAME=SETTINGS.yaml")
    return simulate_job(settings, out)


def parse_sites(pairs: Sequence[str]) -> dict[str, Path]:
    """Read `NAME=FILE` of each site.

    Raises:
        ConfigError: a text without a name or a file, or a name that occurs twice or is no plain word.

    Examples:
        >>> parse_sites(["north=north.yaml"])
        {'north': PosixPath('north.yaml')}
    """
    sites: dict[str, Path] = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        plain = name.replace("-", "").replace("_", "")
        if not (equals and file and plain.isalnum() and plain.isascii()) or name in sites or name == "server":
            remedy = "Write NAME=SETTINGS.yaml with letters, digits, - and _, each name once"
            raise ConfigError(f"{pair!r} is no site", where="--simulate", remedy=remedy)
        sites[name] = Path(file)
    return sites
