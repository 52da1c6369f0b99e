"""Two hospitals with a shared key give one person one code, and no identity reaches the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.ingest.patient_links import link_patients
from heart2heart.ingest.pipeline import ingest
from heart2heart.schema.links import PatientLinks
from heart2heart.store.frame_store import FrameStore
from tests.dicom.build import speckle_frames, write
from tests.ingest.archive_kit import SMALL

PEOPLE = {"a": ("Doehringer^Janetta", "Roe^Richard"), "b": ("DOEHRINGER^JANETTA^M", "Poe^Paula")}


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write and ingest two hospitals into one store, with a key each; Jane Doe was at both."""
    root = tmp_path_factory.mktemp("hospitals")
    for site, names in PEOPLE.items():
        for index, name in enumerate(names):
            tags = {"PatientID": f"{site}-{index}", "PatientName": name, "PatientBirthDate": "19431122"}
            write(root / site / f"IM{index}", speckle_frames(2, seed=index + 10 * ord(site)), **tags)
        ingest([root / site], site=site, store=root / "store", key=root / f"{site}.key", settings=SMALL)
    Key.open(root / "linking.key")
    return root


@pytest.fixture
def here(hospitals: Path, tmp_path: Path) -> Path:
    shutil.copytree(hospitals, tmp_path / "copy")
    return tmp_path / "copy"


def link(root: Path, site: str, *, linking: str = "linking.key", key: str | None = None) -> PatientLinks:
    link_patients(
        [root / site], site=site, store=root / "store", key=root / (key or f"{site}.key"), linking_key=root / linking
    )
    links = PatientLinks.read(root / "store")
    assert links is not None
    return links


def test_link_patients_gives_one_person_one_code_at_both_hospitals(here: Path) -> None:
    before = FrameStore.open(here / "store").digest()
    alone = link(here, "a")
    both = link(here, "b")
    assert set(alone.patients) < set(both.patients)
    assert len(both.patients) == 4
    codes = {(entry.site, entry.patient): entry.codes for entry in both.patients}
    names = {
        (site, number): codes[site, Pseudonymizer(Key.load(here / f"{site}.key")).patient(site, f"{site}-{number}")]
        for site in PEOPLE
        for number in (0, 1)
    }
    assert names["a", 0] == names["b", 0]
    assert len(set(names.values())) == 3
    assert FrameStore.open(here / "store").digest() == before
    assert link(here, "a") == both


def test_link_patients_writes_no_identity(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    link(here, "a")
    written = b"".join(path.read_bytes() for path in (here / "store").rglob("*") if path.is_file()).lower()
    # Long enough that no digest or compressed frame holds one by chance.
    secrets = ("doehringer", "janetta", "richard", "19431122", Key.load(here / "linking.key").secret.hex())
    assert [secret for secret in secrets if secret.encode() in written.replace(b"\0", b"")] == []
    assert caplog.text == ""


def test_link_patients_refuses_the_wrong_keys(here: Path) -> None:
    with pytest.raises(MissingInputError, match="link-key"):
        link(here, "a", linking="missing.key")
    assert not (here / "missing.key").exists()
    with pytest.raises(ConfigError, match="key of the ingest"):
        link(here, "a", linking="a.key")
    with pytest.raises(MissingInputError, match="no file is of a patient"):
        link(here, "a", key="b.key")
    shutil.copy(here / "linking.key", here / "store" / "linking.key")
    with pytest.raises(ConfigError, match="inside the store"):
        link(here, "a", linking="store/linking.key")
    (here / "store" / "linking.key").unlink()
    link(here, "a")
    Key.open(here / "other.key")
    with pytest.raises(ConfigError, match="another linking key"):
        link(here, "b", linking="other.key")


def test_link_patients_passes_over_damaged_files(here: Path) -> None:
    (here / "a" / "IM9").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
    (here / "a" / "notes.txt").write_text("Doe^Jane")
    assert len(link(here, "a").patients) == 2
