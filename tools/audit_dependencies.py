"""Look the locked dependencies up in the database of known weaknesses: `make audit`.

Command: python -m tools.audit_dependencies dist/requirements.lock
pip-audit asks the advisory database of PyPI over the network. Its data cannot be installed as a package, so without
network nothing can be checked, and this says so and ends with code 4: not checked is not clean.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.error import URLError
from urllib.request import urlopen

import typer

from heart2heart.errors import Heart2HeartError, MissingInputError
from pipelines.command_line import run

SERVICE = "https://pypi.org/pypi/pillow/9.0.0/json"
"""Address in the database of a distribution with known weaknesses: a mirror without advisories must not look clean."""


class WeaknessFoundError(Heart2HeartError):
    """A dependency has a known weakness."""

    exit_code = 3


class NotCheckedError(Heart2HeartError):
    """The dependencies were not checked."""

    exit_code = 4


def service_fault(address: str = SERVICE, *, open_address: Callable[..., Any] = urlopen) -> str | None:
    """Return why the database cannot be asked, or None if it answers with advisories.

    Args:
        address: Address of a distribution that has known weaknesses.
        open_address: Opens an address.
    """
    try:
        with open_address(address, timeout=10) as answer:
            content = json.loads(answer.read(2**24))
    except (URLError, OSError) as error:
        return f"the database cannot be reached ({type(error).__name__})"
    except ValueError:
        content = None
    known = content.get("vulnerabilities") if isinstance(content, dict) else None
    return None if known else "what answers is a mirror without advisories"


def audit(lock: Path, *, fault: str | None, has_pip_audit: bool) -> None:
    """Check the distributions of a lock file.

    Args:
        lock: The requirements with hashes that `make lock` writes.
        fault: Why the database cannot be asked, or None.
        has_pip_audit: Whether pip-audit is installed.

    Raises:
        MissingInputError: no lock file.
        NotCheckedError: no pip-audit, or no database.
        WeaknessFoundError: a distribution has a known weakness; pip-audit has listed it.
    """
    if not lock.is_file():
        raise MissingInputError("no lock file here", where=lock, remedy="Run: make lock")
    if not has_pip_audit:
        raise NotCheckedError("pip-audit is not installed", where=lock, remedy="Run: pip install pip-audit")
    if fault is not None:
        remedy = "Run `make audit` on a machine with network, with the same dist/requirements.lock"
        raise NotCheckedError(f"the dependencies were not checked: {fault}", where=lock, remedy=remedy)
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--requirement", str(lock)]
    if subprocess.run(command, check=False).returncode:
        raise WeaknessFoundError("a dependency has a known weakness, or pip-audit failed", where=lock)


def main(
    lock: Annotated[Path, typer.Argument(help="Requirements with hashes.")] = Path("dist/requirements.lock"),
) -> None:
    """Check the locked dependencies for known weaknesses."""
    has_pip_audit = importlib.util.find_spec("pip_audit") is not None
    audit(lock, fault=service_fault() if has_pip_audit else None, has_pip_audit=has_pip_audit)
    print(f"no known weakness among the dependencies in {lock}")


if __name__ == "__main__":
    run(main)
