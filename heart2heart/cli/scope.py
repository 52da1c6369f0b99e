"""Verbs of the scope of a model: scope fit, scope reset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    scope = typer.Typer(help="The clips that a model answers: fit at the source, reset at a hospital.")
    scope.command("fit")(fit)
    scope.command("reset")(reset)
    app.add_typer(scope, name="scope")


def fit(
    run: RunArgument,
    store: Annotated[
        list[Path] | None, typer.Option(help="Frame store of the split; repeatable. Default: those of the run.")
    ] = None,
    split: Annotated[Path | None, typer.Option(help="The run's split, if it has moved.")] = None,
    coverage: Annotated[float, typer.Option(help="Share of sets that are to hold the true view.")] = 0.9,
    keep: Annotated[float, typer.Option(help="Share of the clips in scope that the score is to keep.")] = 0.95,
    score: Annotated[
        str | None,
        typer.Option(
            help="joint, other_views, mahalanobis, knn, energy or max_softmax. Default: joint with labels of "
            "other views, else mahalanobis."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label store (SQLite) with clips of other views, such as OTHER.")
    ] = None,
) -> None:
    """Fit the scope of a model on validation patients of its source; `predict` then answers only clips in scope.

    Example: heart2heart scope fit runs/fixmatch --labels labels.db --coverage 0.9
    """
    from heart2heart.api.scope import fit_scope, scope_sentences

    scope = fit_scope(run, store or None, split=split, labels=labels, coverage=coverage, keep=keep, score=score)
    print("\n".join(scope_sentences(scope)))


def reset(
    run: RunArgument,
    store: Annotated[Path, typer.Option(help="Frame store of the hospital.")],
    site: Annotated[str | None, typer.Option(help="The hospital, where the store holds several.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Label store (SQLite); default: the source's thresholds stay.")
    ] = None,
    patient: Annotated[
        list[str] | None, typer.Option(help="Pseudonym of a patient to take; repeatable. Default: all.")
    ] = None,
) -> None:
    """Set the scope of a model again at a hospital, with its unlabeled clips and, if there are any, labeled ones.

    Example: heart2heart scope reset runs/fixmatch --store store --site B
    """
    from heart2heart.api.scope import reset_scope, scope_sentences

    scope = reset_scope(run, store, site=site, labels=labels, patients=patient or ())
    print("\n".join(scope_sentences(scope)))
