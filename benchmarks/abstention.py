"""Which clips a model leaves unanswered: `python -m benchmarks.abstention RUN... --data FOLDER --seed 0`.

The scope is fitted on the source alone. In-scope clips and foreign views and modes come from simulated hospitals that
the run never saw; other foreign clips are simulated in their sectors, photographs, or real files. With `--reset`, half
of the patients of each hospital set the scope again without labels, and the other half are scored. `--others` repeats
the fit with fewer clips labeled with other views, `--sets` measures the coverage of the conformal sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from benchmarks.abstention_clips import Samples, collect, known_sites, load, read_clips, save
from heart2heart.evaluation.contrasts import shares_by_cluster
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.schema.enums import POOL_MODES
from heart2heart.schema.scope import ScopeScoreName, ScopeSettings
from heart2heart.scope.fit import fit_scope
from heart2heart.scope.scope_model import OTHER_VIEW, ClipFeatures, ScopeModel, reset_scope, set_thresholds
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.run import Run
from heart2heart.utils import random_stream

REPLICATES = 1000
GROUPS = ("foreign view", "foreign mode", "simulated", "lung, real", "other DICOM, real")
HEADER = ("score", "in scope %", "foreign %", "views", "modes", "simulated", "lung", "DICOM", "at 90 %", "AUROC")
SETS_HEADER = ("hospital", *(f"{name}{when}" for when in ("", " after") for name in ("patients", "coverage %", "size")))
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoreShares:
    """One score of one run: its name, the cells of a table, and the shares that are averaged over runs."""

    name: str
    cells: tuple[str, ...]
    shares: tuple[float, ...]


def group_of(kind: str) -> str:
    """Return the group of a kind of clip."""
    if kind == "in scope" or "real" in kind:
        return kind
    return "foreign view" if kind.startswith("view") else "foreign mode" if kind.startswith("mode") else "simulated"


def score_samples(
    scope: ScopeModel, samples: Samples, name: ScopeScoreName, moved: Mapping[str, ScopeModel]
) -> tuple[Floats, Bools]:
    """Return the score of each sample, infinite where mode or flags refuse it, and whether it is answered."""
    scores, kept = np.full(len(samples.kind), np.inf), np.zeros(len(samples.kind), bool)
    for site in (*known_sites(samples), ""):
        chosen = (samples.site == site) & ~samples.refused
        model = moved.get(site, scope)
        if chosen.any():
            scores[chosen] = model.scores(samples.clips.take(chosen), name)
            kept[chosen] = scores[chosen] <= model.record.thresholds[name]
    return scores, kept


def moved_scopes(scope: ScopeModel, samples: Samples, seed: int) -> tuple[dict[str, ScopeModel], Bools]:
    """Return the scope of each hospital, set with half of its patients without labels, and which samples those are."""
    moved, used = {}, np.zeros(len(samples.kind), bool)
    hospital = np.array([group_of(kind) in ("in scope", "foreign view") for kind in samples.kind.tolist()])
    for site in known_sites(samples):
        here = (samples.site == site) & hospital & ~samples.refused
        patients = np.unique(samples.clips.patient[here])
        chosen = random_stream(seed, "reset", site).choice(patients, len(patients) // 2, replace=False)
        setting = (samples.site == site) & np.isin(samples.clips.patient, chosen)
        moved[site] = reset_scope(scope, samples.clips.take(setting & here), None, site=site)
        used |= setting
    return moved, used


def share_with_interval(kept: Bools, cluster: npt.NDArray[np.int64], generator: np.random.Generator) -> str:
    """Return a share in per cent with its 95 % interval from resampled patients or clips."""
    _, member = np.unique(cluster, return_inverse=True)
    hits, counts = np.bincount(member, kept), np.bincount(member)
    drawn = generator.integers(len(counts), size=(REPLICATES, len(counts)))
    low, high = np.quantile(hits[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return f"{100 * kept.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def with_other_labels(
    reference: ClipFeatures, copies: ClipFeatures, count: int | None, seed: int
) -> tuple[ClipFeatures, ClipFeatures]:
    """Return both with at least `count` clips labeled with other views, of whole patients; None: with all."""
    if count is None:
        return reference, copies
    other = reference.truth == OTHER_VIEW
    order = random_stream(seed, "other labels").permutation(np.unique(reference.patient[other]))
    numbers = np.cumsum([(other & (reference.patient == each)).sum() for each in order])
    kept = order[: np.searchsorted(numbers, count) + 1] if count else order[:0]
    one, two = (
        replace(each, truth=np.where((each.truth == OTHER_VIEW) & ~np.isin(each.patient, kept), -1, each.truth))
        for each in (reference, copies)
    )
    return one, two


def lines_of(
    labeled: ClipFeatures,
    reference: ClipFeatures,
    copies: ClipFeatures,
    samples: Samples,
    *,
    seed: int,
    keep: float,
    reset: bool,
    others: int | None = None,
) -> list[ScoreShares]:
    """Return one line a score: shares answered in scope and foreign, by group, and two numbers free of a threshold."""
    scope = _fit(labeled, *with_other_labels(reference, copies, others, seed), keep=keep)
    moved, used = moved_scopes(scope, samples, seed) if reset else ({}, np.zeros(len(samples.kind), bool))
    groups = np.array([group_of(kind) for kind in samples.kind.tolist()])
    inside, foreign = (groups == "in scope") & ~used, (groups != "in scope") & ~used
    lines = []
    for name in scope.record.thresholds:
        scores, kept = score_samples(scope, samples, name, moved)
        generator = random_stream(seed, "intervals", name)
        cells = [share_with_interval(kept[each], samples.clips.patient[each], generator) for each in (inside, foreign)]
        shares = [float(kept[each].mean()) for each in (inside, foreign, foreign & (groups == "foreign view"))]
        for group in GROUPS:
            chosen = foreign & (groups == group)
            cells.append(f"{100 * kept[chosen].mean():.0f} % of {chosen.sum()}" if chosen.any() else "")
        limit = np.quantile(scores[inside], 0.9, method="higher")
        ranks = np.where(np.isfinite(scores), scores, 1e300)
        wins = mannwhitneyu(ranks[foreign], ranks[inside]).statistic
        area = wins / (foreign.sum() * inside.sum())
        shares.append(float((scores[foreign] <= limit).mean()))
        cells += [f"{100 * shares[-1]:.1f}", f"{area:.3f}"]
        lines.append(ScoreShares(f"{name.value}, {scope.record.other_clips} other", tuple(cells), tuple(shares)))
    return lines


def _fit(
    labeled: ClipFeatures, reference: ClipFeatures, copies: ClipFeatures | None = None, *, keep: float
) -> ScopeModel:
    classes = tuple(str(index) for index in range(labeled.logits.shape[1]))
    settings = ScopeSettings(keep=keep)
    return fit_scope(
        labeled, reference, copies, classes=classes, modes=POOL_MODES, weights_sha256="", settings=settings
    )


def set_lines(labeled: ClipFeatures, samples: Samples, *, seed: int) -> list[tuple[str, ...]]:
    """Return one line a hospital, and one for all: coverage of sets of 90 %, each patient once, and their size.

    Before a reset, the source's validation patients calibrate, and all patients measure. After it, a random half of the
    hospital's patients calibrates, and the other half measures.
    """
    scope = _fit(labeled, labeled, keep=0.95)
    measured: dict[str, list[tuple[Floats, Floats]]] = {}
    for site in known_sites(samples):
        clips = samples.clips.take((samples.site == site) & ~samples.refused & (samples.clips.truth >= 0))
        patients = np.unique(clips.patient)
        chosen = random_stream(seed, "sets", site).choice(patients, len(patients) // 2, replace=False)
        setting = np.isin(clips.patient, chosen)
        reset = set_thresholds(scope, clips.take(setting))
        measured[site] = [_sets_by_patient(scope, clips), _sets_by_patient(reset, clips.take(~setting))]
    every = [np.concatenate(each, axis=1) for each in zip(*measured.values(), strict=True)]
    measured["all"] = [(hits, sizes) for hits, sizes in every]
    return [(site, *_coverage(before, site), *_coverage(after, site)) for site, (before, after) in measured.items()]


def _sets_by_patient(scope: ScopeModel, clips: ClipFeatures) -> tuple[Floats, Floats]:
    """Return the share of covered clips and the mean size of the sets of each patient."""
    sets = scope.sets(clips.logits)
    _, member, counts = np.unique(clips.patient, return_inverse=True, return_counts=True)
    hits = np.bincount(member, sets[np.arange(len(clips)), clips.truth]) / counts
    return hits, np.bincount(member, sets.sum(1)) / counts


def _coverage(by_patient: tuple[Floats, Floats], site: str) -> list[str]:
    """Return the number of patients, the coverage with its interval, and the mean size."""
    hits, sizes = by_patient
    limits = shares_by_cluster(hits[:, None], np.ones((len(hits), 1)), site).limits(CONFIDENCE)
    low, high = (float(limit[0]) for limit in limits)
    return [str(len(hits)), f"{100 * hits.mean():.1f} ({100 * low:.1f} to {100 * high:.1f})", f"{sizes.mean():.2f}"]


def main() -> None:
    """Print the tables of each run, and the means over the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", required=True, type=Path, help="folder with stores, keys and hospitals")
    parser.add_argument("--split", type=Path, help="split of the runs; default: split in the folder of the data")
    parser.add_argument("--labels", type=Path, help="label store with labels of other views at the source")
    parser.add_argument("--others", nargs="*", type=int, default=[], help="numbers of clips labeled with other views")
    parser.add_argument("--lung", type=Path, help="folder with real lung clips")
    parser.add_argument("--photos", type=Path, help="Parquet file of CIFAR-10")
    parser.add_argument("--dicom", type=Path, help="folder with other real DICOM files")
    parser.add_argument("--cache", type=Path, help="folder that keeps the features")
    parser.add_argument("--keep", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reset", action="store_true", help="set the scope again at each hospital, without labels")
    parser.add_argument("--sets", action="store_true", help="measure the coverage of the sets as well")
    options = parser.parse_args()
    split = SplitManifest.load(options.split or options.data / "split")
    runs = [Run.load(path) for path in options.runs]
    caches = [options.cache / f"{run.path.parent.name}_{run.path.name}.npz" if options.cache else None for run in runs]
    clips = []
    if not all(path is not None and path.exists() for path in caches):
        clips = read_clips(
            runs[0].geometry, options.data, split, lung=options.lung, photos=options.photos, dicom=options.dicom,
            seed=options.seed,
        )  # fmt: skip
    shares: dict[str, list[tuple[float, ...]]] = {}
    for run, cached in zip(runs, caches, strict=True):
        if cached is not None and cached.exists():
            parts = load(cached)
        else:
            parts = collect(run, options.data, split, clips, options.labels)
            if cached is not None:
                cached.parent.mkdir(parents=True, exist_ok=True)
                save(cached, *parts)
        print(f"\n{run.path.parent.name}/{run.path.name}{', reset' if options.reset else ''}, keep {options.keep:g}\n")
        _print_table(HEADER)
        for others in [*options.others, None]:
            for line in lines_of(*parts, seed=options.seed, keep=options.keep, reset=options.reset, others=others):
                print(f"| {line.name} | {' | '.join(line.cells)} |", flush=True)
                shares.setdefault(line.name.split(",")[0] + f", {others}", []).append(line.shares)
        if options.sets:
            _print_table(SETS_HEADER)
            for cells in set_lines(parts[0], parts[3], seed=options.seed):
                print(f"| {' | '.join(cells)} |", flush=True)
    print("\nmean over runs\n")
    _print_table(("score, labels", "in scope %", "foreign %", "views %", "at 90 %"))
    for name, rows in shares.items():
        print(f"| {name} | {' | '.join(f'{100 * value:.1f}' for value in np.mean(rows, axis=0))} |")


def _print_table(header: tuple[str, ...]) -> None:
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")


if __name__ == "__main__":
    main()
