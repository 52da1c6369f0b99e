"""How a pipeline is run from the command line: one line for a mistake, and exit codes as those of `heart2heart`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from heart2heart.errors import Heart2HeartError


def run(main: Callable[..., None]) -> None:
    """Run a study's `main` with what the command line says."""
    try:
        typer.run(main)
    except Heart2HeartError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; run the same command again to continue", file=sys.stderr)
        sys.exit(130)
