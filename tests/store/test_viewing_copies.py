"""Viewing copies on disk: one picture without the rest, damage, and files that no clip owns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heart2heart.errors import MissingInputError, StoreError
from heart2heart.schema.viewing_copy import PREFIX_BYTES
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.viewing_copies import (
    ViewingCopy,
    ViewingPictures,
    stale_viewing_copies,
    viewing_faults,
    viewing_path,
    write_viewing_copy,
)
from heart2heart.testing.stores import random_store

JPEGS = (b"\xff\xd8\xff first", b"\xff\xd8\xff the second", b"\xff\xd8\xff 3")
PICTURES = ViewingPictures(8, 6, False, None, (0, 1, 2), (0.0, 30.0, 60.0), JPEGS)


def test_write_viewing_copy_reads_back_picture_by_picture(tmp_path: Path) -> None:
    write_viewing_copy(tmp_path, "a1", PICTURES)
    path = viewing_path(tmp_path, "a1")
    assert path.stat().st_mode & 0o777 == 0o600
    copy = ViewingCopy(path, "a1")
    assert (copy.header.width, copy.header.height, copy.header.index) == (8, 6, (0, 1, 2))
    assert [copy.pictures(n, n) for n in range(3)] == list(JPEGS)
    assert copy.pictures(0, 2) == b"".join(JPEGS)
    assert copy.is_intact()
    for first, last in ((2, 1), (0, 3), (-1, 0)):
        with pytest.raises(MissingInputError, match="no such picture"):
            copy.pictures(first, last)


def test_write_viewing_copy_without_pictures_removes_an_older_one(tmp_path: Path) -> None:
    write_viewing_copy(tmp_path, "a1", None)
    write_viewing_copy(tmp_path, "a1", PICTURES)
    write_viewing_copy(tmp_path, "a1", None)
    with pytest.raises(MissingInputError, match="no viewing copy"):
        ViewingCopy(viewing_path(tmp_path, "a1"), "a1")


def test_pictures_are_read_beside_a_damaged_one(tmp_path: Path) -> None:
    write_viewing_copy(tmp_path, "a1", PICTURES)
    path = viewing_path(tmp_path, "a1")
    data = bytearray(path.read_bytes())
    data[data.index(b"second")] ^= 1
    path.write_bytes(data)
    copy = ViewingCopy(path, "a1")
    assert (copy.pictures(0, 0), copy.pictures(2, 2)) == (JPEGS[0], JPEGS[2])
    with pytest.raises(StoreError, match="a picture of this viewing copy is damaged"):
        copy.pictures(0, 2)
    assert not copy.is_intact()


@pytest.mark.parametrize("kept", [0, 4, PREFIX_BYTES, 60, -1], ids=["empty", "magic", "prefix", "header", "end"])
def test_viewing_copy_that_is_cut_short_is_refused(kept: int, tmp_path: Path) -> None:
    write_viewing_copy(tmp_path, "a1", PICTURES)
    path = viewing_path(tmp_path, "a1")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StoreError, match="viewing copy"):
        ViewingCopy(path, "a1")
    assert list(viewing_faults(tmp_path, ["a1"])) == ["viewing copy of a1: cannot be read"]


def test_viewing_copy_of_another_clip_is_refused(tmp_path: Path) -> None:
    write_viewing_copy(tmp_path, "a1", PICTURES)
    with pytest.raises(StoreError, match="of another clip"):
        ViewingCopy(viewing_path(tmp_path, "a1"), "b2")


@pytest.mark.parametrize("clip", ["../x", "a/b", "", ".a", "a" * 201], ids=["up", "folder", "empty", "dot", "long"])
def test_viewing_path_refuses_a_name_that_leads_elsewhere(clip: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no name of a file"):
        viewing_path(tmp_path, clip)


def test_verify_of_a_store_names_a_damaged_viewing_copy_and_misses_none(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=1)
    whole, damaged = store.clips["clip"].to_pylist()[:2]
    digest = store.digest()
    write_viewing_copy(store.root, whole, PICTURES)
    write_viewing_copy(store.root, damaged, PICTURES)
    path = viewing_path(store.root, damaged)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    opened = FrameStore.open(store.root)
    assert opened.verify() == [f"viewing copy of {damaged}: differs from its checksum"]
    assert opened.digest() == digest


def test_stale_viewing_copies_are_removed_with_the_leftovers(tmp_path: Path) -> None:
    store = random_store(tmp_path / "store", sites=["A"], patients=1)
    clip = store.clips["clip"].to_pylist()[0]
    for name in (clip, "feed"):
        write_viewing_copy(store.root, name, PICTURES)
        os.utime(viewing_path(store.root, name), (0, 0))
    assert [path.stem for path in stale_viewing_copies(store.root, [clip])] == ["feed"]
    assert store.remove_leftovers() == 1
    assert viewing_path(store.root, clip).exists()
    assert not viewing_path(store.root, "feed").exists()
