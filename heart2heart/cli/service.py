"""Verbs of the service beside the PACS: serve, service-reference, service-audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    app.command("serve")(serve)
    app.command("service-reference")(service_reference)
    app.command("service-audit")(service_audit)


def serve(
    config: Annotated[Path, typer.Argument(help="YAML file: models, doors, destination, limits, monitoring.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Dotted overrides, such as web.port=8043.")] = None,
) -> None:
    """Take clips by C-STORE, STOW-RS and upload; answer with JSON and structured reports, until SIGTERM or Ctrl-C.

    Example: heart2heart serve service.yaml
    """
    import sys

    from heart2heart.api.service import serve

    def ready(*, web: str, dicom: str | None) -> None:
        print(f"page, STOW-RS and upload: {web}", file=sys.stderr, flush=True)
        if dicom is not None:
            print(f"C-STORE: {dicom}", file=sys.stderr, flush=True)

    print(serve(config, overrides=overrides or (), ready=ready))


def service_reference(
    model: Annotated[Path, typer.Argument(help="Active model of the service: a run or an exported model.")],
    sources: Annotated[list[Path], typer.Argument(help="DICOM files of the validation, or folders of them.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    frames: Annotated[str, typer.Option(help="Frames of each clip: all, every:N, even:K or ed_es:K.")] = "all",
    workers: Annotated[int, typer.Option(min=0, help="Processes that read files; 0 reads in this one.")] = 0,
) -> None:
    """Write the inputs and the confidence of a validation, with which `serve` compares what comes in.

    Example: heart2heart service-reference model validation_clips --out reference.json
    """
    from heart2heart.api.service import write_service_reference
    from heart2heart.progress import progress_bar

    reference = write_service_reference(model, sources, out, frames=frames, workers=workers, stage=progress_bar)
    print(f"{out}: {reference.clips} clips, {len(reference.deciles)} measures")


def service_audit(
    config: Annotated[Path, typer.Argument(help="YAML file of the service, which may be running.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Dotted overrides, as for serve.")] = None,
    labels: Annotated[Path, typer.Option(help="Label store of the audit sample.")] = Path("labels.db"),
    week: Annotated[
        list[str] | None, typer.Option(help="ISO week to add though clips have no label; repeatable.")
    ] = None,
) -> None:
    """Add the labels of audited clips to the drift test of a service; exit code 3 where a test has raised the alarm.

    Example: heart2heart service-audit service.yaml --labels labels.db
    """
    from heart2heart.api.service_audit import add_service_audit
    from heart2heart.cli.monitoring import ALARM

    result = add_service_audit(config, labels, weeks=week or (), overrides=overrides or ())
    print(f"added: {', '.join(result.added) or 'no week'}")
    for name, clips in result.incomplete.items():
        print(f"{name}: {clips} clips without a label; --week {name} adds it all the same")
    print(result.headline)
    if result.state.alarms:
        raise typer.Exit(ALARM)
