"""Proposes, freezes and certifies splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heart2heart.errors import ConfigError, LeakageError, MissingInputError

if TYPE_CHECKING:
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.schema.flags_rule import FlagsRule
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.store.frame_store import FrameStores
    from heart2heart.store.frame_tables import FrameTables


def load_split(path: str | Path) -> SplitManifest:
    """Open a frozen split.

    Raises:
        MissingInputError: no split there.
        SplitError: its files were changed.

    Examples:
        >>> import heart2heart as h2h
        >>> h2h.load_split("split").source_sites
        ('A',)
    """
    from heart2heart.splits.manifest import SplitManifest

    return SplitManifest.load(path)


def make_split(
    store: str | Path | Sequence[str | Path] | FrameTables,
    labels: str | Path | LabelStore,
    out: str | Path,
    *,
    source: Sequence[str] | None = None,
    held_out: Sequence[str] | None = None,
    validation: float = 0.2,
    test: float = 0.2,
    adaptation: float = 0.0,
    label_budget: int | None = None,
    rule: str = "latest",
    classes: Sequence[str] = (),
    flags: str | Path | FlagsRule | None = None,
    seed: int = 0,
) -> SplitManifest:
    """Propose a split by patient and hospital, freeze it, and certify that it does not leak.

    Args:
        store: The stores of all hospitals, opened or by path.
        labels: The label store.
        out: Folder of the new split.
        source: Hospitals whose patients may train. None takes all.
        held_out: Hospitals that are only tested on. None takes all others.
        validation: Share of the labeled source patients that validate.
        test: Share of the labeled source patients that test.
        adaptation: Share of the labeled patients of each held-out hospital that `adapt` may use and nobody scores.
        label_budget: Labeled training patients to keep. None keeps all.
        rule: How a clip's events become one label.
        classes: Views that are scored, in class order. Empty takes PLAX, PSAX, A4C and A2C. A label of a finer view
            counts as the class that it is a part of.
        flags: Flags rule, by file or packaged name. None is `usual`, by which no flag keeps a clip from a split.
        seed: Seed of the proposal.

    Returns:
        The frozen split; `certificate()` lists its checks.

    Raises:
        ExistsError: a split is already there.
        LeakageError: a check failed.

    Examples:
        >>> import heart2heart as h2h
        >>> split = h2h.make_split("store", "labels.db", "new_split", source=["A"])
        >>> split.held_out_sites, split.certificate().passed
        (('B',), True)
    """
    (split,) = make_splits(
        store,
        labels,
        out,
        source=source,
        held_out=held_out,
        validation=validation,
        test=test,
        adaptation=adaptation,
        label_budget=label_budget,
        rule=rule,
        classes=classes,
        flags=flags,
        seed=seed,
    )
    require_no_leak([split])
    return split


def make_splits(
    store: str | Path | Sequence[str | Path] | FrameTables,
    labels: str | Path | LabelStore,
    out: str | Path,
    *,
    source: Sequence[str] | None = None,
    held_out: Sequence[str] | None = None,
    leave_one_out: bool = False,
    folds: int = 1,
    validation: float = 0.2,
    test: float = 0.2,
    adaptation: float = 0.0,
    label_budget: int | None = None,
    official: str | None = None,
    clean_pool: bool = False,
    rule: str = "latest",
    classes: Sequence[str] = (),
    flags: str | Path | FlagsRule | None = None,
    seed: int = 0,
) -> list[SplitManifest]:
    """Propose and freeze one split or several, and write the certificate of each.

    Args:
        store: See `make_split`, as for the arguments that are not listed here.
        labels: The label store.
        out: Folder of the split, or of the splits.
        source: Hospitals whose patients may train.
        held_out: Hospitals that are only tested on.
        leave_one_out: One split a source hospital, which is held out, in `out/HOSPITAL`.
        folds: Splits in `out/fold0` and so on; each patient tests in one.
        validation: Share of the labeled source patients that validate.
        test: Share of the labeled source patients that test.
        adaptation: Share of the labeled patients of each held-out hospital that `adapt` may use and nobody scores.
        label_budget: Labeled training patients to keep.
        official: A data set's official split, `SITE:SPLIT`, such as `tmed2:DEV56/fold0`.
        clean_pool: With `official`: exclude pool frames of evaluated patients.
        rule: How a clip's events become one label.
        classes: Views that are scored, in class order. Empty takes PLAX, PSAX, A4C and A2C. A label of a finer view
            counts as the class that it is a part of.
        flags: Flags rule, by file or packaged name. None is `usual`, by which no flag keeps a clip from a split.
        seed: Seed of the proposal.

    Returns:
        The splits. A split that leaks is among them; `require_no_leak` refuses it.

    Raises:
        ConfigError: arguments that exclude each other.
        MissingInputError: the stores hold no frame.

    Examples:
        >>> import heart2heart as h2h
        >>> [split.name for split in h2h.make_splits("store", "labels.db", "folds", source=["A"], folds=2)]
        ['folds-fold0', 'folds-fold1']
    """
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.labels.task_labels import task_events, task_taxonomy
    from heart2heart.schema.flags_rule import read_flags_rule
    from heart2heart.schema.split import SplitSettings
    from heart2heart.schema.views import SCORED_VIEWS
    from heart2heart.splits.official import freeze_official
    from heart2heart.splits.propose import propose, propose_folds, propose_leave_one_out

    if leave_one_out and (folds > 1 or held_out):
        raise ConfigError(
            "--leave-one-out already decides which hospitals test", remedy="Leave out --folds and --held-out"
        )
    if official and (source or leave_one_out or folds > 1 or label_budget or classes):
        raise ConfigError(
            "--official already decides which patients train", remedy="Give only --held-out and --clean-pool with it"
        )
    stores, folder = open_stores(store), Path(out)
    if not stores.sites:
        remedy = "Fill them first: heart2heart ingest, or heart2heart source"
        where = ", ".join(str(one.root) for one in stores.stores)
        raise MissingInputError("the stores hold no frame", where=where, remedy=remedy)
    label_store = labels if isinstance(labels, LabelStore) else LabelStore(labels)
    flags_rule = None if flags is None else read_flags_rule(flags)
    if official:
        views = frame_labels(task_events(label_store, SCORED_VIEWS), stores.frames, rule)
        frozen = freeze_official(
            stores, views, official, folder, held_out=held_out, clean_pool=clean_pool, flags=flags_rule
        )
        return certify_splits([frozen], stores)
    classes = classes or SCORED_VIEWS
    content = {
        "name": folder.name,
        "source": source or stores.sites,
        "held_out": held_out,
        "validation": validation,
        "test": test,
        "adaptation": adaptation,
        "label_budget": label_budget,
        "seed": seed,
        "flags_rule": flags_rule,
        "classes": tuple(classes),
        "taxonomy": task_taxonomy(label_store, classes),
    }
    settings = SplitSettings.parse(content, where="options of heart2heart split")
    views = frame_labels(task_events(label_store, settings.classes), stores.frames, rule)
    if leave_one_out:
        return certify_splits(propose_leave_one_out(stores, views, settings, folder), stores)
    if folds > 1:
        return certify_splits(propose_folds(stores, views, settings, folder, folds), stores)
    return certify_splits([propose(stores, views, settings, folder)], stores)


def certify_splits(
    splits: Sequence[str | Path | SplitManifest],
    store: str | Path | Sequence[str | Path] | FrameTables,
    *,
    reviewed: str | Path | None = None,
) -> list[SplitManifest]:
    """Check frozen splits for leakage, write the certificate of each, and return the splits.

    Args:
        splits: Splits, or their folders.
        store: The stores of these splits.
        reviewed: File of pairs of frames that persons looked at and cleared; see `clear_pairs`.

    Raises:
        SplitError: the file of reviewed pairs was edited, or is of other pixels.

    Examples:
        >>> import heart2heart as h2h
        >>> (split,) = h2h.certify_splits(["split"], "store")
        >>> split.certificate().passed
        True
    """
    from heart2heart.schema.reviewed_pairs import ReviewedPairs
    from heart2heart.splits.certify import certify
    from heart2heart.splits.manifest import SplitManifest

    stores = open_stores(store)
    review = None if reviewed is None else ReviewedPairs.read(Path(reviewed))
    manifests = [each if isinstance(each, SplitManifest) else SplitManifest.load(each) for each in splits]
    for manifest in manifests:
        certify(manifest, stores, reviewed=review)
    return manifests


def require_no_leak(splits: Sequence[SplitManifest]) -> None:
    """Raise LeakageError if a check in the certificate of a split failed.

    Examples:
        >>> import heart2heart as h2h
        >>> from heart2heart.api import require_no_leak
        >>> require_no_leak([h2h.load_split("split")])
    """
    leaking = [str(split.path) for split in splits if not split.certificate().passed]
    if leaking:
        raise LeakageError("the split leaks and cannot be trained on", where=", ".join(leaking))


def open_stores(store: str | Path | Sequence[str | Path] | FrameTables) -> FrameStores:
    """Return one store or several, opened or by path, as one object.

    Examples:
        >>> from heart2heart.api.splits import open_stores
        >>> open_stores(["store"]).sites
        ('A', 'B')
    """
    from heart2heart.store.frame_store import FrameStore, FrameStores
    from heart2heart.store.frame_tables import FrameTables

    if isinstance(store, FrameStores):
        return store
    if isinstance(store, FrameStore):
        return FrameStores([store])
    assert not isinstance(store, FrameTables)
    return FrameStores.open(store)
