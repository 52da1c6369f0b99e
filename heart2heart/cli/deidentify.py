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
    from heart2heart.cli.output import text_table
    from heart2heart.deidentify.clean_copy import TextPolicy
    from heart2heart.errors import MissingInputError, UnknownNameError
    from heart2heart.ingest.deidentify_files import deidentify_files
    from heart2heart.ingest.discover import find_files
    from heart2heart.progress import progress_bar
    from heart2heart.schema.status import CODES

    policies: dict[str, TextPolicy] = {"blank": "blank", "refuse": "refuse"}
    if text not in policies:
        raise UnknownNameError.among("way with writing inside the scan", text, list(policies))
    with progress_bar(f"deidentify {site}", len(find_files(paths, outside=out))) as progress:
        done = deidentify_files(
            paths, out=out, key=key, site=site, text=policies[text], workers=workers, progress=progress
        )
    said = {code: CODES[code].meaning for code in done.codes} | {
        "accepted": "A clean copy was written.",
        "excluded:duplicate": "The same bytes were copied already, from another path.",
    }
    print(text_table(("status", "files", "meaning"), [(code, n, said[code]) for code, n in done.codes.items()]))
    print(f"{done.copies} clean copies in {out}")
    if not done.copies:
        remedy = "The page Status codes of the documentation explains each status"
        raise MissingInputError("no file of this hospital became a clean copy", where=site, remedy=remedy)


def verify_deid(
    outputs: Annotated[list[Path], typer.Argument(help="Stores, label books, runs, reports, logs, clean DICOM.")],
    planted: Annotated[Path | None, typer.Option(help="CSV of identities to look for: kind, value.")] = None,
    archive: Annotated[
        list[Path] | None, typer.Option(help="The original DICOM, whose headers say what to look for.")
    ] = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="Read the margins of DICOM files with tesseract.")] = False,
) -> None:
    """Search every byte for identities; exit code 2 and a table of places if any is found, never the identity itself.

    Example: heart2heart verify-deid stores/A labels.db --archive /archive/2024
    """
    from heart2heart.cli.output import text_table
    from heart2heart.errors import ConfigError
    from heart2heart.progress import progress_bar
    from heart2heart.verify.check import IdentityFoundError, verify
    from heart2heart.verify.identities import Identities, collect, load_planted

    if planted is None and not archive:
        raise ConfigError("nothing to look for", remedy="Give --archive with the originals, or --planted FILE")
    wanted = collect(archive) if archive else Identities()
    if planted is not None:
        wanted.exact |= load_planted(planted).exact
    with progress_bar("search for identities", sum(1 for root in outputs for _ in root.rglob("*")) or 1) as progress:
        verdict = verify(outputs, wanted, read_margins=ocr, progress=progress)
    print(f"{verdict.files} files, {verdict.size / 1e6:.1f} MB searched for {len(wanted.exact)} identities")
    print("done: " + "; ".join(verdict.checks_made))
    if verdict.checks_skipped:
        print("not done: " + "; ".join(verdict.checks_skipped))
    if verdict.findings:
        rows = [(found.file, found.place, found.kind, found.count) for found in verdict.findings]
        print(text_table(("file", "place", "identity", "times"), rows))
        remedy = "Do not pass these files on; see SECURITY.md for how to report it"
        raise IdentityFoundError(f"identities found in {len({row[0] for row in rows})} places", remedy=remedy)
    print("clean: none of them was found")
