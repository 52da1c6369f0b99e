"""The table of codes, and the codes that the source raises."""

import re
from pathlib import Path

from heart2heart.schema.status import CODES, FLAGS
from heart2heart.schema.store import CLIPS

ROOT = Path(__file__).parents[2]
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("dicom", "deidentify", "ingest", "datasets")
    for path in sorted((ROOT / "heart2heart" / package).rglob("*.py"))
)


def test_every_code_raised_is_in_the_table_and_every_code_is_raised() -> None:
    raised = set(re.findall(r'"((?:excluded|failed):[a-z0-9_]+)"', SOURCE)) | {"accepted"}
    assert raised == set(CODES)


def test_every_flag_is_set_somewhere() -> None:
    assert all(f'"{flag}"' in SOURCE for flag in FLAGS)
    assert "flags" in CLIPS.names
