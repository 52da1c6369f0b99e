"""When the test frames of a split were opened, and by which run: `openings.jsonl` beside the certificate.

A test set that is looked at often is fitted to by whoever chooses what to try next. Nothing is forbidden here; every
opening is written down, and the report tells of earlier ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from heart2heart.config import Config
from heart2heart.errors import ConfigError, SplitError
from heart2heart.schema.predictions import Check

ACCESS_LOG_FILE = "openings.jsonl"
CHECK_NAME = "test_opened"


class AccessEntry(Config):
    """One run that was tested."""

    when: str
    """UTC, ISO 8601."""
    run: str
    """Name of the run."""
    config_sha256: str
    """Hash of its configuration."""
    code_version: str
    """Version of heart2heart that tested it."""


def read_test_accesses(split: str | Path) -> list[AccessEntry]:
    """Return the openings of the split at `split`, oldest first.

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
    except (ValueError, ConfigError) as error:
        remedy = "Restore the file, or propose and certify the split anew"
        raise SplitError("the log of test openings is damaged", where=path, remedy=remedy) from error


def record_test_accesses(split: Path, openings: Sequence[AccessEntry]) -> Check:
    """Append openings to the split's log and say what was found there.

    Args:
        split: Folder of the split.
        openings: The runs that are tested now.

    Returns:
        The check `test_opened`: a warning when runs of other configurations were tested before, or when the folder
        cannot be written to.
    """
    before = read_test_accesses(split)
    now = {opening.config_sha256 for opening in openings}
    others = {opening.config_sha256 for opening in before} - now
    lines = "".join(json.dumps(opening.model_dump(), sort_keys=True) + "\n" for opening in openings)
    try:
        with (split / ACCESS_LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(lines)
    except OSError:
        detail = "the split's folder is read-only, so this opening of the test frames is not logged"
        return Check(name=CHECK_NAME, status="warn", detail=detail)
    if others:
        detail = f"the test frames were opened before, by runs of {len(others)} other configurations"
        return Check(name=CHECK_NAME, status="warn", detail=detail)
    return Check(name=CHECK_NAME, status="pass", detail=f"opened by runs of {len(now)} configurations, all named here")
