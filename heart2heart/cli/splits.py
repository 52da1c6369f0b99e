"""Verbs of splits: split, certify, pairs, clear-pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heart2heart.cli.data import FlagsOption, LabelsOption, StoreOption

if TYPE_CHECKING:
    from heart2heart.api import SplitManifest


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    for verb in (split, certify, pairs, clear_pairs):
        app.command(verb.__name__.replace("_", "-"))(verb)


def split(
    out: Annotated[Path, typer.Argument(help="Folder of the new split, or of the new splits.")],
    store: StoreOption,
    labels: LabelsOption,
    source: Annotated[
        list[str] | None, typer.Option(help="Hospital whose patients may train; repeatable. Default: all.")
    ] = None,
    held_out: Annotated[list[str] | None, typer.Option(help="Hospital only tested on. Default: all others.")] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="One split a source hospital, which is held out, in OUT/HOSPITAL.")
    ] = False,
    folds: Annotated[int, typer.Option(min=1, help="Splits in OUT/fold0 ...; each patient tests in one.")] = 1,
    validation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of labeled source patients that validate.")
    ] = 0.2,
    test: Annotated[
        float, typer.Option(min=0, max=1, help="Share of labeled source patients that test; 1/folds with folds.")
    ] = 0.2,
    adaptation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a held-out hospital's labeled patients set aside to adapt.")
    ] = 0.0,
    label_budget: Annotated[int | None, typer.Option(min=1, help="Labeled training patients to keep.")] = None,
    official: Annotated[
        str | None, typer.Option(help="Freeze a data set's official split, SITE:SPLIT, such as tmed2:DEV56/fold0.")
    ] = None,
    clean_pool: Annotated[
        bool, typer.Option("--clean-pool", help="With --official: exclude pool frames of evaluated patients.")
    ] = False,
    rule: Annotated[str, typer.Option(help="How a clip's events become one label.")] = "latest",
    view: Annotated[
        list[str] | None,
        typer.Option(help="View that is scored; repeatable, in class order. Default: PLAX, PSAX, A4C, A2C."),
    ] = None,
    flags: FlagsOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the proposal.")] = 0,
) -> None:
    """Propose splits by patient and hospital, freeze them, and certify them as free of leakage.

    Train on A and test on the rest: --source A. Leave each hospital out in turn: --leave-one-out.

    Example: heart2heart split split --store store --labels labels.db --source A
    """
    from heart2heart.api.splits import make_splits

    frozen = make_splits(
        store, labels, out, source=source, held_out=held_out, leave_one_out=leave_one_out, folds=folds,
        validation=validation, test=test, adaptation=adaptation, label_budget=label_budget, official=official,
        clean_pool=clean_pool, rule=rule, classes=view or (), flags=flags, seed=seed,
    )  # fmt: skip
    _show(frozen)


def certify(
    splits: Annotated[
        list[Path],
        typer.Argument(help="Folders of splits; or one CSV table of pictures with the columns file and split."),
    ],
    store: Annotated[list[Path] | None, typer.Option("--store", help="Frame store; repeatable.")] = None,
    reviewed: Annotated[
        Path | None, typer.Option(help="File of pairs of frames that a person cleared; see clear-pairs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With a table: folder for its store, split, certificate and key.")
    ] = None,
    size: Annotated[int, typer.Option(help="With a table: side of the square frames, pixels.")] = 112,
    whole: Annotated[
        bool, typer.Option("--whole", help="With a table: keep whole pictures where no sector is found.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="With a table: processes.")] = 2,
) -> None:
    """Check frozen splits, or the split of a table of pictures, for leakage and write their certificates.

    Example: heart2heart certify split --store store
    """
    from heart2heart.api.splits import certify_splits
    from heart2heart.errors import ConfigError

    if [path.suffix for path in splits] == [".csv"]:
        _certify_table(splits[0], out, size=size, whole=whole, workers=workers, reviewed=reviewed)
        return
    if not store:
        raise ConfigError("no store of these splits", remedy="Name it with --store; a table of pictures ends with .csv")
    _show(certify_splits(splits, store, reviewed=reviewed))


def _certify_table(
    table: Path, out: Path | None, *, size: int, whole: bool, workers: int, reviewed: Path | None
) -> None:
    """Print what the checks of a table found, by its rows."""
    from heart2heart.api.table_split import certify_table
    from heart2heart.cli.output import text_table
    from heart2heart.errors import ConfigError
    from heart2heart.progress import progress_bar

    if out is None:
        raise ConfigError("no folder for the certificate of this table", remedy="Name it with --out")
    certificate = certify_table(
        table, out, size=size, whole=whole, workers=workers, reviewed=reviewed, stage=progress_bar
    )
    _print_split(certificate.split)
    for note in certificate.notes:
        print(f"note: {note}")
    if certificate.equal_files:
        print(text_table(("row", "row of another role with the same bytes"), certificate.equal_files))
    if certificate.pairs:
        rows = [(index, *pair[:2], f"{pair[2]:.2f}") for index, pair in enumerate(certificate.pairs, start=1)]
        print(text_table(("pair", "left", "right", "correlation"), rows))
        print(f"Look at them: heart2heart pairs {certificate.split.path} --store {out / 'store'}")
    certificate.require_no_leak()
    print(f"no leak found between the parts of {table.name}")


def pairs(
    split: Annotated[Path, typer.Argument(help="Folder of a certified split.")],
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="HTML page with both frames of each pair.")] = Path("pairs.html"),
) -> None:
    """Show the pairs of frames that the certificate suspects to be copies, laid over one another.

    Example: heart2heart pairs split --store store --out pairs.html
    """
    from heart2heart.api.pairs import read_suspected_pairs, show_pairs
    from heart2heart.cli.output import text_table

    page, total = show_pairs(split, store, out)
    rows = [
        (index, pair.left, pair.right, f"{pair.correlation:.2f}")
        for index, pair in enumerate(read_suspected_pairs(split), start=1)
    ]
    print(text_table(("pair", "left", "right", "correlation"), rows))
    print(f"{total} suspected pairs: {page}")


def clear_pairs(
    split: Annotated[Path, typer.Argument(help="Folder of the certified split.")],
    pair: Annotated[list[int], typer.Option(help="Number of the pair on the page; repeatable.")],
    reviewer: Annotated[str, typer.Option(help="Who looked at the pairs.")],
    reason: Annotated[str, typer.Option(help="Why they are no copies.")],
    reviewed: Annotated[Path, typer.Option(help="File of cleared pairs; created, or extended.")],
) -> None:
    """Record that a person looked at suspected pairs and judged them to be no copies.

    Example: heart2heart clear-pairs split --pair 1 --reviewer "Reader 1" --reason "two hearts" --reviewed reviewed.json
    """
    from heart2heart.api.pairs import clear_pairs

    review = clear_pairs(split, pair, reviewer=reviewer, reason=reason, reviewed=reviewed)
    print(f"{len(review.pairs)} pairs cleared: {reviewed} ({review.digest()[:16]})")
    print(f"Certify again: heart2heart certify {split} --store STORE --reviewed {reviewed}")


def _show(splits: Sequence[SplitManifest]) -> None:
    """Print counts and checks of each split, and end with an error if one leaks."""
    from heart2heart.api.splits import require_no_leak

    for split in splits:
        _print_split(split)
        if split.certificate().passed:
            print(f"frozen and certified: {split.path} ({split.sha256[:16]})")
    require_no_leak(splits)


def _print_split(split: SplitManifest) -> None:
    from heart2heart.cli.output import text_table

    checks = [(check.name, check.status, check.detail) for check in split.certificate().checks]
    print(text_table(("hospital", "role", "patients", "frames"), split.counts()))
    print(text_table(("check", "status", "found"), checks))
