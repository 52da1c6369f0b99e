"""A key's life: made once, the same names ever after; another key, other names; never two keys in a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import ConfigError, MissingInputError
from heart2heart.ingest.deidentify_files import deidentify_files
from heart2heart.ingest.pipeline import ingest
from heart2heart.store.frame_store import FrameStore
from tests.ingest.archive_kit import SMALL, make_archive

NAMES = ("clip", "patient", "study", "series", "instance", "date")


def taken_in(root: Path, store: Path, key: Path) -> list[tuple[str, ...]]:
    """Ingest and return every name that follows from the key."""
    ingest([root], site="a", store=store, key=key, settings=SMALL)
    rows = FrameStore.open(store).clips.select(NAMES).to_pylist()
    return sorted(tuple(str(row[name]) for name in NAMES) for row in rows)


def another_key(path: Path) -> Path:
    Key.open(path)
    return path


def test_ingest_gives_the_same_names_with_a_restored_key_and_others_with_a_new_one(tmp_path: Path) -> None:
    root, key, copy = make_archive(tmp_path / "in"), tmp_path / "first.key", tmp_path / "restored.key"
    first = taken_in(root, tmp_path / "one", key)
    assert key.stat().st_mode & 0o777 == 0o600
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    assert taken_in(root, tmp_path / "two", copy) == first
    rotated = taken_in(root, tmp_path / "three", tmp_path / "new.key")
    assert len(rotated) == len(first)
    old = {name for row in first for name in row[:-1]}  # two shifted dates may meet by chance
    assert not old & {name for row in rotated for name in row[:-1]}


def test_ingest_refuses_another_key_and_changes_nothing(tmp_path: Path) -> None:
    root, key, store = make_archive(tmp_path / "in"), tmp_path / "first.key", tmp_path / "store"
    before = taken_in(root, store, key)
    digest = FrameStore.open(store).digest()
    key.unlink()
    with pytest.raises(MissingInputError, match="key file of site a is gone"):
        taken_in(root, store, key)
    assert not key.exists()  # none is made in its place
    with pytest.raises(ConfigError, match="another key"):
        taken_in(root, store, another_key(tmp_path / "other.key"))
    assert FrameStore.open(store).digest() == digest
    assert len(FrameStore.open(store).clips) == len(before)
    deidentify_files([root], out=tmp_path / "clean", key=tmp_path / "other.key", site="a")
    with pytest.raises(ConfigError, match="another key"):
        deidentify_files([root], out=tmp_path / "clean", key=tmp_path / "third.key", site="a")
