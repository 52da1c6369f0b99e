"""Verbs `heart2heart source NAME FOLDER --store STORE`: one for each public data set, and one for pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from heart2heart.api.datasets import dataset_catalogue

if TYPE_CHECKING:
    from heart2heart.api.datasets import AddedDataset

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the data set.")]
StoreOption = Annotated[Path, typer.Option(help="Frame store; created on first use.")]
LabelsOption = Annotated[
    Path | None, typer.Option("--labels", help="Label store (SQLite) for its labels. Default: STORE.labels.db")
]
KeyOption = Annotated[
    Path | None, typer.Option(help="Key of the pseudonyms, created on first use (mode 0600). Default: STORE.key")
]
SizeOption = Annotated[int, typer.Option(help="Side of the square frames, pixels.")]
FramesOption = Annotated[str, typer.Option(help="Frames to keep of a sequence: all, every:N, even:K or ed_es:K.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes.")]

_MAX_REFUSED_SHOWN = 10  # refused files that are printed; the report in the store lists all


class HelpByNameGroup(TyperGroup):
    """The verbs of `source`, with those of plugins.

    It takes `--help NAME` as `NAME --help`. The class of `ctx` is one that typer does not export.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse `--help NAME` as `NAME --help`."""
        if len(args) > 1 and args[0] in ctx.help_option_names and args[1] in (*self.commands, *dataset_catalogue()):
            args = [args[1], args[0], *args[2:]]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the built-in verbs, then those of plugins that can be used."""
        return list(dict.fromkeys([*super().list_commands(ctx), *dataset_catalogue()]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb; the verb of a plugin is created on first use.

        Raises:
            PluginError: the plugin of this name cannot be used.
        """
        if cmd_name not in self.commands and cmd_name in dataset_catalogue():
            verbs = typer.Typer()
            verbs.command(cmd_name, help=_help(cmd_name))(_clips_verb(cmd_name))
            self.commands[cmd_name] = typer.main.get_command(verbs)
        return super().get_command(ctx, cmd_name)


source = typer.Typer(
    cls=HelpByNameGroup,
    help="Add a public data set, which you have on disk, or your own pictures to a frame store. `source --help NAME` "
    "gives the address and licence of a data set. Nothing is downloaded.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    for name in ("tmed2", "unity", "cameo"):
        source.command(name, help=_help(name))(_frames_verb(name))
    source.command("camus", help=_help("camus"))(camus)
    source.command("echonet", help=_help("echonet"))(_clips_verb("echonet"))
    source.command("mimic", help=_help("mimic"))(mimic)
    for name in ("fashion-mnist", "cifar10", "cifar100"):
        source.command(name, help=_help(name))(_images_verb(name))
    source.command("pictures")(pictures)
    app.add_typer(source, name="source")


def _help(name: str) -> str:
    text = dataset_catalogue()[name].help_text
    return f"{text}\n\nExample: heart2heart source {name} /data/{name} --store stores/{name}"


def _frames_verb(name: str) -> Callable[..., None]:
    """Return the verb of a data set of single frames."""

    def verb(
        folder: FolderArgument,
        store: StoreOption,
        labels: LabelsOption = None,
        size: SizeOption = 112,
        workers: WorkersOption = 2,
    ) -> None:
        _add(name, folder, store, labels, size=size, workers=workers)

    return verb


def _clips_verb(name: str) -> Callable[..., None]:
    """Return the verb of a data set of clips that has no options of its own."""

    def verb(
        folder: FolderArgument,
        store: StoreOption,
        labels: LabelsOption = None,
        size: SizeOption = 112,
        frames: FramesOption = "all",
        workers: WorkersOption = 2,
    ) -> None:
        _add(name, folder, store, labels, size=size, rule=frames, workers=workers)

    return verb


def _images_verb(name: str) -> Callable[..., None]:
    """Return the verb of a plain image set."""

    def verb(
        folder: FolderArgument,
        store: StoreOption,
        size: Annotated[int | None, typer.Option(help="Side of the frames, pixels. Default: the images' own.")] = None,
    ) -> None:
        _add(name, folder, store, None, size=size)

    return verb


def camus(
    folder: FolderArgument,
    store: StoreOption,
    labels: LabelsOption = None,
    size: SizeOption = 112,
    sequences: Annotated[bool, typer.Option("--sequences", help="Add the half sequences as well.")] = False,
    frames: FramesOption = "all",
    workers: WorkersOption = 2,
) -> None:
    """Add CAMUS."""
    _add("camus", folder, store, labels, size=size, rule=frames, sequences=sequences, workers=workers)


def mimic(
    folder: FolderArgument,
    store: StoreOption,
    key: KeyOption = None,
    size: SizeOption = 112,
    frames: FramesOption = "all",
    workers: WorkersOption = 2,
) -> None:
    """Ingest MIMIC-IV-ECHO."""
    _add("mimic", folder, store, None, size=size, rule=frames, key=key, workers=workers)


def pictures(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER|TABLE", help="Folder of pictures, or CSV table.")],
    store: StoreOption,
    levels: Annotated[
        str, typer.Option(help="What the levels of folders name, from the top: label, patient, site, split or skip.")
    ] = "label",
    site: Annotated[str, typer.Option(help="Hospital of the pictures that name none.")] = "pictures",
    vocabulary: Annotated[
        str, typer.Option(help="Vocabulary of the labels, or own for labels that are no views.")
    ] = "heart2heart",
    labels: LabelsOption = None,
    rater: Annotated[str, typer.Option(help="Name of the rater of the labels.")] = "pictures",
    key: KeyOption = None,
    geometry: Annotated[str, typer.Option(help="tmed2 or centred.")] = "tmed2",
    size: SizeOption = 112,
    frames: FramesOption = "all",
    whole: Annotated[
        bool, typer.Option("--whole", help="Keep whole pictures where no sector is found: they show the scan alone.")
    ] = False,
    text: Annotated[
        str,
        typer.Option(
            metavar="blank|quarantine|refuse",
            help="Text inside the scan: blank it, quarantine the clip for review, or refuse it.",
        ),
    ] = "blank",
    viewing_copies: Annotated[
        bool, typer.Option(help="Keep full-size copies for the label page; off for stores that nobody labels.")
    ] = True,
    workers: WorkersOption = 2,
    file_seconds: Annotated[
        float, typer.Option(help="Seconds that one file may take; then it is failed:timeout.")
    ] = 600.0,
    file_memory: Annotated[
        str, typer.Option(help="Memory that one file may take, in MiB, GiB, MB or GB; beyond it is failed:memory.")
    ] = "2048MiB",
) -> None:
    """Add pictures and videos: PNG, JPEG, TIFF, GIF, and with the extra `video` MP4, MOV, AVI, MPEG.

    FOLDER holds a folder for each label. TABLE is a CSV file with the column file, and label, patient, site and split
    where known; names are relative to its folder. Names of files and patients are replaced by keyed hashes.

    Example: heart2heart source pictures export/labels.csv --store stores/export
    """
    from heart2heart.api.datasets import add_pictures
    from heart2heart.progress import progress_bar

    added = add_pictures(
        folder, store, levels=levels, site=site, vocabulary=vocabulary, labels=labels, rater=rater, key=key,
        geometry=geometry, size=size, frames=frames, whole=whole, text=text, viewing_copies=viewing_copies,
        workers=workers, file_seconds=file_seconds, file_memory=file_memory, stage=progress_bar,
    )  # fmt: skip
    _print_added(added)


def _add(
    name: str,
    folder: Path,
    store: Path,
    labels: Path | None,
    *,
    size: int | None,
    rule: str = "all",
    key: Path | None = None,
    sequences: bool = False,
    workers: int = 1,
) -> None:
    from heart2heart.api.datasets import add_dataset
    from heart2heart.progress import progress_bar

    added = add_dataset(
        name, folder, store, labels=labels, size=size, rule=rule, key=key, sequences=sequences, workers=workers,
        stage=progress_bar,
    )  # fmt: skip
    _print_added(added)


def _print_added(added: AddedDataset) -> None:
    from heart2heart.cli.output import text_table

    report = added.report
    print(text_table(("status", "files", "meaning"), report.status_rows()))
    print(
        f"{report.expected} files expected, {report.found} found, {report.accepted} in the store; "
        f"{report.clips} clips and {report.frames} frames added now; {report.patients} patients"
    )
    if report.files_not_in_store:
        rows = report.files_not_in_store[:_MAX_REFUSED_SHOWN]
        print(text_table((f"refused ({len(rows)} of {len(report.files_not_in_store)})", "status"), rows))
    if report.count_checks:
        print(text_table(("published count", "published", "in the store", "verdict"), report.count_rows()))
    if report.splits:
        print(text_table(("official split", "role", "view", "clips"), report.split_rows()))
    for note in report.notes:
        print(f"note: {note}")
    if report.labels:
        print(f"{len(report.labels)} labels by {added.rater} in {added.label_store}, {added.new_labels} of them new")
    print(f"Report: {added.page}")
    added.require_frames()
