"""Coverage of intervals and error rates of claims, in simulated studies: `python -m benchmarks.claims`.

All patients are SIMULATED (`heart2heart.evaluation.planning`): four classes, the rarest in 35 % of the patients, five
frames a class and patient on average, intra-cluster correlation .25. A study where a class has fewer than two patients
has no interval; it is left out of the coverage, and claims nothing.

1. Coverage of the nominal 95 % interval of balanced accuracy, beside the percentile bootstrap over patients.
2. Wrong claims where no difference exists: of one difference of two models, and of one loss at a hospital.
3. Reports with at least one wrong claim: a source, several held-out hospitals and two models, all equally accurate.
4. Coverage of the interval of a paired difference of two models that give most patients the same answers, beside the
   t interval of the differences by patient.
5. Reports with at least one wrong claim about a subgroup: three hospitals whose subgroups are equally accurate.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from heart2heart.evaluation.classification import Floats, Ints
from heart2heart.evaluation.contrasts import Contrast, combine_contrasts
from heart2heart.evaluation.fairness import LevelDifference, level_difference
from heart2heart.evaluation.intervals import CONFIDENCE, cluster_weights, percentile_interval, replicate
from heart2heart.evaluation.planning import StudyDesign, accuracy_contrast, simulate_chances, simulate_hospital
from heart2heart.evaluation.simultaneous import make_family
from heart2heart.utils import random_stream

PREVALENCE = (0.95, 0.8, 0.7, 0.35)
FRAMES, CORRELATION, AGREEMENT = 5.0, 0.25, 0.5
PATIENTS = (10, 15, 30, 60, 120)
REPLICATES = 1000


def design(accuracy: float) -> StudyDesign:
    """Return the design of a hospital with the same accuracy in every class."""
    return StudyDesign((accuracy,) * len(PREVALENCE), PREVALENCE, FRAMES, CORRELATION)


def bootstrap(correct: Floats, rows: Floats, seed: int) -> tuple[float, float]:
    """Return the percentile interval of balanced accuracy over resampled patients."""
    weights = cluster_weights(len(rows), REPLICATES, seed)

    def balanced(total: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            mean: Floats = (total[:, 0] / total[:, 1]).mean(1)
        return mean

    return percentile_interval(replicate(weights, np.stack([correct, rows], axis=1), balanced))


def coverage(accuracy: float, patients: int, studies: int, seed: int) -> tuple[float, float, float]:
    """Return the coverage of the product's interval and of the bootstrap, and the share of studies without one."""
    correct, rows = simulate_hospital(random_stream(seed, "coverage", patients), design(accuracy), patients, studies)
    covered = np.zeros(2)
    counted = 0
    for study in range(studies):
        contrast = accuracy_contrast(correct[study], rows[study], "hospital")
        if contrast is None:
            continue
        counted += 1
        ends = (contrast.interval(CONFIDENCE), bootstrap(correct[study], rows[study], study))
        covered += [low <= accuracy <= high for low, high in ends]
    return float(covered[0] / counted), float(covered[1] / counted), 1 - counted / studies


def two_models(generator: np.random.Generator, chance: Floats, rows: Ints) -> tuple[Floats, Floats]:
    """Draw the right frames of two equally accurate models that give half of the frames the same answer."""
    first = generator.binomial(rows, chance)
    same_right, same_wrong = generator.binomial(first, AGREEMENT), generator.binomial(rows - first, AGREEMENT)
    second = same_right + generator.binomial(rows - same_right - same_wrong, chance)
    return first.astype(np.float64), second.astype(np.float64)


