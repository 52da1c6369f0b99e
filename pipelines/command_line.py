"""Runs a pipeline from the command line, with the error messages and exit codes of `heart2heart`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from heart2heart.errors import Heart2HeartError


def run(main: Callable[..., None]) -> None:
    """Run the `main` of a study with the arguments of the command line."""
    try:
        typer.run(main)
    except Heart2HeartError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; run the same command again to continue", file=sys.stderr)
        sys.exit(130)
