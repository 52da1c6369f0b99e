"""The verb of keys: rotate-key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("rotate-key")(rotate_key)


def rotate_key(
    store: Annotated[Path, typer.Argument(help="Frame store.")],
    key: Annotated[Path | None, typer.Option(help="Key file, which is replaced. Default: STORE.key")] = None,
) -> None:
    """Move a store to a new secret of its key, without the original files; run it again if it was stopped.

    Example: heart2heart rotate-key stores/A --key stores/A.key
    """
    from heart2heart.api.key_rotation import rotate_key

    done = rotate_key(store, key=key)
    begun = "completed the rotation that was stopped: " if done.resumed else ""
    print(f"{begun}{done.patients} patients and {done.clips} clips of {', '.join(done.sites)} have new names")
    print("labels, splits and runs stay valid; copies that left earlier keep the old names")
    print("back the key file up; the old one alone opens this store no more")
