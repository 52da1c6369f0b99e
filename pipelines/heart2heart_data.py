"""The data of the Heart2Heart benchmark: stores, labels and certified splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heart2heart.datasets.add_dataset import SCANNERS, add_dataset
from heart2heart.datasets.catalogue import CATALOGUE
from heart2heart.datasets.manifest import DatasetManifest, clip_id
from heart2heart.demo import SOURCE, ingest_hospitals, simulate_hospitals
from heart2heart.errors import ConfigError, Heart2HeartError, LeakageError, MissingInputError
from heart2heart.progress import progress_bar
from heart2heart.utils import read_json, write_json
from pipelines.heart2heart_runs import FOLDS, BenchmarkStudy

SITES = ("tmed2", "unity", "camus")
"""The data sets of the benchmark; the first trains."""
SIZE, FRAMES = 32, "even:8"
"""Side of the synthetic frames, pixels, and those kept of a clip."""


@dataclass(frozen=True)
class DatasetState:
    """One data set on disk.

    Attributes:
        name: Its short name.
        state: `in the store`, `there`, `not whole`, `not readable` or `not given`.
        problems: What makes it differ from the published one, one phrase each.
        splits: Its official splits; None where they were not looked at.
    """

    name: str
    state: str
    problems: tuple[str, ...] = ()
    splits: frozenset[str] | None = None


def inspect_dataset(name: str, folder: Path | None, out: Path, folds: Sequence[int]) -> DatasetState:
    """Count the files of a data set that are present, without reading a picture."""
    marker = _record_path(out, name)
    if marker.exists():
        content = read_json(marker, what="record of a data set")
        return DatasetState(name, "in the store", tuple(content["problems"]))
    if folder is None:
        return DatasetState(name, "not given")
    try:
        manifest = SCANNERS[name](folder)
    except Heart2HeartError as error:
        return DatasetState(name, "not readable", (str(error),))
    differences = published_differences(manifest, folds)
    splits = frozenset(manifest.official_split["split"].unique().to_pylist())
    return DatasetState(name, "not whole" if differences else "there", tuple(differences), splits)


def published_differences(plan: DatasetManifest, folds: Sequence[int]) -> list[str]:
    """Return how the files of a data set differ from the published ones, for the files that these folds need."""
    there = {clip_id(plan.source, item.key) for item in plan.files}
    differences = []
    if plan.missing:
        differences.append(f"{len(plan.missing)} of {len(plan.files) + len(plan.missing)} files are missing")
    for each in plan.published_counts:
        fold = each.what.partition("fold")[2][:1]
        number = len({name for clip, name in each.names.items() if clip in there})
        if number != each.expected and (not fold or int(fold) in folds):
            differences.append(f"{each.what}: {number} instead of {each.expected}")
    return differences


def fill_stores(study: BenchmarkStudy, folders: dict[str, Path], *, incomplete: bool, workers: int) -> None:
    """Fill one store for each data set, unless it is filled already.

    Raises:
        MissingInputError: a data set is not there, not whole or of another version, and that was not accepted.
    """
    from heart2heart.api.datasets import record_dataset_labels

    for name in study.sites:
        marker, title = _record_path(study.out, name), CATALOGUE[name].title
        if marker.exists():
            continue
        folder = folders[name]
        problems = published_differences(SCANNERS[name](folder), study.folds)
        if problems and not incomplete:
            raise _incomplete_error(title, name, folder, problems)
        with progress_bar(f"add {title}", 100) as progress:
            report = add_dataset(name, folder, study.out / "stores" / name, workers=workers, progress=progress)
        unread = sum(not code.startswith("failed:missing") for _, code in report.files_not_in_store)
        if unread:
            problems.append(f"{unread} files cannot be read or are there twice")
            if not incomplete:
                raise _incomplete_error(title, name, folder, problems)
        record_dataset_labels(report, study.labels)
        write_json(marker, {"accepted": report.accepted, "problems": problems})


def _incomplete_error(title: str, name: str, folder: Path, problems: Sequence[str]) -> MissingInputError:
    shown = "; ".join(problems[:4]) + (f"; and {len(problems) - 4} more" if len(problems) > 4 else "")
    remedy = (
        f"Finish the download (`heart2heart source {name}` lists each file), or go on with what is there by "
        "--accept-incomplete: the result is then not the benchmark's"
    )
    return MissingInputError(f"{title} is not whole, or of another version ({shown})", where=folder, remedy=remedy)


def freeze_official_splits(study: BenchmarkStudy) -> None:
    """Freeze and certify the official split of every fold, unless it is certified already.

    Raises:
        SplitError: TMED-2 lacks the tables of a fold.
        LeakageError: a split leaks; where only its pool does, the option that cleans it is named.
    """
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.splits.certify import certify
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.official import freeze_official
    from heart2heart.store.frame_store import FrameStores

    stores = FrameStores.open(study.stores)
    with progress_bar("freeze and certify the splits", len(study.folds)) as progress:
        for done, fold in enumerate(study.folds, start=1):
            path = study.split(fold)
            if (path / "split.json").exists():
                split = SplitManifest.load(path)
            else:
                views = frame_labels(LabelStore(study.labels).events(), stores.frames)
                name = f"{SITES[0]}:DEV56/fold{fold}"
                split = freeze_official(stores, views, name, path, clean_pool=study.clean_pool)
            if not (path / "certificate.json").exists():
                certify(split, stores)
            try:
                split.require_certified()
            except LeakageError as error:
                if study.clean_pool:
                    raise
                remedy = "--clean-pool leaves pool frames of evaluated patients out, and is told in every report"
                raise LeakageError(error.what, where=error.where, remedy=remedy) from error
            progress.update(done)


def prepare_synthetic(study: BenchmarkStudy, *, scale: float, seed: int, workers: int) -> None:
    """Create the SYNTHETIC hospitals and their splits, unless they exist."""
    from heart2heart.labels.consensus import frame_labels
    from heart2heart.labels.label_store import LabelStore
    from heart2heart.schema.split import SplitSettings
    from heart2heart.splits.certify import certify
    from heart2heart.splits.manifest import SplitManifest
    from heart2heart.splits.propose import propose
    from heart2heart.store.frame_store import FrameStores

    marker = study.out / "data" / "synthetic.json"
    if not marker.exists():
        simulate_hospitals(study.out, scale, seed, workers, stage=progress_bar)
        ingest_hospitals(study.out, study.sites, seed, workers, size=SIZE, frames=FRAMES, stage=progress_bar)
        write_json(marker, {"scale": scale, "seed": seed})
    stores = FrameStores.open(study.stores)
    with progress_bar("freeze and certify the splits", len(study.folds)) as progress:
        for done, fold in enumerate(study.folds, start=1):
            path = study.split(fold)
            if (path / "split.json").exists():
                split = SplitManifest.load(path)
            else:
                views = frame_labels(LabelStore(study.labels).events(), stores.frames)
                settings = SplitSettings(
                    name=f"synthetic-fold{fold}", source=(SOURCE,), validation=0.3, test=1 / len(FOLDS), label_budget=4,
                    folds=len(FOLDS), fold=fold,
                )  # fmt: skip
                split = propose(stores, views, settings, path)
            if not (split.path / "certificate.json").exists():
                certify(split, stores)
            split.require_certified()
            progress.update(done)


def bind_settings(study: BenchmarkStudy, settings: dict[str, object]) -> None:
    """Record the settings that all runs of this folder share, or refuse settings that differ from the record.

    Raises:
        ConfigError: the folder was begun over other hospitals or with other settings.
    """
    path = study.out / "benchmark.json"
    record = {"sites": list(study.sites), "synthetic": study.synthetic, "clean_pool": study.clean_pool, **settings}
    if not path.exists():
        write_json(path, record)
        return
    begun = read_json(path, what="record of a benchmark")
    if other := sorted(key for key in record if begun.get(key) != record[key]):
        what = ", ".join(f"{key} {begun.get(key)}" for key in other)
        remedy = "Runs are bound to their split: give the same options, or another --out"
        raise ConfigError(f"this folder was begun with {what}", where=study.out, remedy=remedy)


def _record_path(out: Path, name: str) -> Path:
    return out / "data" / f"{name}.json"
