"""Moves a store to a rotated key: new pseudonyms, dates and ledger names, without the original files.

The names that a known identifier could be tested against under the old key are hashed again under a new secret:
patients, studies, series, instances, dates, and paths in the ledger. Clips keep their names, which only the bytes of an
original file lead to, so labels, splits and runs stay valid; see docs/decisions/0013-key-rotation.md.

The store is written anew beside the old one; frames are linked, not copied. Then it takes the old one's place by two
renames, and the key file is replaced. A run that was stopped at any point is completed by the next one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import ConfigError, StoreError
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.relinked_store import LOCK_FILE, sync_folder, write_relinked_store
from heart2heart.ingest.source_files import key_fingerprint
from heart2heart.store.frame_store import FrameStore
from heart2heart.utils import write_text


@dataclass(frozen=True)
class KeyRotation:
    """Result of a rotation.

    Attributes:
        sites: Hospitals whose pseudonyms were moved.
        patients: Number of their patients.
        clips: Number of their clips.
        resumed: Whether this completed a rotation that had been stopped.
    """

    sites: tuple[str, ...]
    patients: int
    clips: int
    resumed: bool


@dataclass(frozen=True)
class RotationFiles:
    """The files of a rotation.

    Attributes:
        store: The store.
        key: Its key file.
    """

    store: Path
    key: Path

    @property
    def new_store(self) -> Path:
        """The store in the making."""
        return self.store.with_name(f"{self.store.name}.rotating")

    @property
    def old_store(self) -> Path:
        """The store before the rotation, until it is deleted."""
        return self.store.with_name(f"{self.store.name}.before-rotation")

    @property
    def new_key(self) -> Path:
        """The key in the making."""
        return self.key.with_name(f"{self.key.name}.rotating")


def rotate_key(store: Path, key: Path) -> KeyRotation:
    """Move a store to a new secret, all or nothing, or complete a rotation that was stopped.

    Args:
        store: The store; the hospitals in it that have another key stay as they are.
        key: Its key file, which is replaced.

    Raises:
        MissingInputError: no store, no ledger, or no key.
        ConfigError: no hospital of the store has this key.
        StoreError: an ingest is writing to the store, or the store is damaged.
        NoSpaceError: the disk is full; store and key are as they were.
    """
    files = RotationFiles(Path(os.path.normpath(store.absolute())), key)
    if not files.store.exists() and files.old_store.exists() and files.new_store.exists():
        files.new_store.rename(files.store)  # stopped between the two renames
    FrameStore.open(files.store)
    Key.load(key)
    with _no_ingest(files.store):
        resumed = _complete(files)
        if resumed is not None:
            return resumed
        old = Key.load(key)
        sites = _sites(files.store, old)
        if not sites:
            what = "no hospital of this store was ingested with this key"
            raise ConfigError(what, where=key, remedy="Give --key with the key of the ingest")
        resumes = files.new_key.exists()
        if not resumes:
            write_text(files.new_key, old.rotated().text(), mode=0o600)
        new = Key.load(files.new_key)
        if new.secret != old.secret or new.later[:-1] != old.later:
            remedy = "Move it away; it belongs to another rotation"
            raise ConfigError("this is no continuation of the key", where=files.new_key, remedy=remedy)
        shutil.rmtree(files.new_store, ignore_errors=True)
        patients, clips = write_relinked_store(files.store, files.new_store, new, sites)
        files.store.rename(files.old_store)
        files.new_store.rename(files.store)
        _finish(files)
    return KeyRotation(sites, patients, clips, resumes)


def _complete(files: RotationFiles) -> KeyRotation | None:
    """Complete a rotation whose store is in place, and return its result; None if there is none."""
    old_store = files.old_store.exists()
    new_key = files.new_key.exists() and bool(_sites(files.store, Key.load(files.new_key)))
    if not new_key and not old_store:
        return None
    sites = _sites(files.store, Key.load(files.new_key if new_key else files.key))
    _finish(files)
    clips = FrameStore.open(files.store).all_clips.select(["site", "patient"]).to_pylist()
    patients = {(row["site"], row["patient"]) for row in clips if row["site"] in sites}
    return KeyRotation(sites, len(patients), sum(row["site"] in sites for row in clips), resumed=True)


def _finish(files: RotationFiles) -> None:
    """Replace the key, and delete the old store; each step may have been done before."""
    sync_folder(files.store.parent)
    if files.new_key.exists():
        files.new_key.replace(files.key)
        sync_folder(files.key.parent)
    shutil.rmtree(files.old_store, ignore_errors=True)


def _sites(store: Path, key: Key) -> tuple[str, ...]:
    """Return the hospitals of a store that were ingested with a key."""
    checks = Ledger(store).site_keys()
    return tuple(sorted(site for site, check in checks.items() if check == key_fingerprint(key)))


@contextmanager
def _no_ingest(store: Path) -> Iterator[None]:
    """Hold the lock of the ledger, which every ingest takes."""
    with (store / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            remedy = "Wait until it is done"
            raise StoreError("an ingest is writing to this store", where=store, remedy=remedy) from error
        yield
