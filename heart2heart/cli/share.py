"""Verbs for what leaves the hospital: deidentify, verify-deid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("deidentify")(deidentify)


def deidentify(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    out: Annotated[Path, typer.Option(help="Folder for the clean copies; made if missing.")],
    key: Annotated[Path, typer.Option(help="Key of the pseudonyms, made on first use (mode 0600), outside --out.")],
    site: Annotated[str, typer.Option(help="Name of the hospital; patient identifiers belong to it.")],
    text: Annotated[str, typer.Option(help="Writing inside the scan: blank it, or refuse the file.")] = "blank",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Write clean DICOM for sharing: a new header from an allow-list, everything outside the scan blanked.

    Example: heart2heart deidentify /archive/2024 --out clean --key tufts.key --site tufts
    """
    from heart2heart.cli.tables import text_table
    from heart2heart.errors import MissingInputError, UnknownNameError
    from heart2heart.ingest import CODES, find_files
    from heart2heart.ingest.share import share
    from heart2heart.progress import stage

    if text != "blank" and text != "refuse":
        raise UnknownNameError.among("way with writing inside the scan", text, ["blank", "refuse"])
    with stage(f"deidentify {site}", len(find_files(paths, outside=out))) as progress:
        done = share(paths, out=out, key=key, site=site, text=text, workers=workers, progress=progress)
    print(text_table(("status", "files", "meaning"), [(c, n, CODES[c].meaning) for c, n in done.codes.items()]))
    print(f"{done.copies} clean copies in {out}")
    if not done.copies:
        remedy = "docs/status-codes.md explains each status"
        raise MissingInputError("no file of this hospital became a clean copy", where=site, remedy=remedy)
