"""Verb of planning: how many patients a validation needs, and the registration of its margin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verb to `app`."""
    app.command("plan")(plan)


def plan(
    margin: Annotated[float, typer.Option(help="Largest acceptable loss of balanced accuracy, percentage points.")],
    out: Annotated[Path, typer.Option(help="SVG file of the power curve.")] = Path("plan.svg"),
    register: Annotated[
        Path | None, typer.Option(help="Register the margin in this new file (JSON, hashed), and simulate nothing.")
    ] = None,
    question: Annotated[str, typer.Option(help="With --register: the question that the evaluation answers.")] = "",
    by: Annotated[str, typer.Option(help="With --register: who registers the margin.")] = "",
    power: Annotated[float, typer.Option(help="Wanted share of the studies that show it.")] = 0.8,
    loss: Annotated[float, typer.Option(help="True loss, percentage points.")] = 0.0,
    pilot: Annotated[Path | None, typer.Option(help="metrics.json of an earlier evaluation.")] = None,
    site: Annotated[str | None, typer.Option(help="Hospital of the pilot. Default: its first source.")] = None,
    accuracy: Annotated[float | None, typer.Option(help="Accuracy at the source. Default: pilot, or 0.85.")] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Number of classes. Default: pilot, or 4.")] = None,
    prevalence: Annotated[
        list[float] | None,
        typer.Option(help="Share of patients with a class; repeat for each class. Default: pilot, or 1."),
    ] = None,
    frames: Annotated[float | None, typer.Option(help="Frames of a class in a patient. Default: pilot, or 5.")] = None,
    correlation: Annotated[
        float | None, typer.Option(help="Intra-cluster correlation of right frames. Default: pilot, or 0.25.")
    ] = None,
    source_patients: Annotated[int, typer.Option(help="Test patients at the source.")] = 100,
    claims: Annotated[int, typer.Option(help="Losses and differences that the report will judge together.")] = 1,
    patients: Annotated[list[int] | None, typer.Option(help="Number of patients to simulate; repeatable.")] = None,
    studies: Annotated[int, typer.Option(help="Simulated studies for each number of patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
) -> None:
    """Compute how many patients show that no more than a margin is lost; or register the margin before the look.

    Example: heart2heart plan --margin 5 --pilot evaluation/metrics.json --source-patients 100
    """
    from heart2heart.api.planning import PATIENTS, plan_validation, register_margin
    from heart2heart.cli.output import text_table

    if register is not None:
        registered = register_margin(register, margin=margin, question=question, registered_by=by)
        print(f"{register}: {registered.margin:g} points, {registered.registered}, {registered.digest()}")
        return
    result = plan_validation(
        out, margin=margin, power=power, loss=loss, pilot=pilot, site=site, accuracy=accuracy, classes=classes,
        prevalence=prevalence or (), frames=frames, correlation=correlation, source_patients=source_patients,
        claims=claims, patients=patients or PATIENTS, studies=studies, seed=seed,
    )  # fmt: skip
    rows = [(each.patients, round(each.rarest), f"{each.power:.2f}", f"{each.error:.2f}") for each in result.powers]
    print(text_table(("patients", "with the rarest class", "power", "standard error"), rows))
    print(f"SIMULATED studies, {studies} for each number of patients; true loss {loss:g} points")
    print(f"{result.sentence}\n{result.curve}")
