"""The key file: made once, kept close."""

import errno
import hashlib
import hmac
import multiprocessing
import os
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer, pseudonymize
from heart2heart.dicom.header_values import silence_warnings
from heart2heart.errors import ConfigError, MissingInputError


def test_open_makes_a_key_on_first_use_and_reads_it_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    key = Key.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(path.read_text())) == 32
    assert Key.open(path) == key == Key.load(path)
    assert Key.open(tmp_path / "other.key") != key
    assert key.secret.hex() not in repr(key)


def open_keys(folder: Path, tries: int, pipe: Connection) -> None:
    """Open key after key as soon as the other process is there, and send the secrets."""
    secrets = []
    for attempt in range(tries):
        pipe.send(None)
        pipe.recv()
        secrets.append(Key.open(folder / f"{attempt}.key").secret)
    pipe.send(secrets)


def test_open_in_two_processes_gives_the_same_key(tmp_path: Path) -> None:
    tries, context = 200, multiprocessing.get_context("fork")
    relay = [context.Pipe(), context.Pipe()]
    processes = [context.Process(target=open_keys, args=(tmp_path, tries, child)) for _, child in relay]
    for process in processes:
        process.start()
    parents = [parent for parent, _ in relay]
    for _ in range(tries):
        for parent in parents:
            assert parent.recv() is None
        for parent in parents:
            parent.send(None)
    first, second = (parent.recv() for parent in parents)
    for process in processes:
        process.join()
    assert first == second == [Key.load(tmp_path / f"{attempt}.key").secret for attempt in range(tries)]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == tries  # no unfinished file is left


