"""The table of codes, and the codes that the source raises."""

import re
from pathlib import Path

from heart2heart.schema.status import CODES, FLAGS, ClipFlag, StatusCode
from heart2heart.schema.store import CLIPS

ROOT = Path(__file__).parents[2]
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("dicom", "deidentify", "ingest", "datasets")
    for path in sorted((ROOT / "heart2heart" / package).rglob("*.py"))
)


def test_codes_hold_every_status_and_the_source_uses_each() -> None:
    assert set(CODES) == set(StatusCode)
    assert {StatusCode[name] for name in re.findall(r"\bStatusCode\.([A-Z_]+)", SOURCE)} == set(StatusCode)
    assert not re.findall(r'"(?:excluded|failed):[a-z0-9_]+"', SOURCE)


def test_codes_begin_with_how_the_file_ended() -> None:
    for code in StatusCode:
        kind, _, reason = code.partition(":")
        assert kind in {"accepted", "excluded", "failed"}
        assert bool(reason) == (kind != "accepted")
        assert code.name == code.value.upper().replace(":", "_")


def test_flags_hold_every_flag_and_the_source_sets_each() -> None:
    assert set(FLAGS) == set(ClipFlag)
    assert {ClipFlag[name] for name in re.findall(r"\bClipFlag\.([A-Z_]+)", SOURCE)} == set(ClipFlag)
    assert "flags" in CLIPS.names
