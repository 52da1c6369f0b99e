"""Coverage of every kind of 95 % interval, in simulated studies with a known true value.

Patients differ in difficulty and have 3 to 9 frames each; the true value is computed from 20,000 such patients. The
command `python -m tests.evaluation.coverage` prints the tables of docs/metrics.md.
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
FITTED = FittedOnValidation(temperature=1.3, threshold=0.6, reference=None)

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
"""Two equally good methods of two seeds each: a p-value should be below .05 in 5 % of the studies."""


def _selective(site: SiteMetrics, name: str) -> Estimate:
    assert site.selective is not None
    estimate = getattr(site.selective, name)
    assert isinstance(estimate, Estimate)
    return estimate


def _calibration(site: SiteMetrics, name: str) -> Estimate:
    assert site.calibration is not None
    estimate = getattr(site.calibration, name)
    assert isinstance(estimate, Estimate)
    return estimate


def draw(rng: np.random.Generator, clusters: int) -> tuple[Floats, Ints, Ints, Texts]:
    """Simulate one site: four runs, a fifth of the frames of other views, half the patients of each manufacturer."""
    logits, truth, cluster = draw_frames(rng, clusters)
    outside = rng.random(len(truth)) < 0.2
    logits[outside] *= 0.6
    runs = logits + rng.normal(0, 0.7, (4, *logits.shape))
    return runs, np.where(outside, -1, truth), cluster, np.array(["m", "n"], object)[cluster % 2]


def measure(seed: int, clusters: int, *, bca: bool, replicates: int = 400) -> tuple[dict[str, Estimate], float]:
    """Score three simulated sites, of which two are held out, and two splits of another study.

    Returns:
        An estimate of every kind by name, and the p-value of a true difference of zero.
    """
    rng = np.random.default_rng(seed)
    context = replace(evaluation_context(3, bca=bca, replicates=replicates), common=(0, 1))
    sites = [
        _site(rng, name, clusters, replicates=replicates, seed=seed + index * 10**6)
        for index, name in enumerate(("own", "east", "west"))
    ]
    metrics = score_site(sites[0], 0, context, FITTED, {"maker": ["m", "n"]})
    estimates = {name: read(metrics) for name, read in STATISTICS.items()}
    names = [site.info.site for site in sites]
    summary = summarise(METHODS[0], names, sites, context)
    generalisation = summary.generalisation
    difference = compare(METHODS[0], METHODS[1], names, sites, context).sites[0]
    assert generalisation.worst_cell is not None
    assert difference.p is not None
    estimates["mean over seeds"] = summary.sites[0].balanced_accuracy
    estimates["paired difference"] = difference.difference
    estimates["gap of two hospitals"] = generalisation.gaps[0].gap
    estimates["mean of two hospitals"] = generalisation.mean
    estimates["worst cell"] = generalisation.worst_cell.sensitivity
    estimates |= measure_folds(rng, clusters, bca=bca, replicates=max(replicates, 100), seed=seed)
    return estimates, difference.p


def _site(rng: np.random.Generator, name: str, clusters: int, *, replicates: int, seed: int) -> ScoredSite:
    logits, truth, cluster, maker = draw(rng, clusters)
    rows = np.flatnonzero(truth >= 0)
    altered = AlteredFrames(rows, logits[:, rows] * 0.7 + rng.normal(0, 1, (len(logits), len(rows), 3)))
    return make_site(
        logits, truth, cluster, replicates=replicates, seed=seed,
        factors={"maker": maker}, altered={"sector_masked": altered},
        info=INFO.model_copy(update={"site": name, "held_out": name != "own"}),
    )  # fmt: skip


def coverage(clusters: int, studies: int, *, bca: bool, seed: int = 0) -> dict[str, float]:
    """Return the share of simulated studies whose interval contains the true value by statistic, and `p below .05`."""
    truth, _ = measure(10**7, TRUTH_PATIENTS, bca=False, replicates=2)
    covered = dict.fromkeys([*truth, "p below .05"], 0)
    for index in range(seed, seed + studies):
        measured, p = measure(index, clusters, bca=bca)
        # All cells of a study have the same true value, because all views are simulated alike.
        truths = truth | {"worst cell": truth["sensitivity"]}
        for name, estimate in measured.items():
            assert estimate.low is not None, name
            assert estimate.high is not None, name
            covered[name] += estimate.low <= (truths[name].value or 0.0) <= estimate.high
        covered["p below .05"] += p < 0.05
    return {name: count / studies for name, count in covered.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kinds = {"percentile": False, "BCa": True}
    tables = [coverage(arguments.patients, arguments.studies, bca=bca, seed=arguments.seed) for bca in kinds.values()]
    print(f"{arguments.studies} studies of {arguments.patients} patients, seed {arguments.seed}")
    print(f"\n| statistic | {' | '.join(kinds)} |\n|---|---|---|")
    for name in tables[0]:
        print(f"| {name} | {' | '.join(f'{each[name]:.2f}' for each in tables)} |")
    print("\n| patients | resampling patients | resampling frames |\n|---|---|---|")
    for patients in (9, 15, 30, 60, 150):
        print(f"| {patients} | {' | '.join(f'{share:.2f}' for share in by_patients(patients, arguments.studies))} |")
    print("\n| hospitals | interval of the mean | prediction interval |\n|---|---|---|")
    for hospitals in (5, 6, 10, 20):
        shares = between_hospitals(hospitals, arguments.studies)
        print(f"| {hospitals} | {' | '.join(f'{share:.2f}' for share in shares)} |")


if __name__ == "__main__":
    main()
