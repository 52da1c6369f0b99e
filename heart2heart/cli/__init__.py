"""One executable, `heart2heart`; a verb is a few lines that call the library.

Exit codes: 0 done, 1 a fault of ours, 2 something for the user to mend, 130 stopped by the user. Nothing heavy is
imported here, so `heart2heart --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

import typer
import typer.main

from heart2heart.cli import compare, curate, data, folds, labels, model, queue, reach, share, source, splits, sweep
from heart2heart.errors import Heart2HeartError

STOPPED = 130
"""Exit code after Ctrl-C, as Typer sets it."""

app = typer.Typer(
    name="heart2heart",
    help="From a hospital's echo DICOM to a view classifier that can be trusted at another hospital.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data.register(app)
source.register(app)
splits.register(app)
model.register(app)
folds.register(app)
compare.register(app)
sweep.register(app)
reach.register(app)
share.register(app)
curate.register(app)
queue.register(app)
labels.register(app)


def main() -> None:
    """Run the command line and end with the documented exit code."""
    sys.excepthook = _internal_error
    yield_cores()
    # Not `app()`: Typer would put its own hook, which prints the trace, in the place of ours.
    command = typer.main.get_command(app)
    try:
        command()
    except Heart2HeartError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == STOPPED:
            print("stopped; run the same command again to go on", file=sys.stderr)
        raise
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is wrong, and nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def yield_cores() -> None:
    """Let idle threads of a computation sleep soon instead of spinning; call before torch is imported.

    GNU OpenMP spins for long by default, which on a machine with other work to do slows each step several times; a
    short spin costs nothing measurable on an idle one.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def _internal_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report a fault of ours by kind and place; its message could carry a patient's identity, so it is not printed."""
    if os.environ.get("HEART2HEART_DEBUG") == "1":
        sys.__excepthook__(kind, error, trace)
        return
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = ""
    if trace is not None:
        place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    print(
        f"internal error: {kind.__name__}{place}. This is a fault of heart2heart, please report it; "
        "HEART2HEART_DEBUG=1 shows the whole trace (it may hold identifying text)",
        file=sys.stderr,
    )
