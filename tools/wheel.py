"""Build the wheel twice, from two copies of the sources, and keep it if both have the same bytes: `make wheel`.

Command: python -m tools.wheel --out dist
The build backend sorts the files and normalises their modes; SOURCE_DATE_EPOCH sets their times. So whoever builds the
same commit with the same version of the backend can compare the SHA-256 of a wheel that was handed to them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from heart2heart.errors import ConfigError, InternalError
from heart2heart.utils import sha256_file
from pipelines.command_line import run

SOURCE_DATE_EPOCH = "1767225600"
"""Time of every file in the wheel, seconds: 2026-01-01."""

_ROOT = Path(__file__).parents[1]
_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "heart2heart", "configs")


def build_wheel(source: Path, out: Path) -> Path:
    """Build the wheel of a source folder and return the file.

    Args:
        source: Folder with `pyproject.toml`.
        out: Folder for the wheel; made if missing.

    Raises:
        ConfigError: the backend is not installed or refuses; it has said why on standard error.
    """
    environment = dict(os.environ) | {"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH}
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out.absolute())]
    if subprocess.run(command, cwd=source, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
        raise ConfigError("the wheel cannot be built", where=source, remedy="Run: pip install hatchling")
    (wheel,) = out.glob("*.whl")
    return wheel


def copy_sources(folder: Path) -> Path:
    """Copy what the wheel is made of, without caches, into a new folder, and return it."""
    ignored = shutil.ignore_patterns("__pycache__")
    folder.mkdir(parents=True)
    for name in _SOURCES:
        source = _ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


def main(out: Annotated[Path, typer.Option(help="Folder for the wheel; made if missing.")] = Path("dist")) -> None:
    """Build the wheel twice, compare, and keep it."""
    with tempfile.TemporaryDirectory() as folder:
        wheels = [
            build_wheel(copy_sources(Path(folder) / name), Path(folder) / f"{name}_out")
            for name in ("first", "second folder")
        ]
        sums = {sha256_file(wheel) for wheel in wheels}
        if len(sums) != 1:
            raise InternalError("two builds of one source differ", where=wheels[0].name)
        out.mkdir(parents=True, exist_ok=True)
        target = Path(shutil.copy(wheels[0], out))
    print(f"{sums.pop()}  {target}")


if __name__ == "__main__":
    run(main)
