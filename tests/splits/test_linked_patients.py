"""One person under two pseudonyms in two groups fails the certificate; without codes it says what was not compared."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from heart2heart.schema.links import LinkedPatient, PatientLinks
from heart2heart.splits.linked_patients import check_linked_patients
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.geometry import Geometry

USED = pa.table(
    {
        "group": ["development", "development", "validation", "test"],
        "site": ["A", "A", "A", "B"],
        "patient": ["p0", "p1", "p2", "p3"],
    }
)


def store(root: Path, codes: dict[str, str], key_check: str = "0" * 32) -> FrameStore:
    """Write an empty store with link codes, by patient."""
    opened = FrameStore.create(root, Geometry(size=16))
    sites = dict(zip(USED["patient"].to_pylist(), USED["site"].to_pylist(), strict=True))
    entries = [LinkedPatient(site=sites[name], patient=name, codes=("k" + code * 40,)) for name, code in codes.items()]
    if entries:
        PatientLinks(key_check=key_check, patients=tuple(entries)).write(root)
    return opened


def test_check_linked_patients_fails_where_one_person_is_in_two_groups(tmp_path: Path) -> None:
    check = check_linked_patients(USED, store(tmp_path / "s", {"p0": "a", "p1": "b", "p2": "c", "p3": "b"}))
    assert check.status == "fail"
    assert "1 patients are in more than one group under two pseudonyms, e.g. p1 of A and p3 of B" in check.detail


@pytest.mark.parametrize(
    ("codes", "status", "detail"),
    [
        ({}, "warn", "patients across hospitals not compared: the stores have no link codes"),
        ({"p0": "a", "p3": "b"}, "warn", "patients across hospitals not compared: 2 of 4 have no link code"),
        ({"p0": "a", "p1": "a", "p2": "b", "p3": "c"}, "pass", "4 patients compared across hospitals by link codes"),
        ({"p0": "a", "p3": "a"}, "fail", "1 patients"),
    ],
)
def test_check_linked_patients_says_what_was_compared(
    tmp_path: Path, codes: dict[str, str], status: str, detail: str
) -> None:
    check = check_linked_patients(USED, store(tmp_path / "s", codes))
    assert check.status == status
    assert check.detail.startswith(detail)