def report_claims(
    accuracy: float, patients: int, hospitals: int, studies: int, seed: int
) -> tuple[float, float, float, float, float]:
    """Simulate reports of two models without a true difference.

    Returns:
        Share of wrong single claims about a difference and about a loss, and share of reports with a wrong claim: each
        interval on its own by the bootstrap, each on its own by the product, and all intervals simultaneous.
    """
    generator = random_stream(seed, "report", patients, hospitals)
    sites = []
    for _ in range(hospitals + 1):
        chance, rows = simulate_chances(generator, design(accuracy), patients, studies)
        sites.append((*two_models(generator, chance, rows), rows.astype(np.float64)))
    wrong, single, tests = np.zeros(3), np.zeros(2), np.zeros(2)
    for study in range(studies):
        models = [
            [accuracy_contrast(site[model][study], site[2][study], f"site {index}") for index, site in enumerate(sites)]
            for model in (0, 1)
        ]
        differences = [
            combine_contrasts([after, before], [1.0, -1.0])
            for before, after in zip(*models, strict=True)
            if before and after
        ]
        losses = [
            combine_contrasts([source, there], [1.0, -1.0])
            for source, *held_out in models
            for there in held_out
            if source and there
        ]
        claims = [*differences, *losses]
        family = make_family(claims)
        alone = [_excludes(claim, CONFIDENCE) for claim in claims]
        single += [sum(alone[: len(differences)]), sum(alone[len(differences) :])]
        tests += [len(differences), len(losses)]
        wrong += [
            _bootstrap_claims([tuple(part[study] for part in site) for site in sites], study),
            any(alone),
            any(_excludes(claim, family.each) for claim in claims),
        ]
    return (*(single / np.maximum(tests, 1)), *(wrong / studies))


def _excludes(claim: Contrast, confidence: float) -> bool:
    low, high = claim.interval(confidence)
    return low > 0 or high < 0


def _bootstrap_claims(sites: Sequence[tuple[Floats, ...]], seed: int) -> bool:
    """Return whether any percentile interval of a difference or a loss excludes zero."""
    draws: list[list[Floats] | None] = []
    for index, (first, second, rows) in enumerate(sites):
        if ((rows > 0).sum(0) < 2).any():
            draws.append(None)
            continue
        weights = cluster_weights(len(rows), REPLICATES, seed, str(index))
        with np.errstate(invalid="ignore"):
            sums = [replicate(weights, part, lambda total: total) for part in (first, second, rows)]
            draws.append([(sums[model] / sums[2]).mean(1) for model in (0, 1)])
    claims = [site[1] - site[0] for site in draws if site]
    source, *held_out = draws
    claims += [source[model] - there[model] for model in (0, 1) for there in held_out if source and there]
    ends = [percentile_interval(claim) for claim in claims]
    return any(low > 0 or high < 0 for low, high in ends)


def paired_coverage(
    accuracy: float, loss: float, agreement: float, patients: int, studies: int, seed: int
) -> tuple[float, float, float, float]:
    """Simulate two models of which the second answers anew, and less accurately, for some of the patients.

    Args:
        accuracy: Accuracy of the first model.
        loss: How much less accurate the second is in the patients where it answers anew.
        agreement: Share of the patients who have the same answers from both.
        patients: Patients of each study.
        studies: Simulated studies.
        seed: Root seed.

    Returns:
        Coverage of the product's interval and its mean length in points; the same of the t interval.
    """
    from scipy.stats import t

    chance, rows = simulate_chances(random_stream(seed, "paired", patients), design(accuracy), patients, studies)
    lower, _ = simulate_chances(random_stream(seed, "paired", patients), design(accuracy - loss), patients, studies)
    generator = random_stream(seed, "answers", patients)
    first = generator.binomial(rows, chance)
    same = generator.random((studies, patients, 1)) < agreement
    second = np.where(same, first, generator.binomial(rows, lower))
    true = -(1 - agreement) * loss
    covered, lengths, counted = np.zeros(2), np.zeros(2), 0
    for study in range(studies):
        after, before = (
            accuracy_contrast(part[study].astype(np.float64), rows[study].astype(np.float64), "hospital")
            for part in (second, first)
        )
        if after is None or before is None:
            continue
        difference = combine_contrasts([after, before], [1.0, -1.0])
        half = float(t.ppf((1 + CONFIDENCE) / 2, patients - 1)) * difference.variance**0.5
        ends = (difference.interval(CONFIDENCE), (difference.value - half, difference.value + half))
        counted += 1
        covered += [low - 1e-12 <= true <= high + 1e-12 for low, high in ends]
        lengths += [100 * (high - low) for low, high in ends]
    shares, means = covered / counted, lengths / counted
    return float(shares[0]), float(means[0]), float(shares[1]), float(means[1])


SUBGROUPS = (2, 3, 4)
"""Levels of the factors: two by patient, such as sex and age group, and the last by frame, such as image quality."""


