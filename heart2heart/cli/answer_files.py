"""Verbs of a file of answers: answers to-dicom, answers sort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SourceOption = Annotated[
    list[Path], typer.Option(help="The DICOM files: file, folder, zip file or spool folder; repeatable.")
]
ToOption = Annotated[
    str | None,
    typer.Option(help="Archive that gets the objects: https://host/dicom-web, or dicom://AETITLE@host:port."),
]
AetOption = Annotated[str | None, typer.Option(help="AE title by which we call. Default: HEART2HEART.")]
CredentialsOption = Annotated[
    Path | None, typer.Option(help="YAML file (mode 0600) of credentials for https. Default: HEART2HEART_DICOMWEB_*")
]
CaOption = Annotated[Path | None, typer.Option(help="Certificate authority (PEM) of the archive.")]
CertOption = Annotated[Path | None, typer.Option(help="Our certificate (PEM) for dicoms://.")]
KeyOption = Annotated[Path | None, typer.Option(help="Key of our certificate (PEM, without a password).")]
PlaintextOption = Annotated[
    bool, typer.Option("--allow-plaintext", help="Permit another machine without TLS: identity goes unencrypted.")
]
AttemptsOption = Annotated[int, typer.Option(min=1, help="Attempts at an object, with longer and longer waits.")]


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    answers = typer.Typer(help="Answers of `predict --out`: as DICOM objects for the archive, and sorted by view.")
    answers.command("to-dicom")(to_dicom)
    answers.command("sort")(sort)
    app.add_typer(answers, name="answers")


def to_dicom(
    answers: Annotated[list[Path], typer.Argument(help="Files of answers, one a model.")],
    source: SourceOption,
    out: Annotated[Path, typer.Option(help="Folder (mode 0700) of the objects; they hold patients' identities.")],
    tag_view: Annotated[
        bool, typer.Option("--tag-view", help="Write copies of the clips with the View Code Sequence as well.")
    ] = False,
    to: ToOption = None,
    aet: AetOption = None,
    credentials: CredentialsOption = None,
    ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    allow_plaintext: PlaintextOption = False,
    attempts: AttemptsOption = 5,
) -> None:
    """Write one DICOM structured report a study (TID 1500), and send it to the archive.

    The originals are never changed. Run the same command again after a fault: it goes on, and sends nothing twice.

    Example: heart2heart answers to-dicom answers.jsonl --source /archive --out results --to dicom://PACS@pacs:104
    """
    from heart2heart.api.dicom_results import write_dicom_results
    from heart2heart.progress import progress_bar

    archive = _archive(to, aet, credentials, ca, tls_cert, tls_key, allow_plaintext, attempts)
    done = write_dicom_results(answers, source, out, tag_view=tag_view, to=archive, stage=progress_bar)
    print(done.summary())
    done.require_taken()


def sort(
    answers: Annotated[Path, typer.Argument(help="File of answers.")],
    out: Annotated[Path, typer.Option(help="CSV table to write; it holds no identity.")],
    source: Annotated[list[Path] | None, typer.Option(help="The DICOM files that were classified; repeatable.")] = None,
    store: Annotated[
        list[Path] | None, typer.Option(help="Frame store that was classified, in the place of --source; repeatable.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label store with image qualities by readers, for --store.")
    ] = None,
    key_objects: Annotated[
        Path | None, typer.Option(help="Folder (mode 0700) for a Key Object Selection of each study.")
    ] = None,
    to: ToOption = None,
    aet: AetOption = None,
    credentials: CredentialsOption = None,
    ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    allow_plaintext: PlaintextOption = False,
    attempts: AttemptsOption = 5,
) -> None:
    """Sort the clips of each study by view, the best clip of each view first.

    Example: heart2heart answers sort answers.jsonl --source /archive --out order.csv --key-objects results
    """
    from heart2heart.api.clip_order import sort_clips
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    archive = _archive(to, aet, credentials, ca, tls_cert, tls_key, allow_plaintext, attempts)
    done = sort_clips(
        answers, out, source=source or (), store=store or (), labels=labels, key_objects=key_objects, to=archive,
        stage=progress_bar,
    )  # fmt: skip
    best = [(row.study, row.view, row.score, row.file) for row in done.best()]
    print(text_table(("study", "view", "score", "best clip"), best))
    print(f"{out}: {len(done.rows)} clips of {done.studies} studies; {len(done.key_objects)} key object selections")
    done.require_taken()


def _archive(
    to: str | None,
    aet: str | None,
    credentials: Path | None,
    ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    allow_plaintext: bool,
    attempts: int,
) -> dict[str, Any] | None:
    """Return the content of the settings of the archive; None without one."""
    if to is None:
        return None
    return {
        "address": to, "calling_aet": aet, "credentials": credentials, "ca": ca, "tls_cert": tls_cert,
        "tls_key": tls_key, "allow_plaintext": allow_plaintext, "attempts": attempts,
    }  # fmt: skip
