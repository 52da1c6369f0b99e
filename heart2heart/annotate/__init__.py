"""The annotation page, a web page where raters label clips; needs the extra `curate` (Starlette, uvicorn)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from heart2heart.errors import ConfigError


@contextmanager
def require_web_extra() -> Iterator[None]:
    """Raise an error with the remedy if a library of the page, imported in this block, is not installed.

    Raises:
        ConfigError: a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        remedy = "Run: pip install 'heart2heart[curate]'"
        raise ConfigError("the page needs Starlette and uvicorn", remedy=remedy) from error
