"""What the Heart2Heart benchmark learns from and is tested on: stores, labels and certified splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heart2heart.demo import SOURCE, ingest_hospitals, simulate_hospitals
from heart2heart.errors import ConfigError, Heart2HeartError, LeakageError, MissingInputError
from heart2heart.files import read_json, write_json
from heart2heart.progress import stage
from heart2heart.sources.catalogue import SOURCES
from heart2heart.sources.open import SCANNED, add_source
from heart2heart.sources.plan import Plan, clip_id
from pipelines.heart2heart_jobs import FOLDS, Study

SITES = ("tmed2", "unity", "camus")
"""The data sets of the benchmark; the first trains."""
SIZE, FRAMES = 32, "even:8"
"""Side of the synthetic frames, pixels, and those kept of a clip."""


@dataclass(frozen=True)
class DataSet:
    """One data set as it was found.

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


def look(name: str, folder: Path | None, out: Path, folds: Sequence[int]) -> DataSet:
    """Find out how much of a data set is there, without reading a picture."""
    marker = _marker(out, name)
    if marker.exists():
        content = read_json(marker, what="record of a data set")
        return DataSet(name, "in the store", tuple(content["problems"]))
    if folder is None:
        return DataSet(name, "not given")
    try:
        plan = SCANNED[name](folder)
    except Heart2HeartError as error:
        return DataSet(name, "not readable", (str(error),))
    found = differences(plan, folds)
    splits = frozenset(plan.official["split"].unique().to_pylist())
    return DataSet(name, "not whole" if found else "there", tuple(found), splits)


def differences(plan: Plan, folds: Sequence[int]) -> list[str]:
    """Say in what the files of a data set differ from the published ones, as far as these folds need them."""
    there = {clip_id(plan.source, item.key) for item in plan.items}
    found = []
    if plan.missing:
        found.append(f"{len(plan.missing)} of {len(plan.items) + len(plan.missing)} files are missing")
    for each in plan.expectations:
        fold = each.what.partition("fold")[2][:1]
        number = len({name for clip, name in each.names.items() if clip in there})
        if number != each.number and (not fold or int(fold) in folds):
            found.append(f"{each.what}: {number} instead of {each.number}")
    return found


def fill(study: Study, folders: dict[str, Path], *, incomplete: bool, workers: int) -> None:
    """Fill a store a data set, or find them filled.

    Raises:
        MissingInputError: a data set is not there, not whole or of another version, and that was not accepted.
    """
    from heart2heart.workflow import label_source

    for name in study.sites:
        marker, title = _marker(study.out, name), SOURCES[name].title
        if marker.exists():
            continue
        folder = folders[name]
        problems = differences(SCANNED[name](folder), study.folds)
        if problems and not incomplete:
            raise _not_whole(title, name, folder, problems)
        with stage(f"add {title}", 100) as progress:
            report = add_source(name, folder, study.out / "stores" / name, workers=workers, progress=progress)
        unread = sum(not code.startswith("failed:missing") for _, code in report.refused)
        if unread:
            problems.append(f"{unread} files cannot be read or are there twice")
            if not incomplete:
                raise _not_whole(title, name, folder, problems)
        label_source(report, study.labels)
        write_json(marker, {"accepted": report.accepted, "problems": problems})


def _not_whole(title: str, name: str, folder: Path, problems: Sequence[str]) -> MissingInputError:
    shown = "; ".join(problems[:4]) + (f"; and {len(problems) - 4} more" if len(problems) > 4 else "")
    remedy = (
        f"Finish the download (`heart2heart source {name}` lists each file), or go on with what is there by "
        "--accept-incomplete: the result is then not the benchmark's"
    )
    return MissingInputError(f"{title} is not whole, or of another version ({shown})", where=folder, remedy=remedy)


def freeze(study: Study) -> None:
    """Freeze and certify the official split of every fold, or find them certified.

    Raises:
        SplitError: TMED-2 lacks the tables of a fold.
        LeakageError: a split leaks; where only its pool does, the option that cleans it is named.
    """
    from heart2heart.curate import LabelBook, resolve
    from heart2heart.frames.store import FrameStores
    from heart2heart.splits import SplitManifest, certify, freeze_official

    stores = FrameStores.open(study.stores)
    with stage("freeze and certify the splits", len(study.folds)) as progress:
        for done, fold in enumerate(study.folds, start=1):
            path = study.split(fold)
            if (path / "split.json").exists():
                split = SplitManifest.load(path)
            else:
                views = resolve(LabelBook(study.labels).events(), stores.frames)
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


def simulated(study: Study, *, scale: float, seed: int, workers: int) -> None:
    """Make the SYNTHETIC hospitals and their splits, or find them made."""
    from heart2heart.curate import LabelBook, resolve
    from heart2heart.frames.store import FrameStores
    from heart2heart.splits import SplitManifest, SplitSettings, certify, propose

    made = study.out / "data" / "synthetic.json"
    if not made.exists():
        simulate_hospitals(study.out, scale, seed, workers, stage=stage)
        ingest_hospitals(study.out, study.sites, seed, workers, size=SIZE, frames=FRAMES, stage=stage)
        write_json(made, {"scale": scale, "seed": seed})
    stores = FrameStores.open(study.stores)
    with stage("freeze and certify the splits", len(study.folds)) as progress:
        for done, fold in enumerate(study.folds, start=1):
            path = study.split(fold)
            if (path / "split.json").exists():
                split = SplitManifest.load(path)
            else:
                views = resolve(LabelBook(study.labels).events(), stores.frames)
                settings = SplitSettings(
                    name=f"synthetic-fold{fold}", source=(SOURCE,), validation=0.3, test=1 / len(FOLDS), label_budget=4,
                    folds=len(FOLDS), fold=fold,
                )  # fmt: skip
                split = propose(stores, views, settings, path)
            if not (split.path / "certificate.json").exists():
                certify(split, stores)
            split.require_certified()
            progress.update(done)


def bind(study: Study, settings: dict[str, object]) -> None:
    """Note what every run of this folder is bound to, or refuse what differs from it.

    Raises:
        ConfigError: the folder was begun over other hospitals or with other settings.
    """
    path = study.out / "benchmark.json"
    told = {"sites": list(study.sites), "synthetic": study.synthetic, "clean_pool": study.clean_pool, **settings}
    if not path.exists():
        write_json(path, told)
        return
    begun = read_json(path, what="record of a benchmark")
    if other := sorted(key for key in told if begun.get(key) != told[key]):
        what = ", ".join(f"{key} {begun.get(key)}" for key in other)
        remedy = "Runs are bound to their split: give the same options, or another --out"
        raise ConfigError(f"this folder was begun with {what}", where=study.out, remedy=remedy)


def _marker(out: Path, name: str) -> Path:
    return out / "data" / f"{name}.json"
