"""Verbs that decide who trains and who tests: split, certify."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heart2heart.cli.data import LabelsOption, StoreOption

if TYPE_CHECKING:
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import Frames


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    for verb in (split, certify):
        app.command(verb.__name__)(verb)


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
    label_budget: Annotated[int | None, typer.Option(min=1, help="Labeled training patients to keep.")] = None,
    official: Annotated[
        str | None, typer.Option(help="Freeze a data set's official split, SITE:SPLIT, such as tmed2:DEV56/fold0.")
    ] = None,
    clean_pool: Annotated[
        bool, typer.Option("--clean-pool", help="With --official: exclude pool frames of evaluated patients.")
    ] = False,
    rule: Annotated[str, typer.Option(help="How a clip's events become one label.")] = "latest",
    seed: Annotated[int, typer.Option(help="Seed of the proposal.")] = 0,
) -> None:
    """Propose splits by patient and hospital, freeze them, and certify them as free of leakage.

    Train on A and test on the rest: --source A. Leave each hospital out in turn: --leave-one-out.

    Example: heart2heart split split --store store --labels labels.db --source A
    """
    from heart2heart.errors import ConfigError, MissingInputError
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.splits.official import freeze_official
    from heart2heart.splits.propose import propose, propose_folds, propose_leave_one_out
    from heart2heart.splits.settings import SplitSettings
    from heart2heart.store.frame_store import FrameStores

    if leave_one_out and (folds > 1 or held_out):
        raise ConfigError("--leave-one-out says already who tests", remedy="Leave out --folds and --held-out")
    if official and (source or leave_one_out or folds > 1 or label_budget):
        raise ConfigError("--official says already who trains", remedy="Give only --held-out and --clean-pool with it")
    stores = FrameStores.open(store)
    sites = sorted(set(stores.frames["site"].to_pylist()))
    if not sites:
        remedy = "Fill them first: heart2heart ingest, or heart2heart source"
        raise MissingInputError("the stores hold no frame", where=", ".join(map(str, store)), remedy=remedy)
    if official:
        views = frame_labels(LabelStore(labels).events(), stores.frames, rule)
        made = [freeze_official(stores, views, official, out, held_out=held_out, clean_pool=clean_pool)]
        _certify(made, stores)
        return
    asked = {
        "name": out.name,
        "source": source or sites,
        "held_out": held_out,
        "validation": validation,
        "test": test,
        "label_budget": label_budget,
        "seed": seed,
    }
    settings = SplitSettings.parse(asked, where="options of heart2heart split")
    views = frame_labels(LabelStore(labels).events(), stores.frames, rule)
    if leave_one_out:
        made = propose_leave_one_out(stores, views, settings, out)
    elif folds > 1:
        made = propose_folds(stores, views, settings, out, folds)
    else:
        made = [propose(stores, views, settings, out)]
    _certify(made, stores)


def certify(
    splits: Annotated[list[Path], typer.Argument(help="Folders of splits, e.g. official ones of a data set.")],
    store: StoreOption,
) -> None:
    """Check frozen splits for leakage and write their certificates.

    Example: heart2heart certify split --store store
    """
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStores

    _certify([SplitManifest.load(path) for path in splits], FrameStores.open(store))


def _certify(manifests: Sequence[SplitManifest], stores: Frames) -> None:
    """Certify each split, print what was found, and end with an error if one leaks."""
    from heart2heart.cli.output import text_table
    from heart2heart.errors import LeakageError
    from heart2heart.splits.certify import certify

    leaking = []
    for manifest in manifests:
        certificate = certify(manifest, stores)
        print(text_table(("hospital", "role", "patients", "frames"), manifest.counts()))
        print(text_table(("check", "status", "found"), [(c.name, c.status, c.detail) for c in certificate.checks]))
        if certificate.passed:
            print(f"frozen and certified: {manifest.path} ({manifest.sha256[:16]})")
        else:
            leaking.append(str(manifest.path))
    if leaking:
        raise LeakageError("the split leaks and cannot be trained on", where=", ".join(leaking))
