"""Verbs for what leaves the hospital: deidentify, verify-deid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("deidentify")(deidentify)
    app.command("verify-deid")(verify_deid)


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
    from heart2heart.api.hospital import deidentify_files
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    result = deidentify_files(paths, out=out, key=key, site=site, text=text, workers=workers, stage=progress_bar)
    print(text_table(("status", "files", "meaning"), result.rows))
    print(f"{result.copies} clean copies in {out}")
    result.require_copies()


def verify_deid(
    outputs: Annotated[list[Path], typer.Argument(help="Stores, label stores, runs, reports, logs, clean DICOM.")],
    planted: Annotated[Path | None, typer.Option(help="CSV of identities to look for: kind, value.")] = None,
    archive: Annotated[
        list[Path] | None, typer.Option(help="The original DICOM, whose headers say what to look for.")
    ] = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="Read the margins of DICOM files with tesseract.")] = False,
) -> None:
    """Search every byte for identities; exit code 2 and a table of places if any is found, never the identity itself.

    Example: heart2heart verify-deid stores/A labels.db --archive /archive/2024
    """
    from heart2heart.api.hospital import verify_deidentification
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    verification = verify_deidentification(outputs, planted=planted, archive=archive or (), ocr=ocr, stage=progress_bar)
    result = verification.result
    print(f"{result.files} files, {result.size / 1e6:.1f} MB searched for {verification.identities} identities")
    print("done: " + "; ".join(result.checks_made))
    if result.checks_skipped:
        print("not done: " + "; ".join(result.checks_skipped))
    if result.findings:
        rows = [(finding.file, finding.location, finding.kind, finding.count) for finding in result.findings]
        print(text_table(("file", "place", "identity", "times"), rows))
    verification.require_clean()
    print("clean: none of them was found")