def subgroup_claims(accuracy: float, patients: int, hospitals: int, studies: int, seed: int) -> tuple[float, float]:
    """Simulate reports whose subgroups do not differ.

    Returns:
        Share of reports that claim a difference: with each interval on its own, and with all intervals simultaneous.
    """
    generator = random_stream(seed, "subgroups", patients, hospitals)
    sites = [simulate_hospital(generator, design(accuracy), patients, studies) for _ in range(hospitals)]
    wrong = np.zeros(2)
    for study in range(studies):
        differences = [
            difference
            for index, (correct, rows) in enumerate(sites)
            for difference in _subgroup_differences(generator, correct[study], rows[study], f"site {index}")
        ]
        family = make_family([difference.paired for difference in differences], draws=10_000)
        wrong += [
            any(_excludes(difference.contrast, confidence) for difference in differences)
            for confidence in (CONFIDENCE, family.each)
        ]
    return float(wrong[0] / studies), float(wrong[1] / studies)


def _subgroup_differences(
    generator: np.random.Generator, correct: Floats, rows: Floats, sample: str
) -> list[LevelDifference]:
    """Draw subgroups at random, and compare each with the rest; of two levels only the first is a comparison."""
    differences: list[LevelDifference | None] = []
    for factor, levels in enumerate(SUBGROUPS):
        if factor < len(SUBGROUPS) - 1:
            level = generator.integers(levels, size=(len(rows), 1))
            parts = [(correct * (level == value), rows * (level == value)) for value in range(levels)]
        else:
            shares = [1 / levels] * levels
            right = generator.multinomial(correct.astype(int), shares)
            wrong = generator.multinomial((rows - correct).astype(int), shares)
            parts = [(right[..., value] * 1.0, (right + wrong)[..., value] * 1.0) for value in range(levels)]
        differences += [level_difference(correct, rows, *part, sample) for part in parts[: 1 if levels == 2 else None]]
    return [difference for difference in differences if difference is not None]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    studies, seed = arguments.studies, arguments.seed
    print(f"{studies} simulated studies each, seed {seed}\n")
    print("| accuracy | patients | Wilson and MOVER | percentile bootstrap | no interval |\n|---|---|---|---|---|")
    for accuracy in (0.85, 0.97):
        for patients in PATIENTS:
            covered, resampled, none = coverage(accuracy, patients, studies, seed)
            print(f"| {accuracy} | {patients} | {covered:.3f} | {resampled:.3f} | {none:.2f} |", flush=True)
    print(
        "\n| accuracy | held-out hospitals | patients each | one difference | one loss | report, bootstrap |"
        " report, each interval alone | report, simultaneous |\n|---|---|---|---|---|---|---|---|"
    )
    for accuracy, hospitals, numbers in ((0.85, 3, (10, 15, 30, 60)), (0.97, 3, (10, 30, 60)), (0.85, 10, (30,))):
        for patients in numbers:
            shares = report_claims(accuracy, patients, hospitals, studies, seed)
            cells = " | ".join(f"{share:.3f}" for share in shares)
            print(f"| {accuracy} | {hospitals} | {patients} | {cells} |", flush=True)
    print(
        "\n| accuracy | less accurate by | same answers | patients | paired | length | t alone | length |"
        "\n|---|---|---|---|---|---|---|---|"
    )
    for accuracy, loss in ((0.85, 0.0), (0.85, 0.15), (0.97, 0.12)):
        for agreement in (0.5, 0.9, 0.98):
            for patients in (10, 30, 60):
                paired = paired_coverage(accuracy, loss, agreement, patients, studies, seed)
                text = f"{paired[0]:.3f} | {paired[1]:.1f} | {paired[2]:.3f} | {paired[3]:.1f}"
                print(f"| {accuracy} | {loss} | {agreement} | {patients} | {text} |", flush=True)
    print("\n| accuracy | hospitals | patients each | each alone | simultaneous |\n|---|---|---|---|---|")
    for accuracy, patients in ((0.85, 15), (0.85, 30), (0.85, 60), (0.97, 30)):
        alone, joint = subgroup_claims(accuracy, patients, 3, studies, seed)
        print(f"| {accuracy} | 3 | {patients} | {alone:.3f} | {joint:.3f} |", flush=True)


if __name__ == "__main__":
    main()
