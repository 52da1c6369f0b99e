"""Two builds of the wheel, from two folders and at two times, give the same bytes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from tools.wheel import build_wheel

ROOT = Path(__file__).parents[1]


def _copy(folder: Path, *, mode: int) -> Path:
    """Copy what a wheel is made of, with other times and modes of the files."""
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copytree(ROOT / "configs", folder / "configs", copy_function=shutil.copyfile)
    package = folder / "heart2heart"
    package.mkdir()
    for name in ("__init__.py", "py.typed", "errors.py", "schema"):
        source = ROOT / "heart2heart" / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, package / name, copy_function=shutil.copyfile, ignore=ignored)
        else:
            shutil.copyfile(source, package / name)
    for path in package.rglob("*.py"):
        path.chmod(mode)
    return folder


@pytest.fixture(autouse=True)
def _needs_hatchling() -> None:
    if importlib.util.find_spec("hatchling") is None:
        assert os.environ.get("CI") != "true", "the build backend is not installed"
        pytest.skip("the build backend is not installed: pip install hatchling")


def test_build_wheel_gives_the_same_bytes_in_two_folders(tmp_path: Path) -> None:
    one = build_wheel(_copy(tmp_path / "one", mode=0o600), tmp_path / "out1")
    two = build_wheel(_copy(tmp_path / "another folder", mode=0o644), tmp_path / "out2")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as wheel:
        assert "heart2heart/configs/demo/fixmatch.yaml" in wheel.namelist()
        assert len({info.date_time for info in wheel.infolist()}) == 1
