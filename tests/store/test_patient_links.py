"""Codes of several stores are compared where their linking key is one."""

from __future__ import annotations

from pathlib import Path

from heart2heart.schema.links import LinkedPatient, PatientLinks
from heart2heart.store.frame_store import FrameStore, FrameStores
from heart2heart.store.geometry import Geometry
from heart2heart.store.patient_links import LinkCodes

A, B = ("A", "p1"), ("B", "p2")


def store(root: Path, site: str, patient: str, codes: str, key_check: str = "0" * 32) -> FrameStore:
    """Write an empty store with one patient, who has a code a letter."""
    opened = FrameStore.create(root, Geometry(size=16))
    entry = LinkedPatient(site=site, patient=patient, codes=tuple("k" + code * 40 for code in codes))
    PatientLinks(key_check=key_check, patients=(entry,)).write(root)
    return opened


def test_shared_finds_a_person_by_any_of_the_codes(tmp_path: Path) -> None:
    one, other = store(tmp_path / "a", *A, "ab"), store(tmp_path / "b", *B, "bc")
    links = LinkCodes.of(one, FrameStores([other]), None)
    assert links.shared([A], [B]) == [(A, B)]
    assert links.shared([A], [A, ("C", "p3")]) == []
    assert links.not_comparable([A, B]) == ""
    assert "1 of 3 have no link code" in links.not_comparable([A, B, ("C", "p3")])


def test_shared_compares_no_codes_of_different_keys(tmp_path: Path) -> None:
    stores = FrameStores([store(tmp_path / "a", *A, "a"), store(tmp_path / "b", *B, "a", "1" * 32)])
    links = LinkCodes.of(stores)
    assert links.shared([A], [B]) == []
    assert "different linking keys" in links.not_comparable([A, B])


def test_not_comparable_says_that_there_are_no_codes(tmp_path: Path) -> None:
    links = LinkCodes.of(FrameStore.create(tmp_path / "s", Geometry(size=16)), None)
    assert links == LinkCodes()
    assert "no link codes" in links.not_comparable([A])
