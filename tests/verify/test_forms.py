"""Each form of an identity is found, except those that are listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.verify.archive import collect_identities
from heart2heart.verify.check import verify
from heart2heart.verify.identities import Identities
from tests.verify.forms import FORMS, NOT_FOUND, plant, write_archive


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    """Return the identities of the archive."""
    return collect_identities([write_archive(tmp_path_factory.mktemp("archive"))])


@pytest.mark.parametrize("form", FORMS)
def test_verify_finds_each_form(form: str, identities: Identities, tmp_path: Path) -> None:
    findings = verify([plant(tmp_path / "out", form)], identities).findings
    kinds = {finding.kind for finding in findings}
    assert (FORMS[form][2] in kinds) is (form not in NOT_FOUND)


def test_collect_identities_reads_what_ingest_reads(identities: Identities) -> None:
    names = {value for kind, value in identities.exact if kind == "name"}
    assert "Yamamoto^Tarou=山本^太郎=やまもと^たろう" in names  # in a zip file within a zip file
    assert identities.files == 3
    assert identities.unread == []


def test_verify_finds_at_least_65_of_69_forms() -> None:
    assert len(FORMS) >= 69
    assert (len(FORMS) - len(NOT_FOUND)) / len(FORMS) >= 65 / 69
