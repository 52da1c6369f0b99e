"""Joins the predictions of one run that was adapted at several hospitals into those of one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.errors import RunError
from heart2heart.schema.adaptation import AdaptationRecord
from heart2heart.schema.predictions import Predictions, RunInfo
from heart2heart.utils import sha256_json


def join_adapted(parts: Sequence[Predictions], records: Sequence[AdaptationRecord | None]) -> list[Predictions]:
    """Join the predictions of runs that were adapted from the same weights, in the same way, at different hospitals.

    The result is what a user of the model sees: at each hospital the predictions of the run that was adapted there, and
    elsewhere those of the run that was not. Other parts stay as they are.

    Args:
        parts: The predictions of one run each.
        records: How each run was adapted; None for a run that was not.

    Returns:
        The parts in their order; a joined part has the place of its first run.

    Raises:
        RunError: two runs were adapted from the same weights, in the same way, at the same hospital.
    """
    groups: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        groups.setdefault(f"run {position}" if record is None else _way(record), []).append(position)
    return [_join([parts[index] for index in group], [records[index] for index in group]) for group in groups.values()]


def _way(record: AdaptationRecord) -> str:
    """Return the hash of the weights that were adapted, and of how."""
    return sha256_json([record.source_weights_sha256, record.settings.model_dump(mode="json")])


def _join(parts: Sequence[Predictions], records: Sequence[AdaptationRecord | None]) -> Predictions:
    adapted = [record for record in records if record is not None]
    if len(adapted) < 2:
        return parts[0]
    sites = [record.site for record in adapted]
    if len(set(sites)) < len(sites):
        names = ", ".join(part.provenance.runs[0].run for part in parts)
        raise RunError(
            "a run was adapted twice at one hospital in the same way", where=names, remedy="Name one of them"
        )
    first = parts[0]
    elsewhere = pc.invert(pc.is_in(first.table["site"], pa.array(sites, pa.string())))
    tables = [first.table.filter(elsewhere)]
    tables += [part.table.filter(pc.equal(part.table["site"], site)) for part, site in zip(parts, sites, strict=True)]
    info = _joined_info(first.provenance.runs[0], adapted)
    table = pa.concat_tables(tables)
    names = pa.array([info.run] * len(table), pa.string())
    table = table.set_column(table.schema.get_field_index("run"), table.schema.field("run"), names)
    return replace(first, table=table, provenance=first.provenance.model_copy(update={"runs": (info,)}))


def _joined_info(info: RunInfo, records: Sequence[AdaptationRecord]) -> RunInfo:
    """Return the facts of the joined run: those of the first, with all hospitals."""
    one, sites = records[0], sorted(record.site for record in records)
    suffix = f"at {one.site}"
    title = f"{info.method.removesuffix(suffix)}at {', '.join(sites)}"
    method = f"{one.method.removesuffix(f' of {one.site}')} of each hospital"
    changes = {"run": f"{one.source_run}_adapted", "method": title}
    return info.model_copy(update=changes | {"facts": info.facts.model_copy(update={"adaptation": method})})
