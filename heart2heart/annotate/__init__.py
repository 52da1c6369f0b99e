"""The page in a browser where clips get their views; needs the extra `curate` (Starlette, uvicorn)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from heart2heart.errors import ConfigError


@contextmanager
def require_web_extra() -> Iterator[None]:
    """Name the remedy when a library of the page, imported in this block, is not installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        remedy = "Run: pip install 'heart2heart[curate]'"
        raise ConfigError("the page needs Starlette and uvicorn", remedy=remedy) from error
