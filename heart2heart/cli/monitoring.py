"""Verbs for few labels and after: estimate, audit-accuracy, conformal, monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ALARM = 3
"""Exit code of `monitor` where a test has raised the alarm."""

PredictionsArgument = Annotated[
    Path, typer.Argument(help="predictions.parquet or its folder, a table of predictions, or the CSV of predict.")
]
SiteOption = Annotated[str | None, typer.Option(help="Hospital, if the predictions hold several or name none.")]
MethodOption = Annotated[str | None, typer.Option(help="Method, if the predictions hold several.")]
JournalArgument = Annotated[Path, typer.Argument(help="Journal of the monitor, such as monitor.jsonl.")]
PageOption = Annotated[Path | None, typer.Option(help="HTML page with the run chart.")]
StoreOption = Annotated[Path | None, typer.Option(help="Frame store with the clips, to watch their pictures too.")]

monitor = typer.Typer(
    help="Watch a hospital over weeks; exit code 3: a test has raised the alarm.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("estimate")(estimate)
    app.command("audit-accuracy")(audit_accuracy)
    app.command("conformal")(conformal)
    monitor.command("start")(monitor_start)
    monitor.command("add")(monitor_add)
    monitor.command("audit")(monitor_audit)
    monitor.command("show")(monitor_show)
    app.add_typer(monitor, name="monitor")


def estimate(
    predictions: PredictionsArgument,
    reference: Annotated[
        Path | None, typer.Option(help="Labeled predictions of the same model. Default: the sources of PREDICTIONS.")
    ] = None,
    site: SiteOption = None,
    reference_site: Annotated[str | None, typer.Option(help="Hospital of the reference.")] = None,
    method: MethodOption = None,
    tolerance: Annotated[float, typer.Option(help="Fall that raises the alarm, percentage points.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated hospitals.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the estimates.")] = None,
) -> None:
    """Estimate the accuracy of hospitals without labels: alarms with their measured error, no accuracies.

    Example: heart2heart estimate predicted.csv --site E --reference evaluation --reference-site A
    """
    from heart2heart.api.few_labels import estimate_without_labels
    from heart2heart.cli.output import text_table

    report = estimate_without_labels(
        predictions, reference=reference, site=site, reference_site=reference_site, method=method,
        tolerance=tolerance, seed=seed, out=out,
    )  # fmt: skip
    rows = []
    for each in report.estimates:
        error = each.error
        measured = "" if error is None else f"{error.mean:.2f}, at most {error.largest:.2f}"
        source = "" if error is None else (", ".join(error.hospitals) or f"{error.trials} simulated hospitals")
        value = each.reason or f"{each.value:.2f}"
        rows.append((each.site, each.estimator, value, "alarm" if each.alarm else "", measured, source))
    print(text_table(("hospital", "estimator", "estimate", "", "error of such estimates", "measured at"), rows))
    print(
        f"reference: accuracy {report.accuracy:.2f} of {report.reference_cases} labeled clips; the confidence there is "
        f"off by {report.calibration_error:.2f}"
    )
    print("These are alarms, not accuracies: errors that the model makes with confidence are not seen. Label an audit.")


def audit_accuracy(
    predictions: PredictionsArgument,
    sample: Annotated[Path, typer.Option(help="Sample that queue --by audit drew.")],
    labels: Annotated[Path, typer.Option(help="Label store, or table of clip and truth.")],
    site: SiteOption = None,
    method: MethodOption = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the estimates.")] = None,
) -> None:
    """Estimate accuracy and class shares of a hospital from audited patients and the predictions of all clips.

    Example: heart2heart audit-accuracy pool.parquet --sample audit.parquet --labels labels.db --out audit.json
    """
    from heart2heart.api.few_labels import audit_accuracy
    from heart2heart.cli.output import text_table

    report = audit_accuracy(predictions, sample, labels, site=site, method=method, out=out)
    rows = []
    for each in report.estimates:
        if each.value is None or each.low is None or each.high is None or each.audited is None:
            rows.append((each.name, "not estimable", each.reason or "", "", ""))
            continue
        ends = f"{100 * each.low:.1f} to {100 * each.high:.1f}"
        alone = (
            f"{100 * each.audited:.1f} ({100 * (each.audited_low or 0):.1f} to {100 * (each.audited_high or 1):.1f})"
        )
        weight = "" if each.weight is None else f"{each.weight:.2f}"
        rows.append((each.name, f"{100 * each.value:.1f} %", ends, alone, weight))
    interval = f"{100 * report.confidence:.0f} % interval"
    print(text_table(("", "estimate", interval, "audited clips alone", "weight of predictions"), rows))
    print(
        f"{report.site}: {report.audited_clips} audited clips of {report.audited_patients} patients; "
        f"{report.clips} clips of {report.patients} patients in all"
    )
    if report.unread:
        print(f"{report.unread} drawn clips have no label; the estimates take them for missing at random")
    if report.outside:
        print(f"{report.outside} audited clips show no class of the model; they are not scored")


def conformal(
    predictions: PredictionsArgument,
    calibration: Annotated[
        Path | None, typer.Option(help="Labeled predictions to calibrate on. Default: the sources of PREDICTIONS.")
    ] = None,
    site: SiteOption = None,
    calibration_site: Annotated[str | None, typer.Option(help="Hospital of the calibration.")] = None,
    method: MethodOption = None,
    alpha: Annotated[float, typer.Option(help="Accepted share of sets without the true class.")] = 0.1,
    score: Annotated[str, typer.Option(help="aps: sets adapt to the clip; lac: smallest sets on average.")] = "aps",
    recalibrate: Annotated[
        list[int] | None, typer.Option(help="Patients to measure recalibration with; repeatable. Default: 10, 20, 40.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random parts.")] = 0,
    sets: Annotated[Path | None, typer.Option(help="CSV file for the set of every clip.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for threshold and coverage.")] = None,
) -> None:
    """Calibrate sets of classes by patient, and measure how often they hold the true one at every hospital.

    Example: heart2heart conformal evaluation --alpha 0.1 --recalibrate 20 --sets sets.csv
    """
    from heart2heart.api.conformal import conformal_sets
    from heart2heart.cli.output import text_table

    report = conformal_sets(
        predictions, calibration=calibration, site=site, calibration_site=calibration_site, method=method, alpha=alpha,
        score=score, recalibrate=(10, 20, 40) if recalibrate is None else recalibrate, seed=seed, sets=sets, out=out,
    )  # fmt: skip
    rows = []
    for line in report.coverage:
        if line.coverage is None or line.low is None or line.high is None or line.size is None:
            rows.append((line.site, line.calibrated_on, "not measured", line.reason or "", ""))
            continue
        ends = f"{100 * line.low:.1f} to {100 * line.high:.1f}" + (f" in {line.draws} draws" if line.draws else "")
        rows.append((line.site, line.calibrated_on, f"{100 * line.coverage:.1f} %", ends, f"{line.size:.2f}"))
    print(text_table(("hospital", "calibrated on", "coverage", "95 %", "classes in a set"), rows))
    print(f"{report.patients} calibration patients of {report.calibrated_on}; {100 * (1 - alpha):g} % is nominal")
    print("It holds for new patients of the calibration's hospital, as a mean over patients; elsewhere it is measured.")


def monitor_start(
    journal: JournalArgument,
    reference: Annotated[Path, typer.Option(help="Predictions of the reference: at least 20 patients.")],
    site: SiteOption = None,
    method: MethodOption = None,
    store: StoreOption = None,
    least_accuracy: Annotated[
        float | None, typer.Option(help="Accuracy below which audited clips raise the alarm, such as 0.8.")
    ] = None,
    false_alarms: Annotated[float, typer.Option(help="Largest probability of any alarm without a change.")] = 0.05,
    weeks: Annotated[int, typer.Option(help="Weeks among whose starts a change is looked for.")] = 52,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order within a week.")] = 0,
) -> None:
    """Start a journal with the reference that later weeks are compared with.

    Example: heart2heart monitor start monitor.jsonl --reference pool.parquet --site E --least-accuracy 0.8
    """
    from heart2heart.api.monitoring import start_monitor

    state = start_monitor(
        journal, reference, site=site, method=method, store=store, least_accuracy=least_accuracy,
        false_alarms=false_alarms, weeks=weeks, seed=seed,
    )  # fmt: skip
    start = state.journal.start
    print(f"{journal}: {start.settings.site}, {start.patients} patients, {len(start.statistics)} statistics")


def monitor_add(
    journal: JournalArgument,
    predictions: PredictionsArgument,
    week: Annotated[str, typer.Option(help="ISO week, such as 2026-W48.")],
    labels: Annotated[Path | None, typer.Option(help="Labels of audited clips: label store or table.")] = None,
    store: StoreOption = None,
    page: PageOption = None,
) -> None:
    """Add the clips of one week, and test for drift; exit code 3 where a test has raised the alarm.

    Example: heart2heart monitor add monitor.jsonl week48.csv --week 2026-W48 --page monitor.html
    """
    from heart2heart.api.monitoring import add_week

    add_week(journal, predictions, week, labels=labels, store=store)
    monitor_show(journal, page)


def monitor_audit(
    journal: JournalArgument,
    predictions: PredictionsArgument,
    week: Annotated[str, typer.Option(help="ISO week that was added before.")],
    labels: Annotated[Path, typer.Option(help="Labels of audited clips: label store or table.")],
    page: PageOption = None,
) -> None:
    """Add the labels of audited clips of a week; exit code 3 where a test has raised the alarm.

    Example: heart2heart monitor audit monitor.jsonl week48.csv --week 2026-W48 --labels labels.db
    """
    from heart2heart.api.monitoring import add_audit

    add_audit(journal, predictions, week, labels)
    monitor_show(journal, page)


def monitor_show(journal: JournalArgument, page: PageOption = None) -> None:
    """Compute every test of a journal again; exit code 3 where a test has raised the alarm.

    Example: heart2heart monitor show monitor.jsonl --page monitor.html
    """
    from heart2heart.api.monitoring import show_monitor
    from heart2heart.cli.output import text_table

    state = show_monitor(journal, page)
    rows = [
        (test.kind, f"since {test.alarm}" if test.alarm else "", f"{test.capital[-1]:.3g}" if test.capital else "")
        for test in state.tests
    ]
    print(text_table(("test", "alarm", f"capital ({state.tests[0].threshold:.3g} is an alarm)"), rows))
    weeks = state.journal.weeks()
    print(f"{state.journal.start.settings.site}: {len(weeks)} weeks" + (f", the last {weeks[-1]}" if weeks else ""))
    if page is not None:
        print(page)
    if state.alarms:
        raise typer.Exit(ALARM)
