"""Data that lie beside a checkout: missing, their tests skip on a user's machine and fail in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "data"


def shared_file(name: str) -> Path:
    """Return a file of `../shared/data`; skip where it is missing, but fail in CI."""
    path = FOLDER / name
    if not path.is_file():
        reason = f"needs ../shared/data/{name}, which is no part of the project"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
