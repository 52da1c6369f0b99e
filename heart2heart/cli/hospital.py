"""Verbs between the hospital and the outside: pull, receive, deidentify, verify-deid, link-key, link."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpoolArgument = Annotated[
    Path, typer.Argument(help="Folder for the files (mode 0700), outside any store; created if missing.")
]
KeyOption = Annotated[
    Path | None, typer.Option(help="Key of the file names, created on first use (mode 0600). Default: SPOOL.key")
]


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("pull")(pull)
    app.command("receive")(receive)
    app.command("deidentify")(deidentify)
    app.command("verify-deid")(verify_deid)
    app.command("link-key")(link_key)
    app.command("link")(link)


def pull(
    url: Annotated[str, typer.Argument(help="Base address of the DICOMweb service.")],
    spool: SpoolArgument,
    query: Annotated[
        Path | None,
        typer.Option(help="YAML file of the query; put patient identifiers there, not on the command line."),
    ] = None,
    dates: Annotated[str | None, typer.Option(help="Study dates, YYYYMMDD-YYYYMMDD.")] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(help="YAML file (mode 0600) with user and password, or token. Default: HEART2HEART_DICOMWEB_*"),
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificate authority (PEM) of the server.")] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="Permit http to another machine.")] = False,
    key: KeyOption = None,
    instance_mib: Annotated[int, typer.Option(min=1, help="Maximum size of an instance, MiB.")] = 4096,
    item_seconds: Annotated[
        float, typer.Option(min=1, help="Maximum time for an instance, or a page of results.")
    ] = 600,
) -> None:
    """Fetch ultrasound from a PACS by DICOMweb into a folder; the same command continues a stopped one.

    Example: heart2heart pull https://pacs.example/dicom-web spool --dates 20240101-20240331
    """
    from heart2heart.api.transfer import retrieve
    from heart2heart.progress import progress_bar

    result = retrieve(
        url, spool, query=query, dates=dates, credentials=credentials, ca=ca, allow_http=allow_http, key=key,
        instance_bytes=instance_mib * 2**20, item_seconds=item_seconds, stage=progress_bar,
    )  # fmt: skip
    done = result.summary
    counts = f"{done.fetched} fetched, {done.present} present before, {done.refused} refused"
    print(f"{result.instances} instances found: {counts}")
    result.require_whole()


def receive(
    spool: SpoolArgument,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 11112,
    bind: Annotated[str, typer.Option(help="Address to listen at; beyond loopback, give --allow.")] = "127.0.0.1",
    ae_title: Annotated[str, typer.Option(help="AE title that callers must use.")] = "HEART2HEART",
    allow: Annotated[list[str] | None, typer.Option(help="AE title that may send; repeatable.")] = None,
    key: KeyOption = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate of the receiver (PEM); callers must use TLS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    tls_ca: Annotated[Path | None, typer.Option(help="Authority that signs the callers' certificates (PEM).")] = None,
    allow_plaintext: Annotated[
        bool, typer.Option("--allow-plaintext", help="Permit other machines to connect without TLS.")
    ] = False,
    per_address: Annotated[int, typer.Option(min=1, help="Connections of one address at one time.")] = 10,
    instance_mib: Annotated[int, typer.Option(min=1, help="Maximum size of an instance, MiB.")] = 4096,
    instance_seconds: Annotated[float, typer.Option(min=1, help="Maximum time of an instance to arrive.")] = 600,
) -> None:
    """Receive DICOM by C-STORE into a folder until SIGTERM or Ctrl-C; acknowledge only what is on disk.

    Example: heart2heart receive spool --bind 0.0.0.0 --allow PACS1 --tls-cert h2h.pem --tls-key h2h.key --tls-ca ca.pem
    """
    import sys

    from heart2heart.api import ReceiveSettings
    from heart2heart.api.transfer import receive as serve

    def ready(settings: ReceiveSettings, address: str, port: int) -> None:
        print(f"{settings.ae_title} listens at {address}:{port}", file=sys.stderr, flush=True)

    done = serve(
        spool, port=port, bind=bind, ae_title=ae_title, allow=allow or (), key=key, tls_cert=tls_cert, tls_key=tls_key,
        tls_ca=tls_ca, allow_plaintext=allow_plaintext, per_address=per_address, instance_bytes=instance_mib * 2**20,
        instance_seconds=instance_seconds, ready=ready,
    )  # fmt: skip
    closed = f", {done.closed} connections closed at a limit" if done.closed else ""
    print(
        f"{done.stored} instances stored, {done.again} sent again, {done.failed} not stored; "
        f"{done.refused} callers refused{closed}"
    )


def deidentify(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    out: Annotated[Path, typer.Option(help="Folder for the clean copies; created if missing.")],
    key: Annotated[Path, typer.Option(help="Key of the pseudonyms, created on first use (mode 0600), outside --out.")],
    site: Annotated[str, typer.Option(help="Name of the hospital; patient identifiers belong to it.")],
    text: Annotated[str, typer.Option(help="Text inside the scan: blank, refuse or best_effort.")] = "blank",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Write clean DICOM for sharing: a new header from an allow-list, and black pixels outside the scan.

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
        list[Path] | None, typer.Option(help="The original DICOM; identities in its headers are searched for.")
    ] = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="Read every distinct picture with tesseract.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Search every byte for identities; print a verdict and where they are (never the identity).

    Exit code 0: clean. 3: found. 4: incomplete, which lists what was not done.

    Example: heart2heart verify-deid stores/A labels.db --archive /archive/2024 --ocr
    """
    from heart2heart.api.hospital import verify_deidentification
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    verification = verify_deidentification(
        outputs, planted=planted, archive=archive or (), ocr=ocr, workers=workers, stage=progress_bar
    )
    result = verification.result
    print(verification.summary())
    print(f"{result.files} files, {result.size / 1e6:.1f} MB searched for {verification.identities} identities")
    print("done: " + "; ".join(result.checks_made))
    if result.checks_skipped:
        print("not done: " + "; ".join(result.checks_skipped))
    if result.findings:
        rows = [(finding.file, finding.location, finding.kind, finding.count) for finding in result.findings]
        print(text_table(("file", "location", "identity", "times"), rows))
    if result.unread:
        print(text_table(("file", "location", "not read"), [(x.file, x.location, x.reason) for x in result.unread]))
    verification.require_clean()


def link_key(path: Annotated[Path, typer.Argument(help="File of the new key (mode 0600).")]) -> None:
    """Write a new linking key, which the hospitals share and destroy after linking.

    Example: heart2heart link-key linking.key
    """
    from heart2heart.api.links import make_linking_key

    print(f"linking key: {make_linking_key(path)}; hand it to the hospitals in secret, and destroy it after linking")


def link(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders of the ingest.")],
    site: Annotated[str, typer.Option(help="Name of the hospital, as in the ingest.")],
    store: Annotated[Path, typer.Option(help="Frame store.")],
    linking_key: Annotated[Path, typer.Option(help="Key that the hospitals share, of link-key.")],
    key: Annotated[Path | None, typer.Option(help="Key of the ingest. Default: STORE.key")] = None,
) -> None:
    """Write link codes of patients, by which certify and validate find one person at two hospitals.

    Example: heart2heart link /archive/2024 --site tufts --store store --linking-key linking.key
    """
    from heart2heart.api.links import link_patients
    from heart2heart.progress import progress_bar

    done = link_patients(paths, site=site, store=store, linking_key=linking_key, key=key, stage=progress_bar)
    print(f"{done.linked} of {done.patients} patients of {done.site} have a link code: {done.file}")
