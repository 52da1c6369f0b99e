"""Verbs that bring raw DICOM from a PACS: pull, receive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LandingArgument = Annotated[
    Path, typer.Argument(help="Landing folder (mode 0700), outside any store; made if missing.")
]
KeyOption = Annotated[
    Path | None, typer.Option(help="Key of the file names, made on first use (mode 0600). Default: LANDING.key")
]


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("pull")(pull)
    app.command("receive")(receive)


def pull(
    url: Annotated[str, typer.Argument(help="Base address of the DICOMweb service.")],
    landing: LandingArgument,
    query: Annotated[
        Path | None, typer.Option(help="YAML file of the query; patients' identifiers belong here, not on this line.")
    ] = None,
    dates: Annotated[str | None, typer.Option(help="Study dates, YYYYMMDD-YYYYMMDD.")] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(help="YAML file (mode 0600) with user and password, or token. Default: HEART2HEART_DICOMWEB_*"),
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificate authority (PEM) of the server.")] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Permit http to another machine.")] = False,
    key: KeyOption = None,
) -> None:
    """Fetch ultrasound from a PACS by DICOMweb into a landing folder; run again, it goes on where it was.

    Example: heart2heart pull https://pacs.example/dicom-web landing --dates 20240101-20240331
    """
    from heart2heart.api.hospital import retrieve
    from heart2heart.progress import progress_bar

    result = retrieve(
        url, landing, query=query, dates=dates, credentials=credentials, ca=ca, allow_http=allow_http, key=key,
        stage=progress_bar,
    )  # fmt: skip
    done = result.summary
    counts = f"{done.fetched} fetched, {done.present} here before, {done.refused} refused"
    print(f"{result.instances} instances found: {counts}")
    result.require_whole()


def receive(
    landing: LandingArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 11112,
    bind: Annotated[str, typer.Option(help="Address to listen at; beyond loopback, --allow is needed.")] = "127.0.0.1",
    ae_title: Annotated[str, typer.Option(help="Our AE title; callers must name it.")] = "HEART2HEART",
    allow: Annotated[list[str] | None, typer.Option(help="AE title that may send; repeat for several.")] = None,
    key: KeyOption = None,
) -> None:
    """Take DICOM by C-STORE into a landing folder, until SIGTERM or Ctrl-C; acknowledges only what is on disk.

    Example: heart2heart receive landing --bind 0.0.0.0 --allow PACS1
    """
    import sys

    from heart2heart.api import ReceiveSettings
    from heart2heart.api.hospital import receive as serve

    def ready(settings: ReceiveSettings, address: str, port: int) -> None:
        print(f"{settings.ae_title} listens at {address}:{port}", file=sys.stderr, flush=True)

    done = serve(landing, port=port, bind=bind, ae_title=ae_title, allow=allow or (), key=key, ready=ready)
    print(
        f"{done.stored} instances stored, {done.again} sent again, {done.failed} not stored; "
        f"{done.refused} callers refused"
    )
