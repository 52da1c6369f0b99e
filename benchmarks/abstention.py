"""Which clips a model leaves unanswered: `python -m benchmarks.abstention RUN... --data FOLDER --seed 0`.

The scope is fitted on the source alone. In-scope clips and foreign views and modes come from simulated hospitals that
the run never saw; other foreign clips are simulated in their sectors, photographs, or real files. With `--reset`, half
of the patients of each hospital set the scope again without labels, and the other half are scored.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from benchmarks.abstention_clips import Samples, collect, known_sites, load, save
from heart2heart.schema.enums import POOL_MODES
from heart2heart.schema.scope import ScopeScoreName, ScopeSettings
from heart2heart.scope.fit import fit_scope
from heart2heart.scope.scope_model import ClipFeatures, ScopeModel, reset_scope
from heart2heart.splits.manifest import SplitManifest
from heart2heart.training.run import Run
from heart2heart.utils import random_stream

REPLICATES = 1000
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


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


def lines_of(
    labeled: ClipFeatures, reference: ClipFeatures, samples: Samples, *, seed: int, keep: float, reset: bool
) -> list[tuple[str, ...]]:
    """Return one line a score: shares answered in scope and foreign, by group, and two numbers free of a threshold."""
    classes = tuple(str(index) for index in range(labeled.logits.shape[1]))
    scope = fit_scope(
        labeled, reference, classes=classes, modes=POOL_MODES, weights_sha256="", settings=ScopeSettings(keep=keep)
    )
    moved, used = moved_scopes(scope, samples, seed) if reset else ({}, np.zeros(len(samples.kind), bool))
    groups = np.array([group_of(kind) for kind in samples.kind.tolist()])
    inside, foreign = (groups == "in scope") & ~used, (groups != "in scope") & ~used
    lines = []
    for name in ScopeScoreName:
        scores, kept = score_samples(scope, samples, name, moved)
        generator = random_stream(seed, "intervals", name)
        cells = [share_with_interval(kept[each], samples.clips.patient[each], generator) for each in (inside, foreign)]
        for group in ("foreign view", "foreign mode", "simulated", "lung, real", "other DICOM, real"):
            chosen = foreign & (groups == group)
            cells.append(f"{100 * kept[chosen].mean():.0f} % of {chosen.sum()}" if chosen.any() else "")
        limit = np.quantile(scores[inside], 0.9, method="higher")
        ranks = np.where(np.isfinite(scores), scores, 1e300)
        wins = mannwhitneyu(ranks[foreign], ranks[inside]).statistic
        area = wins / (foreign.sum() * inside.sum())
        lines.append((name.value, *cells, f"{100 * (scores[foreign] <= limit).mean():.1f}", f"{area:.3f}"))
    return lines


def main() -> None:
    """Print the table of each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", required=True, type=Path, help="folder with stores, keys, hospitals and split")
    parser.add_argument("--lung", type=Path, help="folder with real lung clips")
    parser.add_argument("--photos", type=Path, help="Parquet file of CIFAR-10")
    parser.add_argument("--dicom", type=Path, help="folder with other real DICOM files")
    parser.add_argument("--cache", type=Path, help="folder that keeps the features")
    parser.add_argument("--keep", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reset", action="store_true", help="set the scope again at each hospital, without labels")
    options = parser.parse_args()
    header = ("score", "in scope %", "foreign %", "views", "modes", "simulated", "lung", "DICOM", "at 90 %", "AUROC")
    for path in options.runs:
        cached = options.cache / f"{path.parent.name}_{path.name}.npz" if options.cache else None
        if cached is not None and cached.exists():
            parts = load(cached)
        else:
            parts = collect(
                Run.load(path), options.data, SplitManifest.load(options.data / "split"), lung=options.lung,
                photos=options.photos, dicom=options.dicom, seed=options.seed,
            )  # fmt: skip
            if cached is not None:
                save(cached, *parts)
        print(f"\n{path.parent.name}/{path.name}{', reset' if options.reset else ''}, keep {options.keep:g}\n")
        print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
        for line in lines_of(*parts, seed=options.seed, keep=options.keep, reset=options.reset):
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
