"""The file of link codes is read back as written, and other content is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.errors import StoreError
from heart2heart.schema.links import LINKS_FILE, LinkedPatient, PatientLinks

LINKS = PatientLinks(
    key_check="0" * 32, patients=(LinkedPatient(site="A", patient="p1", codes=("k" + "a" * 40, "k" + "b" * 40)),)
)


def test_read_returns_what_write_wrote_for_the_owner_alone(tmp_path: Path) -> None:
    assert PatientLinks.read(tmp_path) is None
    path = LINKS.write(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert PatientLinks.read(tmp_path) == LINKS


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        "not JSON",
        '{"key_check": "x", "patients": []}',
        LINKS.model_dump_json().replace("k" + "a" * 40, "Doe^Jane"),
        LINKS.model_dump_json().replace('"site"', '"name"'),
    ],
)
def test_read_refuses_other_content_with_the_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / LINKS_FILE).write_text(content)
    with pytest.raises(StoreError) as caught:
        PatientLinks.read(tmp_path)
    assert caught.value.remedy
    assert "Doe" not in str(caught.value)
