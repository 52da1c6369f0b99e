"""One executable, `heart2heart`; a verb is a few lines that call the library.

`PANELS` groups the verbs by their users. The options `--version`, `--verbose`, `--quiet` and `--audit-log` come before
the verb.

Exit codes: 0 done, 1 a fault of heart2heart, 2 an error that the user can fix, 3 an alarm of `monitor`, 130 stopped by
the user. `verify-deid` ends with 3 if it found an identity, and with 4 if not everything was read; `audit verify`
ends with 3 if the log was changed. Nothing heavy is imported here, so `heart2heart --help` is fast.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
import typer.main
from typer.models import CommandInfo, TyperInfo

from heart2heart.cli import (
    answer_files,
    audit,
    data,
    evaluation,
    first_steps,
    hospital,
    keys,
    labeling,
    labels,
    monitoring,
    planning,
    representations,
    review,
    scope,
    service,
    source,
    splits,
    training,
    validation,
)
from heart2heart.errors import ConfigError, Heart2HeartError
from heart2heart.progress import Verbosity, detail, set_verbosity

STOPPED = 130
"""Exit code after Ctrl-C, as Typer sets it."""

PANELS = {
    "First steps": ("demo", "configs"),
    "Data: from files to frames": ("simulate", "ingest", "source", "store"),
    "Labels: views of clips": ("labels", "curate", "raters", "queue", "review"),
    "Training: splits and models": ("split", "certify", "pairs", "clear-pairs", "train", "sweep", "adapt", "export"),
    "Representations: learning from unlabeled clips": ("pretrain", "embed", "similar", "fewshot"),
    "Evidence: scores and reports": (
        "plan",
        "evaluate",
        "validate",
        "pool",
        "federate",
        "report",
        "folds",
        "compare",
    ),
    "Few labels, and after": ("estimate", "audit-accuracy", "conformal", "monitor"),
    "Hospital: clips in, clean copies and predictions out": (
        "pull",
        "receive",
        "deidentify",
        "verify-deid",
        "link-key",
        "link",
        "scope",
        "predict",
        "serve",
        "service-reference",
        "service-audit",
        "answers",
        "rotate-key",
        "audit",
    ),
}
"""Panel of `--help` -> its verbs, in the order shown."""

VERSIONS_SHOWN = ("torch", "monai", "pydicom", "SimpleITK", "albumentations", "numpy", "pyarrow")
"""Libraries whose versions `--verbose` prints: those that can change a result."""

app = typer.Typer(
    name="heart2heart",
    help="From a hospital's echo DICOM to a view classifier that can be trusted at another hospital.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    first_steps,
    data,
    source,
    labels,
    labeling,
    review,
    splits,
    training,
    representations,
    scope,
    answer_files,
    planning,
    evaluation,
    validation,
    monitoring,
    hospital,
    keys,
    audit,
    service,
):
    module.register(app)


def _assign_panels() -> None:
    """Put every verb into its panel of `--help`, panels and verbs in the order of `PANELS`."""
    panel_and_rank = {
        verb: (panel, rank) for rank, (panel, verb) in enumerate((p, v) for p, vs in PANELS.items() for v in vs)
    }
    verbs: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for info in verbs:
        info.rich_help_panel = panel_and_rank[str(info.name)][0]
    app.registered_commands.sort(key=lambda info: panel_and_rank[str(info.name)][1])
    app.registered_groups.sort(key=lambda info: panel_and_rank[str(info.name)][1])


_assign_panels()


def _print_version(requested: bool) -> None:
    if requested:
        from heart2heart import __version__

        print(f"heart2heart {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print each stage with versions and times; no identities.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only, no progress.")] = False,
    audit_log: Annotated[
        Path | None,
        typer.Option(
            help="File of the audit log. Default: HEART2HEART_AUDIT_LOG, else audit.jsonl in the folder of the store."
        ),
    ] = None,
) -> None:
    del version
    if audit_log is not None:
        from heart2heart.api.audit import use_audit_log

        use_audit_log(audit_log)
    if verbose and quiet:
        raise ConfigError("--verbose and --quiet exclude each other", remedy="Give only one of them")
    set_verbosity(Verbosity.VERBOSE if verbose else Verbosity.QUIET if quiet else Verbosity.NORMAL)
    if verbose:
        detail(f"heart2heart {context.invoked_subcommand}: {_versions()}")


def _versions() -> str:
    """Return the versions of Python, of heart2heart and of the libraries that can change a result."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    known = [f"Python {platform.python_version()}"]
    for name in ("heart2heart", *VERSIONS_SHOWN):
        try:
            known.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            known.append(f"{name} missing")
    return ", ".join(known)


def main() -> None:
    """Run the command line and end with the documented exit code."""
    sys.excepthook = _internal_error
    os.umask(0o077)  # whatever a library writes is its owner's as well
    yield_cores()
    # Not `app()`: Typer would replace this hook with its own, which prints the trace.
    command = typer.main.get_command(app)
    try:
        command()
    except Heart2HeartError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == STOPPED:
            print("stopped; run the same command again to continue", file=sys.stderr)
        raise
    except BrokenPipeError:
        # The reader of the output has closed the pipe (`| head`): no error, and nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def yield_cores() -> None:
    """Make idle OpenMP threads sleep early instead of spinning; call before torch is imported.

    By default, GNU OpenMP spins for a long time. On a busy machine that makes each step several times slower; a short
    spin has no measurable cost on an idle machine.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def _internal_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report an internal error by type and line; its message is not printed, since it could identify a patient."""
    if os.environ.get("HEART2HEART_DEBUG") == "1":
        sys.__excepthook__(kind, error, trace)
        return
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    location = ""
    if trace is not None:
        location = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    print(
        f"internal error: {kind.__name__}{location}. This is a fault of heart2heart, please report it; "
        "HEART2HEART_DEBUG=1 shows the whole trace (it may hold identifying text)",
        file=sys.stderr,
    )
