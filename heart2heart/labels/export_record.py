"""What an export was made from, and by which rule: written beside it, so that it can be made again and compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from heart2heart import __version__
from heart2heart.config import Config
from heart2heart.labels.consensus import fit_readings, readings_by_target
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.views import TAXONOMY_VERSION
from heart2heart.utils import sha256_json, write_text


class ExportRecord(Config):
    """The record of one export."""

    form: str
    """One of `exporting.FORMATS`."""
    rule: str | None
    """The consensus rule; null when all events were written."""
    rule_details: dict[str, Any]
    """What the rule found on the way: of `dawid_skene` its steps, and each rater's share of right readings."""
    taxonomy: str
    """Version of the view taxonomy."""
    events: int
    """Events in the label book."""
    events_sha256: str
    """Hash of all of them in their order: the same book gives the same hash."""
    events_by_taxonomy: dict[str, int]
    """Events by the taxonomy version that they were said in."""
    raters: int
    """People and programs who said them."""
    written: int
    """Rows of the export."""
    labels: dict[str, int]
    """Labels of clips and frames by view, under a rule."""
    undecided: int
    """Clips and frames that were read but are not agreed, under a rule."""
    left_out: dict[str, int]
    """What the form cannot carry, by reason."""
    created: str
    """UTC, ISO 8601."""
    code_version: str
    """Of heart2heart."""

    def write(self, out: Path) -> Path:
        """Write the record beside the export at `out`, and return where."""
        path = out.with_name(f"{out.name}.record.json")
        write_text(path, json.dumps(self.model_dump(), indent=2, sort_keys=True, allow_nan=False) + "\n")
        return path


def events_digest(events: Sequence[LabelEvent]) -> str:
    """Return the hex SHA-256 of events in their order."""
    return sha256_json([list(astuple(event)) for event in events])


def make_export_record(
    events: Sequence[LabelEvent],
    form: str,
    *,
    written: int,
    rule: str | None = None,
    agreed: Mapping[str, str] | None = None,
    left_out: Mapping[str, int] | None = None,
) -> ExportRecord:
    """Describe an export.

    Args:
        events: All events of the book.
        form: One of `exporting.FORMATS`.
        written: Rows.
        rule: A name of `consensus.RULES`.
        agreed: What is agreed by that rule.
        left_out: What the form cannot carry.
    """
    labels = agreed or {}
    return ExportRecord(
        form=form, rule=rule, rule_details=_details(events) if rule == "dawid_skene" and labels else {},
        taxonomy=TAXONOMY_VERSION, events=len(events), events_sha256=events_digest(events),
        events_by_taxonomy=dict(sorted(Counter(event.taxonomy for event in events).items())),
        raters=len({event.rater for event in events}), written=written,
        labels=dict(sorted(Counter(labels.values()).items())),
        undecided=0 if rule is None else len(set(readings_by_target(events)) - set(labels)),
        left_out=dict(left_out or {}), created=datetime.now(UTC).isoformat(timespec="seconds"),
        code_version=__version__,
    )  # fmt: skip


def _details(events: Sequence[LabelEvent]) -> dict[str, Any]:
    weighed = fit_readings(readings_by_target(events))
    model = weighed.model
    right = {rater: float((model.prevalence * errors.diagonal()).sum())
             for rater, errors in zip(weighed.raters, model.errors, strict=True)}  # fmt: skip
    return {"steps": model.iterations, "log_likelihood": model.log_likelihood[-1],
            "right": {rater: round(share, 4) for rater, share in right.items()}}  # fmt: skip
