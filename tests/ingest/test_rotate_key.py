"""Rotation of a key: the names of a fresh ingest with the rotated key, all or nothing wherever it is killed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from heart2heart.deidentify.pseudonyms import MAX_ROTATIONS, Key, Pseudonymizer
from heart2heart.errors import ConfigError, MissingInputError, StoreError
from heart2heart.ingest import rotate_key as module
from heart2heart.ingest.ledger import Ledger, open_ledger_writer
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.relinked_store import write_relinked_store
from heart2heart.ingest.rotate_key import rotate_key
from heart2heart.schema.links import LINKS_FILE, LinkedPatient, PatientLinks
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.joined_tables import JOINED_FOLDER, join_tables
from heart2heart.store.viewing_copies import ViewingCopy, ViewingPictures, viewing_path, write_viewing_copy
from tests.ingest.archive_kit import SMALL, make_archive

RELINKED = ("patient", "study", "series", "instance", "date")
KEPT = ("clip", "content", "pixel_hash", "n_frames", "maker", "age", "sex", "mode")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    make_archive(tmp_path / "in")
    _ingest(tmp_path, tmp_path / "store")
    return tmp_path / "store"


def test_rotate_key_keeps_the_viewing_copies(store: Path) -> None:
    clip = FrameStore.open(store).clips["clip"].to_pylist()[0]
    write_viewing_copy(store, clip, ViewingPictures(8, 6, False, None, (0,), None, (b"\xff\xd8\xff picture",)))
    rotate_key(store, store.with_name("store.key"))
    assert FrameStore.open(store).clips["clip"].to_pylist().count(clip) == 1
    assert ViewingCopy(viewing_path(store, clip), clip).is_intact()


def _ingest(folder: Path, store: Path, key: Path | None = None, site: str = "a") -> int:
    return ingest([folder / "in"], site=site, store=store, key=key or folder / "store.key", settings=SMALL).clips


def _rows(store: Path, columns: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    rows = FrameStore.open(store).clips.select(("clip", *columns)).to_pylist()
    return {row["clip"]: tuple(row[name] for name in columns) for row in rows}


def _partition(store: Path) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for clip, (patient,) in _rows(store, ("patient",)).items():
        groups.setdefault(patient, set()).add(clip)
    return {frozenset(group) for group in groups.values()}


def test_rotate_key_gives_the_names_of_a_fresh_ingest_with_the_rotated_key(tmp_path: Path, store: Path) -> None:
    before, kept, groups = _rows(store, RELINKED), _rows(store, KEPT), _partition(store)
    digest = FrameStore.open(store).digest()
    join_tables(store, at_least=1)
    for _ in range(2):  # also a second rotation
        done = rotate_key(store, tmp_path / "store.key")
        assert (done.sites, done.patients, done.clips, done.resumed) == (("a",), 2, 6, False)
    after = _rows(store, RELINKED)
    assert not {name for row in before.values() for name in row} & {name for row in after.values() for name in row}
    assert _rows(store, KEPT) == kept
    assert _partition(store) == groups
    assert not (store / JOINED_FOLDER).exists()  # it would hold the old names
    assert FrameStore.open(store).verify() == []
    assert FrameStore.open(store).digest() != digest
    shutil.copy(tmp_path / "store.key", tmp_path / "fresh.key")
    _ingest(tmp_path, tmp_path / "fresh")
    assert _rows(tmp_path / "fresh", RELINKED) == after
    assert FrameStore.open(tmp_path / "fresh").digest() == FrameStore.open(store).digest()
    frames = FrameStore.open(store).frames.select(["clip", "patient", "study"]).to_pylist()
    assert {(row["clip"], row["patient"], row["study"]) for row in frames} == {
        (clip, row[0], row[1]) for clip, row in after.items()
    }


def test_rotate_key_keeps_the_intervals_between_dates_of_a_patient(tmp_path: Path, store: Path) -> None:
    before = {row[0]: row[1] for row in _rows(store, ("patient", "date")).values()}
    rotate_key(store, tmp_path / "store.key")
    after = {row[0]: row[1] for row in _rows(store, ("patient", "date")).values()}
    shifts = [(old - new).days for old, new in zip(sorted(before.values()), sorted(after.values()), strict=True)]
    assert len(after) == len(before) == 2
    assert all(day > 0 for day in shifts)


def test_rotate_key_leaves_the_ledger_such_that_nothing_is_ingested_again(tmp_path: Path, store: Path) -> None:
    counts, old = Ledger(store).counts(), sqlite3.connect(store / "ledger.sqlite")
    names = {name for (name,) in old.execute("SELECT file FROM files")}
    old.close()
    rotate_key(store, tmp_path / "store.key")
    raw = (store / "ledger.sqlite").read_bytes()
    assert not any(name.encode() in raw for name in names)  # not in free pages either
    assert Ledger(store).counts() == counts
    assert _ingest(tmp_path, store) == 0
    assert Ledger(store).counts() == counts
    assert (tmp_path / "store.key").stat().st_mode & 0o777 == 0o600
    assert (store / "ledger.sqlite").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "store", "store.key"]


def test_rotate_key_shuts_out_the_old_key(tmp_path: Path, store: Path) -> None:
    shutil.copy(tmp_path / "store.key", tmp_path / "old.key")
    rotate_key(store, tmp_path / "store.key")
    with pytest.raises(ConfigError, match="another key"):
        _ingest(tmp_path, store, tmp_path / "old.key")
    with pytest.raises(ConfigError, match="no hospital of this store"):
        rotate_key(store, tmp_path / "old.key")


def test_rotate_key_leaves_hospitals_of_other_keys_and_moves_link_codes(tmp_path: Path, store: Path) -> None:
    make_archive(tmp_path / "other" / "in", clips=2)
    (tmp_path / "other" / "in" / "mark").write_bytes(b"x")
    for path in (tmp_path / "other" / "in").rglob("clip*"):
        path.write_bytes(path.read_bytes().replace(b"1.2.3.4.2", b"1.2.3.4.9"))
    _ingest(tmp_path / "other", store, tmp_path / "b.key", site="b")
    before = {clip: row for clip, row in _rows(store, ("site", *RELINKED)).items() if row[0] == "b"}
    assert before
    patients = sorted({row[0] for row in _rows(store, ("patient", "site")).values() if row[1] == "a"})
    entries = tuple(LinkedPatient(site="a", patient=name, codes=("k" + "0" * 40,)) for name in patients)
    PatientLinks(key_check="0" * 32, patients=entries).write(store)
    assert rotate_key(store, tmp_path / "store.key").sites == ("a",)
    assert {clip: row for clip, row in _rows(store, ("site", *RELINKED)).items() if row[0] == "b"} == before
    links = PatientLinks.read(store)
    assert links is not None
    now = {row[0] for row in _rows(store, ("patient", "site")).values() if row[1] == "a"}
    assert {each.patient for each in links.patients} == now
    assert (store / LINKS_FILE).stat().st_mode & 0o777 == 0o600


STEPS = (
    "write_text", "pq.write_table", "pq.write_table 2", "write_relinked_store", "Path.rename", "Path.rename 2",
    "sync_folder", "Path.replace", "Path.replace 4", "shutil.rmtree", "shutil.rmtree 2",
)  # fmt: skip


def _die_at(step: str, store: Path, key: Path) -> None:
    """Rotate, and die without any cleaning right before or in the middle of a step."""
    name, _, time = step.partition(" ")
    left = [int(time or 1)]

    def deadly(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if name == "write_relinked_store":
                    plain(*args, **options)
                os._exit(9)
            return plain(*args, **options)

        return call

    owner: Any = {"Path": Path, "shutil": shutil, "pq": pq}.get(name.partition(".")[0], module)
    attribute = name.rpartition(".")[2]
    setattr(owner, attribute, deadly(getattr(owner, attribute)))
    rotate_key(store, key)
    os._exit(3)


@pytest.mark.parametrize("step", STEPS)
def test_rotate_key_killed_at_any_step_is_completed_by_the_next_run(tmp_path: Path, store: Path, step: str) -> None:
    before, old = _rows(store, RELINKED), (tmp_path / "store.key").read_text()
    process = multiprocessing.get_context("fork").Process(target=_die_at, args=(step, store, tmp_path / "store.key"))
    process.start()
    process.join(120)
    assert process.exitcode == 9
    if store.exists():  # whole, before or after
        assert FrameStore.open(store).verify() == []
        rows = _rows(store, RELINKED)
        assert rows == before or not {row[0] for row in rows.values()} & {row[0] for row in before.values()}
    done = rotate_key(store, tmp_path / "store.key")
    assert done.resumed is (step not in ("write_text", "Path.replace"))  # before the new key is there
    assert (done.patients, done.clips) == (2, 6)
    new = Key.load(tmp_path / "store.key")
    assert (new.secret.hex(), len(new.later)) == (old.strip(), 1)
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["in", "store", "store.key"]
    assert not {row[0] for row in _rows(store, RELINKED).values()} & {row[0] for row in before.values()}
    assert _ingest(tmp_path, store) == 0


def test_rotate_key_refuses_while_an_ingest_is_writing(tmp_path: Path, store: Path) -> None:
    with open_ledger_writer(store), pytest.raises(StoreError, match="an ingest is writing"):
        rotate_key(store, tmp_path / "store.key")
    assert not (tmp_path / "store.key.rotating").exists()


def test_rotate_key_refuses_a_foreign_new_key_and_a_missing_key(tmp_path: Path, store: Path) -> None:
    Key.open(tmp_path / "store.key.rotating")
    with pytest.raises(ConfigError, match="no continuation of the key"):
        rotate_key(store, tmp_path / "store.key")
    with pytest.raises(MissingInputError, match="no key file"):
        rotate_key(store, tmp_path / "none.key")


def test_write_relinked_store_links_the_frames_and_copies_no_pixels(tmp_path: Path, store: Path) -> None:
    new = Key.load(tmp_path / "store.key").rotated()
    assert write_relinked_store(store, tmp_path / "new", new, ("a",)) == (2, 6)
    frames = [path.relative_to(store) for path in store.rglob("*.npy")]
    assert frames
    assert all((tmp_path / "new" / path).samefile(store / path) for path in frames)


def test_key_files_of_rotated_keys_are_read_and_bounded(tmp_path: Path) -> None:
    key = Key(bytes(32))
    for _ in range(MAX_ROTATIONS):
        key = key.rotated()
    with pytest.raises(ConfigError, match="can be rotated"):
        key.rotated()
    path = tmp_path / "key"
    path.write_text(key.text())
    path.chmod(0o600)
    assert Key.load(path) == key
    path.write_text(key.text() + "00" * 32 + "\n" + "11" * 32 + "\n")
    with pytest.raises(ConfigError):
        Key.load(path)
    assert key.secret.hex() not in repr(key)
    assert not any(secret.hex() in repr(key) for secret in key.later)


def test_pseudonymizer_of_a_rotated_key_keeps_people_apart_and_together() -> None:
    old = Key(bytes(32))
    new = Pseudonymizer(old.rotated())
    names = {new.patient("a", f"{identifier}") for identifier in range(200)}
    assert len(names) == 200
    assert new.patient("a", " 7 ") == new.patient("a", "7") != Pseudonymizer(old).patient("a", "7")
    assert new.unrotated.patient("a", "7") == Pseudonymizer(old).patient("a", "7")
    assert new.content(b"x") == Pseudonymizer(old).content(b"x")
