"""Few labels and after, in simulated hospitals: `python -m benchmarks.few_labels --studies 500 --seed 0`.

All patients are SIMULATED (`benchmarks.simulated_cases`): four classes, five clips a patient on average, clips of a
patient alike.

1. Audit: coverage and length of the 95 % intervals of accuracy and class share from 5 to 60 audited patients of 200.
2. Estimates without labels: their errors at hospitals where the model is worse, and where it is blind to it.
3. Conformal sets: coverage at the source, under shift, and after recalibration.
4. Monitor: false alarms in 52 weeks, and the delay after a change in week 13.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.simulated_cases import SHARES, SKILLS, accuracy_of, simulate_cases
from heart2heart.evaluation.cases import Cases
from heart2heart.evaluation.classification import Floats
from heart2heart.evaluation.conformal import SetScore, calibrate_sets, measure_coverage, recalibrated_coverage
from heart2heart.evaluation.drift import MonitorState, assess_journal, patient_accuracy, patient_statistics
from heart2heart.evaluation.label_free import ESTIMATORS, calibrate_estimators, estimate_accuracy
from heart2heart.evaluation.prediction_powered import Audit, powered_estimates
from heart2heart.schema.few_labels import PoweredEstimate
from heart2heart.schema.monitor import MonitorJournal, MonitorSettings, MonitorStart, MonitorWeek
from heart2heart.utils import random_stream

PATIENTS = 200
AUDITED = (5, 10, 20, 40, 60)
CHANGE_WEEK = 13


def draw_audit(generator: np.random.Generator, cases: Cases, patients: int, *, by_class: bool = False) -> Audit:
    """Draw an audit as `queue` does: one clip of each random patient, in every predicted class where `by_class`."""
    predicted = cases.log_p[0].argmax(1)
    stratum = predicted if by_class else np.zeros(len(cases), np.int64)
    weight = np.zeros(len(cases))
    classes = np.unique(stratum)
    for value in classes:
        inside = np.flatnonzero(stratum == value)
        holders = np.unique(cases.patient[inside])
        number = min(max(round(patients / len(classes)), 2), len(holders))
        for patient in generator.choice(holders, number, replace=False):
            clips = inside[cases.patient[inside] == patient]
            weight[generator.choice(clips)] = len(clips) * len(holders) / number
    return Audit(cases.patient, weight, stratum)


def audit_coverage(accuracy: float, patients: int, studies: int, seed: int, *, by_class: bool) -> list[str]:
    """Return the cells of one line: coverage and mean length of the intervals with and without the predictions."""
    skill = SKILLS[accuracy]
    truth = {"accuracy": accuracy_of(skill), "balanced_accuracy": _balanced(skill), "share:A2C": SHARES[0]}
    lines: dict[str, list[PoweredEstimate]] = {name: [] for name in truth}
    for study in range(studies):
        generator = random_stream(seed, "audit", patients, study)
        cases = simulate_cases(generator, PATIENTS, skill)
        audit = draw_audit(generator, cases, patients, by_class=by_class)
        for estimate in powered_estimates(cases, cases.probabilities(cases.run_sets[0]), audit):
            if estimate.name in lines:
                lines[estimate.name].append(estimate)
    cells = []
    for name, estimates in lines.items():
        known = [each for each in estimates if each.value is not None]
        if len(known) < studies / 2:
            cells.append("not estimable")
            continue
        with_predictions, alone = (
            np.array([(low <= truth[name] <= high, high - low) for low, high in ends]).mean(0)
            for ends in (
                [(each.low or 0.0, each.high or 0.0) for each in known],
                [(each.audited_low or 0.0, each.audited_high or 0.0) for each in known],
            )
        )
        missing = f"; none in {1 - len(known) / studies:.2f}" if len(known) < studies else ""
        cells.append(f"{with_predictions[0]:.3f} ({with_predictions[1]:.2f}), {alone[0]:.3f} ({alone[1]:.2f}){missing}")
    return cells


def _balanced(skill: float) -> float:
    cases = simulate_cases(np.random.default_rng(0), 200_000, skill, clips=1.0)
    right = cases.log_p[0].argmax(1) == cases.truth
    return float(np.mean([right[cases.truth == index].mean() for index in range(len(SHARES))]))


def label_free_errors(studies: int, seed: int) -> list[tuple[str, dict[str, tuple[float, float]], float]]:
    """Return name, mean estimate and mean error by estimator, and mean truth of each kind of hospital."""
    kinds: dict[str, Callable[[np.random.Generator], Cases]] = {
        "as the source": lambda generator: simulate_cases(generator, 100, SKILLS[0.85], runs=3),
        "harder pictures": lambda generator: simulate_cases(generator, 100, SKILLS[0.70], runs=3),
        "other class shares": lambda generator: simulate_cases(
            generator, 100, SKILLS[0.85], runs=3, shares=(0.6, 0.1, 0.1, 0.2)
        ),
        "blind in 30 %": lambda generator: simulate_cases(generator, 100, SKILLS[0.85], runs=3, blindness=0.3),
    }
    lines = []
    for name, make in kinds.items():
        values: dict[str, list[float]] = {each: [] for each in ESTIMATORS}
        truths = []
        for study in range(studies):
            generator = random_stream(seed, "label-free", name, study)
            source = simulate_cases(generator, PATIENTS, SKILLS[0.85], runs=3)
            fitted = calibrate_estimators(source, source.run_sets[0])
            cases = make(generator)
            truths.append(float((cases.log_p.argmax(2) == cases.truth).mean()))
            for estimator, value in estimate_accuracy(cases, cases.run_sets[0], fitted).items():
                values[estimator].append(float("nan") if value is None else value)
        errors = {
            each: (float(np.mean(numbers)), float(np.abs(np.array(numbers) - truths).mean()))
            for each, numbers in values.items()
        }
        lines.append((name, errors, float(np.mean(truths))))
    return lines


def conformal_coverage(score: SetScore, alpha: float, studies: int, seed: int) -> list[tuple[str, float, float]]:
    """Return name, mean coverage and mean size of the sets: at new patients, under shift, and recalibrated."""
    measured: dict[str, list[tuple[float, float]]] = {}
    for study in range(studies):
        generator = random_stream(seed, "conformal", study)
        source, same = (simulate_cases(generator, 100, SKILLS[0.85]) for _ in range(2))
        shifted = simulate_cases(generator, 100, SKILLS[0.70])
        model = calibrate_sets(source, _probabilities(source), alpha=alpha, score=score)
        for name, cases in (("same hospital", same), ("harder hospital", shifted)):
            line = measure_coverage(model, cases, _probabilities(cases), site=name, calibrated_on="source")
            measured.setdefault(name, []).append((line.coverage or 0.0, line.size or 0.0))
        for line in recalibrated_coverage(
            shifted, _probabilities(shifted), alpha=alpha, score=score, numbers=(10, 20, 40), draws=1, seed=study
        ):
            name = f"harder hospital, recalibrated on {line.calibrated_on.split(', ')[1]}"
            measured.setdefault(name, []).append((line.coverage or 0.0, line.size or 0.0))
    means = {name: np.mean(numbers, axis=0).tolist() for name, numbers in measured.items()}
    return [(name, coverage, size) for name, (coverage, size) in means.items()]


def _probabilities(cases: Cases) -> Floats:
    return cases.probabilities(cases.run_sets[0])


def simulate_year(
    generator: np.random.Generator,
    change: Callable[[np.random.Generator, int], Cases],
    *,
    audited: int = 5,
    weeks: int = 52,
    seed: int = 0,
) -> MonitorState:
    """Simulate a year of a monitored hospital; `change` makes the clips of each week, from 1."""
    reference = simulate_cases(generator, PATIENTS, SKILLS[0.85])
    settings = MonitorSettings(site="E", method="model", classes=reference.classes, least_accuracy=0.8, seed=seed)
    records = []
    for week in range(1, weeks + 1):
        cases = change(generator, week)
        rows = cases.patient < audited
        labeled = replace(cases, truth=np.where(rows, cases.truth, -1))
        records.append(
            MonitorWeek(
                kind="week", week=f"2026-W{week:02d}", added="", predictions_sha256=str(week),
                patients=int(cases.patient.max()) + 1, statistics=_statistics(cases),
                accuracy=tuple(patient_accuracy(labeled, _probabilities(labeled)).tolist()),
            )
        )  # fmt: skip
    start = MonitorStart(
        code_version="", created="", settings=settings, predictions_sha256="", patients=PATIENTS,
        statistics=_statistics(reference),
    )  # fmt: skip
    return assess_journal(MonitorJournal(start=start, records=tuple(records), last_sha256="", complete_bytes=0))


def _statistics(cases: Cases) -> dict[str, tuple[float, ...]]:
    values = patient_statistics(cases, _probabilities(cases))
    return {name: tuple(numbers.tolist()) for name, numbers in values.items()}


WEEKLY_PATIENTS = 20

YEARS: dict[str, tuple[float, float, float]] = {
    "no change": (SKILLS[0.85], 0.0, 0.0),
    "no change, weeks differ": (SKILLS[0.85], 0.0, 0.2),
    "accuracy .85 to .70": (SKILLS[0.70], 0.0, 0.0),
    "accuracy .85 to .78": ((SKILLS[0.85] + SKILLS[0.70]) / 2, 0.0, 0.0),
    "blind in 20 %": (SKILLS[0.85], 0.2, 0.0),
}
"""Kind of year -> skill and blindness after the change, and the standard deviation of the skill between weeks."""


def monitor_line(name: str, studies: int, seed: int) -> tuple[float, float, dict[str, float]]:
    """Return the share of years with an alarm, the median delay in weeks after the change, and alarms by test."""
    skill, blindness, week_effect = YEARS[name]

    def clips(generator: np.random.Generator, week: int) -> Cases:
        changed = week > CHANGE_WEEK
        level = (skill if changed else SKILLS[0.85]) + generator.normal(0, week_effect)
        return simulate_cases(generator, WEEKLY_PATIENTS, level, blindness=blindness if changed else 0.0)

    delays, kinds, alarms = [], dict.fromkeys(("confidence", "class shares", "accuracy"), 0), 0
    for study in range(studies):
        state = simulate_year(random_stream(seed, "monitor", name, study), clips, seed=study)
        first = min((int(str(test.alarm)[-2:]) for test in state.alarms), default=None)
        alarms += first is not None
        if first is not None and first > CHANGE_WEEK:
            delays.append(first - CHANGE_WEEK)
        for test in state.alarms:
            kinds[test.kind] += 1
    median = float(np.median(delays)) if delays and not name.startswith("no change") else float("nan")
    return alarms / studies, median, {kind: count / studies for kind, count in kinds.items()}


def print_audits(studies: int, seed: int) -> None:
    """Print the table of audits: coverage and mean length with the predictions, then of the audited clips alone."""
    print("| accuracy | draw | audited | accuracy | balanced accuracy | share of A2C |\n|---|---|---|---|---|---|")
    lines = [(accuracy, False, patients) for accuracy in SKILLS for patients in AUDITED]
    for accuracy, by_class, patients in (*lines, (0.85, True, 20), (0.85, True, 40)):
        cells = " | ".join(audit_coverage(accuracy, patients, studies, seed, by_class=by_class))
        print(f"| {accuracy} | {'by class' if by_class else 'random'} | {patients} | {cells} |", flush=True)


def print_label_free(studies: int, seed: int) -> None:
    """Print the table of estimates without labels."""
    print(f"| hospital | truth | {' | '.join(ESTIMATORS)} |\n|---|---|---|---|---|")
    for name, errors, truth in label_free_errors(studies, seed):
        cells = " | ".join(f"{value:.3f}, error {error:.3f}" for value, error in errors.values())
        print(f"| {name} | {truth:.3f} | {cells} |", flush=True)


def print_conformal(studies: int, seed: int) -> None:
    """Print the table of conformal sets."""
    print("| score | calibrated and measured | coverage, 90 % nominal | classes in a set |\n|---|---|---|---|")
    for score in SetScore:
        for name, coverage, size in conformal_coverage(score, 0.1, studies, seed):
            print(f"| {score} | {name} | {coverage:.3f} | {size:.2f} |", flush=True)


def print_monitor(studies: int, seed: int) -> None:
    """Print the table of monitors."""
    print("| year | alarm in 52 weeks | median delay, weeks | by test |\n|---|---|---|---|")
    for name in YEARS:
        alarms, delay, kinds = monitor_line(name, studies, seed)
        cells = ", ".join(f"{kind} {share:.2f}" for kind, share in kinds.items())
        print(f"| {name} | {alarms:.3f} | {delay:.0f} | {cells} |", flush=True)


PARTS = {
    "audit": print_audits,
    "label_free": print_label_free,
    "conformal": print_conformal,
    "monitor": print_monitor,
}
"""Name of each table and the function that prints it."""


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=PARTS, action="append", help="Table to print; repeatable. Default: all.")
    arguments = parser.parse_args(words)
    for part in arguments.part or PARTS:
        print(f"\n{part}: {arguments.studies} simulated studies each, seed {arguments.seed}\n")
        PARTS[part](arguments.studies, arguments.seed)


if __name__ == "__main__":
    main()