def test_open_keeps_a_key_that_another_process_made_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "a file system without hard links")

    for attempt, missing in enumerate((False, True)):
        path = tmp_path / f"{attempt}.key"
        with monkeypatch.context() as patch:
            if missing:
                patch.setattr(os, "link", no_links)
            key = Key.open(path)
            patch.setattr(Path, "exists", lambda _: False)  # as in a process that looked a moment earlier
            assert Key.open(path) == key
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_open_refuses_a_key_that_others_can_read_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "site.key"
    Key.open(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        Key.open(path)


def test_open_refuses_a_key_inside_the_store_and_does_not_make_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for path in (store / "a.key", store / "deep" / "a.key", tmp_path / "x" / ".." / "store" / "a.key"):
        with pytest.raises(ConfigError, match="inside the store"):
            Key.open(path, outside=store)
    assert not store.exists()
    assert Key.open(tmp_path / "store.key", outside=store)


@pytest.mark.parametrize("content", [b"", b"abc", b"zz" * 32, b"00" * 31, b"00" * 40, b"\xff" * 64])
def test_load_refuses_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        Key.load(path)


def test_load_refuses_a_missing_key(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        Key.load(tmp_path / "a.key")


def test_digest_keeps_its_parts_apart() -> None:
    key = Key(bytes(32))
    assert key.digest("ab", "c") != key.digest("a", "bc")
    assert key.digest("ab", "c") == key.digest("ab", "c")


KEY = Key(bytes(range(32)))
MAKE = Pseudonymizer(KEY)


def header(**tags: str) -> Dataset:
    dataset = Dataset()
    values = {
        "PatientID": "TEST-1", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "SOPInstanceUID": "1.2.5",
        "StudyDate": "20200229", "PatientBirthDate": "19500301", "PatientSex": "F",
    }  # fmt: skip
    with silence_warnings():
        for name, value in (values | tags).items():
            setattr(dataset, name, value)
    return dataset


@given(st.text(st.characters(categories=["Nd"]), min_size=1, max_size=20).map(lambda s: f"1.2.{s}"))
def test_uid_is_valid_and_repeatable(uid: str) -> None:
    pseudonym = MAKE.uid(uid)
    assert pseudonym == MAKE.uid(uid + "\0") == MAKE.uid(f" {uid} ")
    assert pseudonym.startswith("2.25.")
    assert len(pseudonym) <= 64
    number = int(pseudonym[5:])
    assert number < 2**128
    assert number >> 76 & 0xF == 4  # a UUID of version 4, as PS3.5 annex B.2 asks for
    assert pseudonym != Pseudonymizer(Key(bytes(32))).uid(uid)


def test_content_of_bytes_and_of_a_file_is_the_keyed_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"some bytes")
    plain = hashlib.sha256(b"some bytes").digest()
    expected = hmac.new(KEY.secret, b"content" + plain, "sha256").hexdigest()
    assert MAKE.content(b"some bytes") == MAKE.content(tmp_path / "a") == expected


def test_pseudonymize_tells_patients_and_sites_apart() -> None:
    assert MAKE.patient("a", " test-1 ") == MAKE.patient("a", "TEST-1")
    assert MAKE.patient("a", "TEST-1") != MAKE.patient("b", "TEST-1")
    one, two = (pseudonymize(header(StudyInstanceUID=uid), MAKE, site="a", content="") for uid in ("1.1", "1.2"))
    assert one.patient == two.patient
    assert one.study != two.study
    assert one.date == two.date


def test_pseudonymize_leaves_nothing_of_the_header() -> None:
    pseudonyms = pseudonymize(header(), MAKE, site="a", content="c")
    text = repr(pseudonyms)
    for value in ("TEST", "1.2.3", "1.2.4", "1.2.5", "20200229", "2020-02-29", "2020, 2, 29", "1950"):
        assert value not in text
    assert pseudonyms.instance == MAKE.uid("1.2.5")
    assert pseudonyms.age == 69
    assert pseudonyms.sex == "F"


def test_pseudonymize_uses_the_study_where_no_patient_is_identified() -> None:
    one = pseudonymize(header(PatientID=""), MAKE, site="a", content="c")
    two = pseudonymize(header(PatientID=" ", StudyInstanceUID="1.9"), MAKE, site="a", content="c")
    assert one.flags == ("no_patient_id",)
    assert one.patient != two.patient
    bare = [pseudonymize(header(PatientID="", StudyInstanceUID=""), MAKE, site="a", content=c) for c in "xy"]
    assert bare[0].patient != bare[1].patient


def test_pseudonymize_without_a_key_gives_nothing() -> None:
    pseudonyms = pseudonymize(header(), None, site="a", content="")
    assert (pseudonyms.patient, pseudonyms.study, pseudonyms.series, pseudonyms.instance, pseudonyms.date) == (
        "",
        "",
        None,
        None,
        None,
    )
    assert (pseudonyms.age, pseudonyms.sex) == (69, "F")


def test_pseudonymize_keeps_the_distance_of_dates_and_moves_them_into_the_past() -> None:
    days = [pseudonymize(header(StudyDate=day), MAKE, site="a", content="").date for day in ("20200101", "20200131")]
    assert days[0] is not None
    assert days[1] is not None
    assert (days[1] - days[0]).days == 30
    assert days[0] < date(2020, 1, 1)
    shifts = {MAKE.shift(f"p{index}").days for index in range(200)}
    assert min(shifts) >= -3652
    assert max(shifts) <= -1
    assert len(shifts) > 150


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ({"PatientAge": "045Y"}, 45),
        ({"PatientAge": "101Y"}, 90),
        ({"PatientAge": "018M"}, 1),
        ({"PatientAge": "006W"}, 0),
        ({"PatientBirthDate": "19200101"}, 90),
        ({"PatientBirthDate": "20200229"}, 0),
        ({"PatientBirthDate": "20210101"}, None),
        ({"PatientBirthDate": "nonsense"}, None),
        ({"StudyDate": "20209999"}, None),
        ({"StudyDate": "2020.03.01"}, 70),
    ],
)
def test_pseudonymize_caps_ages(tags: dict[str, str], age: int | None) -> None:
    assert pseudonymize(header(**tags), MAKE, site="a", content="").age == age


def test_pseudonymize_drops_a_date_before_the_calendar() -> None:
    assert pseudonymize(header(StudyDate="00010101"), MAKE, site="a", content="").date is None
