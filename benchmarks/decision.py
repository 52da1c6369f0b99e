"""Error rates of decisions by criteria, and the power of the stated patients: `python -m benchmarks.decision`.

All patients are SIMULATED as in `benchmarks.claims`. The criteria are a minimum of balanced accuracy and of the
sensitivity of each class, judged with simultaneous intervals over all hospitals.

1. Reports with at least one wrong decision: every true value equals its limit, so both a "use" and a "do not use" are
   wrong.
2. Coverage of the interval of the mean confidence minus the accuracy, of a calibrated model.
3. Share of second studies that decide, with as many patients as a first study said. A power of 80 % was asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.claims import CORRELATION, FRAMES, PREVALENCE, design
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.contrasts import Contrast, mean_share, shares_by_cluster
from heart2heart.evaluation.criteria_statistics import twice_mean
from heart2heart.evaluation.decision import judge_limit
from heart2heart.evaluation.intervals import CONFIDENCE
from heart2heart.evaluation.patients_to_decide import fewest_patients, project_contrast
from heart2heart.evaluation.planning import simulate_chances, simulate_hospital
from heart2heart.evaluation.simultaneous import make_family
from heart2heart.schema.decision import CriterionKind, CriterionResult
from heart2heart.utils import random_stream

POWER, MOST = 0.8, 2000


def criteria_of(correct: Floats, rows: Floats, sample: str) -> list[Contrast]:
    """Return balanced accuracy and the sensitivity of each class, where two patients have it."""
    shares = shares_by_cluster(correct, rows, sample)
    usable = [int(label) for label in np.flatnonzero((rows > 0).sum(0) > 1)]
    every = [mean_share(shares, range(rows.shape[1]))] if len(usable) == rows.shape[1] else []
    return [*every, *(mean_share(shares, [label]) for label in usable)]


def wrong_decisions(limit: float, patients: int, hospitals: int, studies: int, seed: int) -> tuple[float, float]:
    """Return the shares of reports with a wrong "use" and with a wrong "do not use", where truth equals the limits."""
    generator = random_stream(seed, "decision", patients, hospitals)
    samples = [simulate_hospital(generator, design(limit), patients, studies) for _ in range(hospitals)]
    used = refused = 0
    for study in range(studies):
        by_hospital = [criteria_of(correct[study], rows[study], str(i)) for i, (correct, rows) in enumerate(samples)]
        each = make_family([contrast for contrasts in by_hospital for contrast in contrasts]).each
        results = [
            [judge_limit(CriterionKind.SENSITIVITY, limit, *contrast.interval(each)) for contrast in contrasts]
            for contrasts in by_hospital
        ]
        complete = [len(each_hospital) == len(PREVALENCE) + 1 for each_hospital in results]
        used += any(
            all(result is CriterionResult.MET for result in each_hospital) and whole
            for each_hospital, whole in zip(results, complete, strict=True)
        )
        refused += any(CriterionResult.MISSED in each_hospital for each_hospital in results)
    return used / studies, refused / studies


def calibration_coverage(accuracy: float, patients: int, studies: int, seed: int) -> float:
    """Return the coverage of the interval of the overconfidence; each frame's confidence is its own true chance."""
    generator = random_stream(seed, "calibration", patients)
    chance, rows = simulate_chances(generator, design(accuracy), patients, studies)
    covered = 0
    for study in range(studies):
        correct = generator.binomial(rows[study], chance[study])
        confidence = np.clip(chance[study] + generator.normal(0, 0.05, chance[study].shape), 0, 1)
        expected = float((rows[study] * (confidence - chance[study])).sum() / rows[study].sum())
        sums = (rows[study] + rows[study] * confidence - correct).sum(1) / 2
        counts = rows[study].sum(1).astype(np.float64)
        seen = counts > 0
        low, high = twice_mean(sums[seen].astype(np.float64), counts[seen], "hospital").interval(CONFIDENCE)
        covered += low - 1 <= expected <= high - 1
    return covered / studies


def second_studies(
    accuracy: float, limit: float, patients: int, studies: int, seed: int
) -> tuple[float, float, float, float]:
    """Count the patients that first studies without a decision name, and how often as many decide in a second one.

    Returns:
        The share of those first studies that name a number, its median, and the shares of second studies that decide,
        and that decide rightly.
    """
    generator = random_stream(seed, "second", patients)
    correct, rows = simulate_hospital(generator, design(accuracy), patients, studies)
    kind = CriterionKind.BALANCED_ACCURACY
    numbers: list[int] = []
    undecided = decided = right = 0
    for study in range(studies):
        first = criteria_of(correct[study], rows[study], "hospital")
        if len(first) <= len(PREVALENCE):
            continue
        if judge_limit(kind, limit, *first[0].interval(CONFIDENCE)) is not CriterionResult.NOT_SHOWN:
            continue
        undecided += 1
        number = fewest_patients(
            project_contrast(first[0], "hospital", CONFIDENCE),
            lambda low, high: judge_limit(kind, limit, low, high) is not CriterionResult.NOT_SHOWN,
            patients=patients,
            power=POWER,
            least=patients + 1,
            most=MOST,
        )
        if number is None:
            continue
        numbers.append(number)
        more_correct, more_rows = simulate_hospital(generator, design(accuracy), number, 1)
        second = criteria_of(more_correct[0], more_rows[0], "hospital")
        result = judge_limit(kind, limit, *second[0].interval(CONFIDENCE))
        decided += result is not CriterionResult.NOT_SHOWN
        right += result is (CriterionResult.MET if accuracy > limit else CriterionResult.MISSED)
    share = len(numbers) / max(undecided, 1)
    return share, float(np.median(numbers)), decided / len(numbers), right / len(numbers)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Error rates of decisions by criteria.")
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    studies, seed = options.studies, options.seed
    print(f"SIMULATED: {len(PREVALENCE)} classes, {FRAMES:g} frames, correlation {CORRELATION:g}; {studies} studies\n")
    rows = []
    for limit in (0.85, 0.95):
        for hospitals in (1, 3):
            for patients in (10, 30, 120):
                wrong = wrong_decisions(limit, patients, hospitals, studies, seed)
                rows.append([f"{limit:.2f}", str(hospitals), str(patients), *(f"{share:.3f}" for share in wrong)])
    print(table(("truth and limit", "hospitals", "patients each", "wrong use", "wrong do not use"), rows), "\n")
    rows = []
    for accuracy in (0.85, 0.95):
        for patients in (10, 30, 120):
            covered = calibration_coverage(accuracy, patients, studies, seed)
            rows.append([f"{accuracy:.2f}", str(patients), f"{covered:.3f}"])
    print(table(("accuracy", "patients", "coverage of confidence minus accuracy"), rows), "\n")
    rows = []
    for accuracy, limit in ((0.9, 0.85), (0.85, 0.75), (0.8, 0.85)):
        for patients in (15, 30, 60):
            share, number, decided, right = second_studies(accuracy, limit, patients, studies, seed)
            rows.append(
                [f"{accuracy:.2f}", f"{limit:.2f}", str(patients), f"{share:.2f}", f"{number:.0f}", f"{decided:.2f}",
                 f"{right:.2f}"]
            )  # fmt: skip
    heads = ("truth", "limit", "first patients", "a number is named", "median number", "second decides", "rightly")
    print(table(heads, rows))


if __name__ == "__main__":
    main()
