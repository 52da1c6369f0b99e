"""Provenance of predictions: the hospitals, their files and labels, and the log of accesses to the test frames.

The log, `openings.jsonl`, is kept beside the certificate. Repeated tests on one test set overfit the choice of methods
to it. Accesses are not forbidden; each is logged, and the report states earlier ones.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from heart2heart.config import Config
from heart2heart.errors import ConfigError, SplitError
from heart2heart.labels.events import LabelEvent
from heart2heart.schema.enums import CheckStatus
from heart2heart.schema.predictions import DEMOGRAPHICS, Predictions, Provenance, SiteInfo
from heart2heart.schema.split import ACCESS_CHECK, Check
from heart2heart.splits.manifest import SplitManifest
from heart2heart.store.frame_store import Frames
from heart2heart.utils import make_private_file

ACCESS_LOG_FILE = "openings.jsonl"


class AccessEntry(Config):
    """One access of a run to the test frames."""

    when: str
    """Time, UTC, ISO 8601."""
    run: str
    """Name of the run."""
    config_sha256: str
    """Hash of the configuration of the run."""
    code_version: str
    """Version of heart2heart that tested it."""


def read_test_accesses(split: str | Path) -> list[AccessEntry]:
    """Return the logged accesses to the test frames of a split, oldest first.

    Raises:
        SplitError: the log is damaged.
    """
    path = Path(split) / ACCESS_LOG_FILE
    if not path.exists():
        return []
    try:
        return [
            AccessEntry.parse(json.loads(line), where=path) for line in path.read_text(encoding="utf-8").splitlines()
        ]
    except (ValueError, RecursionError, ConfigError) as error:
        remedy = "Restore the file, or propose and certify the split anew"
        raise SplitError("the log of test access is damaged", where=path, remedy=remedy) from error


def record_test_accesses(split: Path, accesses: Sequence[AccessEntry]) -> Check:
    """Append accesses to the log of a split, and check its earlier entries.

    Args:
        split: Folder of the split.
        accesses: The runs that are tested now.

    Returns:
        The check `test_opened`: a warning when runs of other configurations were tested before, or when the folder
        cannot be written to.
    """
    before = read_test_accesses(split)
    now = {access.config_sha256 for access in accesses}
    others = {access.config_sha256 for access in before} - now
    lines = "".join(json.dumps(access.model_dump(), sort_keys=True) + "\n" for access in accesses)
    try:
        split.stat()  # a folder that is not there is not made
        make_private_file(split / ACCESS_LOG_FILE)
        with (split / ACCESS_LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(lines)
    except OSError:
        detail = "the split's folder is read-only, so this access to the test frames is not logged"
        return Check(name=ACCESS_CHECK, status=CheckStatus.WARN, detail=detail)
    if others:
        detail = f"runs of {len(others)} other configurations had access to the test frames before"
        return Check(name=ACCESS_CHECK, status=CheckStatus.WARN, detail=detail)
    return Check(
        name=ACCESS_CHECK,
        status=CheckStatus.PASS,
        detail=f"only the runs of these {len(now)} configurations had access to the test frames",
    )


def site_infos(
    stores: Frames,
    split: SplitManifest,
    *,
    files: Mapping[str, Mapping[str, int]],
    events: Sequence[LabelEvent] = (),
) -> tuple[SiteInfo, ...]:
    """Describe every hospital of a split.

    Args:
        stores: Stores with all frames of the split.
        split: The frozen split.
        files: Hospital -> status code -> number of files, from the ingest ledgers.
        events: Label events, for the names of the raters.

    Returns:
        Source hospitals first, in the split's order.
    """
    return tuple(
        site_info(
            site,
            stores,
            split.members,
            held_out=site in split.held_out_sites,
            files=files.get(site, {}),
            events=events,
        )
        for site in (*split.source_sites, *split.held_out_sites)
    )


def with_demographics(predictions: Predictions, stores: Frames) -> Predictions:
    """Return the predictions with sex and age of each row's clip, where the store knows them."""
    clip_positions = pc.index_in(predictions.table["clip"], stores.clips["clip"])
    table = predictions.table
    for field in DEMOGRAPHICS:
        column = stores.clips[field.name].take(clip_positions).cast(field.type)
        table = table.set_column(table.schema.get_field_index(field.name), field, column)
    return replace(predictions, table=table)


def record_test_access(predictions: Predictions, split: SplitManifest) -> Predictions:
    """Append these runs to the split's log of test access, and return the predictions with the check of that log.

    Writes `openings.jsonl` in the folder of the split.
    """
    check = record_test_accesses(split.path, access_entries(predictions.provenance))
    checked = with_check(predictions, check)
    first = min((access.when for access in read_test_accesses(split.path)), default=predictions.provenance.created)
    known = checked.provenance.split.model_copy(update={"first_test_access": first})
    return replace(checked, provenance=checked.provenance.model_copy(update={"split": known}))


def access_entries(provenance: Provenance) -> list[AccessEntry]:
    """Return one entry per run for the log of test access; writes nothing."""
    return [
        AccessEntry(
            when=provenance.created, run=run.run, config_sha256=run.config_sha256, code_version=provenance.code_version
        )
        for run in provenance.runs
    ]


def with_check(predictions: Predictions, check: Check) -> Predictions:
    """Return the predictions with one more check of their split; writes nothing."""
    provenance = predictions.provenance
    split = provenance.split.model_copy(update={"checks": (*provenance.split.checks, check)})
    return replace(predictions, provenance=provenance.model_copy(update={"split": split}))


def site_info(
    site: str,
    stores: Frames,
    members: pa.Table,
    *,
    held_out: bool,
    files: Mapping[str, int],
    events: Sequence[LabelEvent] = (),
) -> SiteInfo:
    """Describe one hospital.

    Args:
        site: The hospital.
        stores: Stores with its frames.
        members: Rows of `SPLIT_MEMBERS`: the role and the label of each frame.
        held_out: No frame of it was trained on.
        files: Status code -> number of files, from the ingest ledger.
        events: Label events, for the names of the raters.
    """
    clips = stores.clips.filter(pc.equal(stores.clips["site"], site))
    members = members.filter(pc.equal(members["site"], site))
    labeled = members.filter(pc.is_valid(members["view"]))
    names = set(clips["clip"].to_pylist())
    dates = [day for day in clips["date"].to_pylist() if day is not None]
    return SiteInfo(
        site=site,
        held_out=held_out,
        synthetic=bool(pc.any(clips["synthetic"]).as_py()),
        files=dict(files),
        patients=_distinct(clips["patient"]),
        studies=_distinct(clips["study"]),
        clips=len(clips),
        frames=int(pc.sum(clips["n_frames"]).as_py() or 0),
        roles=_count(members["role"]),
        labels=_count(labeled["view"]),
        raters=tuple(sorted({event.rater for event in events if event.clip in names})),
        makers=tuple(sorted({maker for maker in clips["maker"].to_pylist() if maker})),
        modes=_count(clips["mode"]),
        # Shifted per patient: the span is of pseudonymous dates, and a report says so.
        date_from=min(dates).isoformat() if dates else None,
        date_to=max(dates).isoformat() if dates else None,
        vocabularies=tuple(sorted({event.taxonomy for event in events if event.clip in names})),
    )


def _distinct(column: pa.ChunkedArray) -> int:
    return int(pc.count_distinct(column).as_py())


def _count(column: pa.ChunkedArray) -> dict[str, int]:
    return dict(sorted(Counter(column.to_pylist()).items()))
