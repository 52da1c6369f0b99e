"""Verbs of data: simulate, ingest, store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[list[Path], typer.Option("--store", help="Frame store; repeatable.")]
LabelsOption = Annotated[Path, typer.Option("--labels", help="Label store (SQLite).")]
FlagsOption = Annotated[
    str | None,
    typer.Option("--flags", help="Flags rule: usual, strict or a YAML file; see store flags. Default: usual"),
]

store = typer.Typer(help="List, count, check and query a frame store.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("simulate")(simulate)
    app.command("ingest")(ingest)
    app.add_typer(store, name="store")


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the hospitals; created if missing.")],
    scale: Annotated[float, typer.Option(min=0.05, max=20, help="Number of patients, relative to the demo's.")] = 1.0,
    seed: Annotated[
        int, typer.Option(help="Random seed; files are repeatable, and pixels are on one kind of processor.")
    ] = 7,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    hospitals: Annotated[
        list[str] | None,
        typer.Option(help="demo (A to D), fresh (E to H, kept for a final test) or a name; repeatable. Default: demo."),
    ] = None,
) -> None:
    """Write SYNTHETIC hospitals as DICOM folders, so that everything can be tried without a patient.

    Example: heart2heart simulate hospitals --scale 0.2
    """
    from heart2heart.api.ingest import simulate
    from heart2heart.cli.output import text_table
    from heart2heart.progress import progress_bar

    written = simulate(out, scale=scale, seed=seed, workers=workers, hospitals=hospitals, stage=progress_bar)
    rows = [(each.name, each.patients, each.clips, each.frames, each.machine) for each in written]
    print(text_table(("hospital (synthetic)", "patients", "clips", "frames", "machine"), rows))


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    site: Annotated[str, typer.Option(help="Name of the hospital, as it may appear in a report.")],
    store: Annotated[Path, typer.Option(help="Frame store; created on first use.")],
    key: Annotated[
        Path | None, typer.Option(help="Key of the pseudonyms, created on first use (mode 0600). Default: STORE.key")
    ] = None,
    geometry: Annotated[str, typer.Option(help="tmed2 or centred.")] = "tmed2",
    size: Annotated[int, typer.Option(help="Side of the square frames, pixels.")] = 112,
    frames: Annotated[str, typer.Option(help="Frames to keep: all, every:N, even:K or ed_es:K.")] = "all",
    text: Annotated[
        str,
        typer.Option(
            metavar="blank|quarantine|refuse",
            help="Text inside the scan: blank it, quarantine the clip for review, or refuse it.",
        ),
    ] = "blank",
    viewing_copies: Annotated[
        bool,
        typer.Option(help="Keep full-size copies for the label page; off for stores that nobody labels."),
    ] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    dask: Annotated[
        str | None, typer.Option(help="Dask scheduler (address or scheduler file); its workers replace the processes.")
    ] = None,
    file_seconds: Annotated[
        float, typer.Option(help="Seconds that one file may take; then it is failed:timeout.")
    ] = 600.0,
    file_memory: Annotated[
        str, typer.Option(help="Memory that one file may take, in MiB, GiB, MB or GB; beyond it is failed:memory.")
    ] = "2048MiB",
    report: Annotated[
        Path | None, typer.Option(help="HTML page about the content of the store. Default: STORE/ingest_report.html")
    ] = None,
    linking_key: Annotated[
        Path | None, typer.Option(help="Write link codes of patients by this key, which hospitals share; see link.")
    ] = None,
) -> None:
    """De-identify echo DICOM and turn it into frames; every file ends with one status.

    Example: heart2heart ingest /archive/2024 --site tufts --store store
    """
    from functools import partial

    from heart2heart.api.ingest import ingest_files
    from heart2heart.api.review import review_sentence
    from heart2heart.progress import progress_bar

    result = ingest_files(
        paths, site=site, store=store, key=key, geometry=geometry, size=size, frames=frames, text=text,
        viewing_copies=viewing_copies, workers=workers, dask=dask, file_seconds=file_seconds, file_memory=file_memory,
        report=report, linking_key=linking_key, stage=partial(progress_bar, timed=False),
    )  # fmt: skip
    print(result.table)
    if result.links is not None:
        print(f"{result.links.linked} of {result.links.patients} patients have a link code: {result.links.file}")
    if sentence := review_sentence(store):
        print(sentence)
    print(f"Report: {result.report}")
    result.require_frames()


@store.command("show")
def store_show(root: Annotated[Path, typer.Argument(metavar="STORE", help="Frame store.")]) -> None:
    """Count patients, clips and frames by hospital and mode.

    Example: heart2heart store show store
    """
    from heart2heart.api.review import review_sentence
    from heart2heart.api.stores import count_frames, open_store
    from heart2heart.cli.output import text_table

    opened = open_store(root)
    counts = count_frames(opened)
    print(f"{root}: frames of {opened.geometry}")
    print(text_table(counts.column_names, [tuple(row.values()) for row in counts.to_pylist()]))
    if sentence := review_sentence(root):
        print(sentence)


@store.command("verify")
def store_verify(root: Annotated[Path, typer.Argument(metavar="STORE", help="Frame store.")]) -> None:
    """Re-hash every shard; if anything differs, print a line for each fault and exit with code 2.

    Example: heart2heart store verify store
    """
    from heart2heart.api.stores import require_no_faults, verify_store

    faults = verify_store(root)
    for fault in faults:
        print(fault)
    require_no_faults(root, faults)
    print(f"{root}: every shard matches its checksum")


@store.command("digest")
def store_digest(root: Annotated[Path, typer.Argument(metavar="STORE", help="Frame store.")]) -> None:
    """Print one hash of all clips, frames and pixels; the order of the shards does not change it.

    Example: heart2heart store digest store
    """
    from heart2heart.api.stores import open_store

    print(open_store(root).digest())


@store.command("sql")
def store_sql(
    root: Annotated[Path, typer.Argument(metavar="STORE", help="Frame store.")],
    query: Annotated[str, typer.Argument(help="DuckDB SQL over the tables clips and frames.")],
) -> None:
    """Run one SQL query and print its rows.

    Example: heart2heart store sql store "SELECT mode, count(*) FROM clips GROUP BY mode"
    """
    from heart2heart.api.stores import open_store
    from heart2heart.cli.output import text_table

    table = open_store(root).sql(query)
    print(text_table(table.column_names, [tuple(row.values()) for row in table.to_pylist()]))


@store.command("flags")
def store_flags(
    root: Annotated[Path, typer.Argument(metavar="STORE", help="Frame store.")],
    rule: Annotated[str, typer.Option(help="Flags rule: usual, strict, or a YAML file.")] = "usual",
) -> None:
    """Count the clips by flag that a rule lets reach the label page, the pool, training and evaluation.

    The text review goes first: no rule allows what it withholds.

    Example: heart2heart store flags store --rule strict
    """
    from heart2heart.api.flags import count_flags
    from heart2heart.cli.output import text_table

    counted = count_flags(root, rule=rule)
    print(counted.rule.sentence())
    for use, query in counted.queries.items():
        print(f"{use}: {query}")
    print(text_table(("flag", "clips", *counted.queries), [(c.flag, c.clips, *c.reaching) for c in counted.counts]))
    print(f"The text review withholds {counted.withheld} clips from the label page, {counted.excluded} from all uses")


@store.command("ledger")
def store_ledger(
    root: Annotated[Path, typer.Argument(metavar="STORE", help="Frame store.")],
    find: Annotated[list[Path] | None, typer.Option(help="Folders to search for the files of --code.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="Status code, such as failed:truncated; repeatable.")] = None,
    key: Annotated[Path | None, typer.Option(help="Key that the store was ingested with.")] = None,
) -> None:
    """Count files by status; with --find and --code, print which files have that status (paths may identify patients).

    Example: heart2heart store ledger store --find /archive/2024 --code failed:decode
    """
    from heart2heart.api.stores import count_files, files_by_status
    from heart2heart.cli.output import text_table

    if find and code:
        for path in files_by_status(find, store=root, codes=code, key=key):
            print(path)
        return
    print(text_table(("hospital", "status", "files"), count_files(root)))
