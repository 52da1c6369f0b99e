"""The verbs of the audit log: audit verify, audit show, audit export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LogArgument = Annotated[Path, typer.Argument(metavar="LOG", help="Audit log, such as audit.jsonl beside the store.")]

audit = typer.Typer(
    help="The audit log, which says who did what with patient data; exit code 3: it was changed.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add this module's verbs to `app`."""
    audit.command("verify")(audit_verify)
    audit.command("show")(audit_show)
    audit.command("export")(audit_export)
    app.add_typer(audit, name="audit")


def audit_verify(
    log: LogArgument,
    key: Annotated[Path | None, typer.Option(help="Key of the log, if it has one.")] = None,
    head: Annotated[str | None, typer.Option(help="Head that an earlier run printed; it must still be there.")] = None,
) -> None:
    """Check every record and its place in the chain; print the head, which you note elsewhere.

    Example: heart2heart audit verify audit.jsonl --head 5f2c... --key audit.key
    """
    from heart2heart.api.audit_log import verify_audit_log

    verdict = verify_audit_log(log, key=key, head=head)
    for line, reason in verdict.faults:
        print(f"line {line}: {reason}")
    if verdict.torn:
        print(f"{len(verdict.torn)} lines were cut off by a crash: {', '.join(map(str, verdict.torn[:20]))}")
    verdict.require_intact(log)
    kind = "with HMAC" if verdict.keyed else "without HMAC"
    print(f"{verdict.records} records {kind}, {verdict.first} to {verdict.last}: intact")
    print(f"{verdict.open_operations} operations without an end")
    print(f"head: {verdict.head}")


def audit_show(
    log: LogArgument, last: Annotated[int, typer.Option(min=1, help="Number of records, the last ones.")] = 20
) -> None:
    """List the last records: when, who, what, with which result.

    Example: heart2heart audit show audit.jsonl --last 50
    """
    from collections import deque

    from heart2heart.api.audit_log import read_audit_log
    from heart2heart.cli.output import text_table

    rows = deque(
        (
            (
                record.number, record.time, record.user, record.action, record.phase, record.site or "",
                record.error or ", ".join(f"{name} {count}" for name, count in record.counts.items()),
            )
            for record in read_audit_log(log)
        ),
        maxlen=last,
    )  # fmt: skip
    print(text_table(("record", "time", "user", "action", "phase", "hospital", "result"), list(rows)))


def audit_export(log: LogArgument, out: Annotated[Path, typer.Argument(help="New folder for the messages.")]) -> None:
    """Write DICOM Audit Messages (PS3.15 A.5), one XML file an operation.

    Example: heart2heart audit export audit.jsonl audit_messages
    """
    from heart2heart.api.audit_log import export_audit_log

    print(f"{export_audit_log(log, out)} messages in {out}")
