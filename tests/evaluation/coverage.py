"""Does a nominal 95 % interval hold the truth? Every kind of interval, in simulated studies whose truth is known.

Patients differ in how hard they are and have 3 to 9 frames each; the truth is that of 20,000 such patients. The tables
of docs/metrics.md are what `python -m tests.evaluation.coverage` prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.comparison import compare, summarise
from heart2heart.evaluation.run_groups import RunGroup
from heart2heart.evaluation.samples import AlteredFrames
from heart2heart.evaluation.scores import FittedOnValidation, score_site
from heart2heart.evaluation.sites import ScoredSite
from heart2heart.schema.predictions import MethodFacts
from heart2heart.schema.site_metrics import Estimate, SiteMetrics
from tests.evaluation.fold_study import measure_folds
from tests.evaluation.simulation import INFO, Texts, draw_frames, evaluation_context, make_site
from tests.evaluation.small_studies import between_hospitals, by_patients

TRUTH_PATIENTS = 20_000
FITTED = FittedOnValidation(temperature=1.3, threshold=0.6, shares=np.full(3, 1 / 3), rates=np.full((3, 3), 1 / 3))

STATISTICS: dict[str, Callable[[SiteMetrics], Estimate]] = {
    "balanced accuracy": lambda site: site.balanced_accuracy,
    "views common to all sites": lambda site: site.balanced_accuracy_common,
    "clip vote": lambda site: site.clip_balanced_accuracy,
    "study vote": lambda site: site.study_balanced_accuracy,
    "macro-F1": lambda site: site.macro_f1,
    "sensitivity": lambda site: site.sensitivity["A"],
    "PPV": lambda site: site.ppv["A"],
    "AUROC of a view": lambda site: site.auroc["A"],
    "AUGRC": lambda site: _selective(site, "augrc"),
    "AURC": lambda site: _selective(site, "aurc"),
    "coverage at the threshold": lambda site: _selective(site, "coverage"),
    "risk at the threshold": lambda site: _selective(site, "risk"),
    "NLL": lambda site: _calibration(site, "nll"),
    "Brier": lambda site: _calibration(site, "brier"),
    "open set AUROC": lambda site: site.open_set.scores["energy"].auroc,
    "open set AUPR": lambda site: site.open_set.scores["max_probability"].aupr,
    "open set FPR at 95 %": lambda site: site.open_set.scores["max_logit"].fpr95,
    "stratum": lambda site: site.strata[0].balanced_accuracy,
    "probe": lambda site: site.probes[0].balanced_accuracy,
    "change by a probe": lambda site: site.probes[0].change,
}
METHODS = tuple(
    RunGroup(name, runs, names, (0, 1), MethodFacts(base=name, title=name))
    for name, runs, names in (("reference", (0, 1), ("a", "b")), ("candidate", (2, 3), ("c", "d")))
)
"""Two of two seeds each; as good as each other, so that a p-value should be below .05 in 5 % of the studies."""


def _selective(site: SiteMetrics, name: str) -> Estimate:
    assert site.selective is not None
    found = getattr(site.selective, name)
    assert isinstance(found, Estimate)
    return found


def _calibration(site: SiteMetrics, name: str) -> Estimate:
    assert site.calibration is not None
    found = getattr(site.calibration, name)
    assert isinstance(found, Estimate)
    return found


def draw(rng: np.random.Generator, clusters: int) -> tuple[Floats, Ints, Ints, Texts]:
    """Draw one site: four runs, a fifth of the frames outside the taxonomy, half the patients of one maker."""
    logits, truth, cluster = draw_frames(rng, clusters)
    outside = rng.random(len(truth)) < 0.2
    logits[outside] *= 0.6
    runs = logits + rng.normal(0, 0.7, (4, *logits.shape))
    return runs, np.where(outside, -1, truth), cluster, np.array(["m", "n"], object)[cluster % 2]


def measure(seed: int, clusters: int, *, bca: bool, replicates: int = 400) -> tuple[dict[str, Estimate], float]:
    """Score three simulated sites, of which two are held out, and two splits of another study.

    Returns:
        By name an estimate of every kind, and the p-value of a difference that is none.
    """
    rng = np.random.default_rng(seed)
    chosen = replace(evaluation_context(3, bca=bca, replicates=replicates), common=(0, 1))
    sites = [
        _site(rng, name, clusters, bca=bca, replicates=replicates, seed=seed + index * 10**6)
        for index, name in enumerate(("own", "east", "west"))
    ]
    metrics = score_site(sites[0], 0, chosen, FITTED, {"maker": ["m", "n"]})
    found = {name: read(metrics) for name, read in STATISTICS.items()}
    names = [site.info.site for site in sites]
    summary = summarise(METHODS[0], names, sites, chosen)
    over = summary.generalisation
    difference = compare(METHODS[0], METHODS[1], names, sites, chosen).sites[0]
    assert over.worst_cell is not None
    assert difference.p is not None
    found["mean over seeds"] = summary.sites[0].balanced_accuracy
    found["paired difference"] = difference.difference
    found["gap of two hospitals"] = over.gaps[0].gap
    found["mean of two hospitals"] = over.mean
    found["worst cell"] = over.worst_cell.sensitivity
    found |= measure_folds(rng, clusters, bca=bca, replicates=max(replicates, 100), seed=seed)
    return found, difference.p


def _site(rng: np.random.Generator, name: str, clusters: int, *, bca: bool, replicates: int, seed: int) -> ScoredSite:
    logits, truth, cluster, maker = draw(rng, clusters)
    rows = np.flatnonzero(truth >= 0)
    altered = AlteredFrames(rows, logits[:, rows] * 0.7 + rng.normal(0, 1, (len(logits), len(rows), 3)))
    site = make_site(
        logits, truth, cluster, bca=bca, replicates=replicates, seed=seed,
        factors={"maker": maker}, altered={"sector_masked": altered},
    )  # fmt: skip
    return replace(site, info=INFO.model_copy(update={"site": name, "held_out": name != "own"}))


def coverage(clusters: int, studies: int, *, bca: bool, seed: int = 0) -> dict[str, float]:
    """Return by statistic the share of simulated studies whose interval holds the truth, and `p below .05`."""
    truth, _ = measure(10**7, TRUTH_PATIENTS, bca=False, replicates=2)
    held = dict.fromkeys([*truth, "p below .05"], 0)
    for index in range(seed, seed + studies):
        measured, p = measure(index, clusters, bca=bca)
        # Every cell of a study has one truth, views being drawn alike; so has the one that comes out worst.
        aims = truth | {"worst cell": truth["sensitivity"]}
        for name, found in measured.items():
            assert found.low is not None, name
            assert found.high is not None, name
            held[name] += found.low <= (aims[name].value or 0.0) <= found.high
        held["p below .05"] += p < 0.05
    return {name: count / studies for name, count in held.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    kinds = {"percentile": False, "BCa": True}
    found = [coverage(asked.patients, asked.studies, bca=bca, seed=asked.seed) for bca in kinds.values()]
    print(f"{asked.studies} studies of {asked.patients} patients, seed {asked.seed}")
    print(f"\n| statistic | {' | '.join(kinds)} |\n|---|---|---|")
    for name in found[0]:
        print(f"| {name} | {' | '.join(f'{each[name]:.2f}' for each in found)} |")
    print("\n| patients | resampling patients | resampling frames |\n|---|---|---|")
    for patients in (9, 15, 30, 60, 150):
        print(f"| {patients} | {' | '.join(f'{share:.2f}' for share in by_patients(patients, asked.studies))} |")
    print("\n| hospitals | interval of the mean | prediction interval |\n|---|---|---|")
    for hospitals in (5, 6, 10, 20):
        print(
            f"| {hospitals} | {' | '.join(f'{share:.2f}' for share in between_hospitals(hospitals, asked.studies))} |"
        )


if __name__ == "__main__":
    main()
