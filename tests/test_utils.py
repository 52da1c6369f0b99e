"""Atomic file writes, hashes, PNG encoding, and random generators by name."""

import errno
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heart2heart.errors import MissingInputError, NoSpaceError, StoreError, UnwritableError
from heart2heart.utils import (
    atomic_path,
    check_writable,
    encode_png,
    make_private_file,
    random_stream,
    read_json,
    sha256_file,
    sha256_json,
    write_json,
    write_text,
)


def test_write_text_replaces_the_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    write_text(target, "one")
    write_text(target, "two")
    assert target.read_text() == "two"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, NoSpaceError), (errno.EACCES, PermissionError)])
def test_atomic_path_leaves_the_old_file_after_an_error(tmp_path: Path, number: int, kind: type[OSError]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise OSError(number, os.strerror(number))

    with pytest.raises(kind):
        write()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("name", ["folder", "file/a.txt"])
def test_atomic_path_and_check_writable_refuse_unwritable_paths_first(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with (
        pytest.raises(UnwritableError, match=r"nothing can be written here \(.*Name a file"),
        atomic_path(tmp_path / name),
    ):
        pytest.fail("the block ran")
    with pytest.raises(UnwritableError, match="nothing can be written here"):
        check_writable(tmp_path / name)
    check_writable(tmp_path / "file")
    check_writable(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_atomic_path_sets_the_mode_from_the_first_byte(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "key", mode=0o600) as temporary:
        assert temporary.stat().st_mode & 0o777 == 0o600
        temporary.write_text("secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_write_json_and_read_json_round_trip_and_refuse(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": [None, "é"]})
    assert read_json(path, what="thing") == {"a": [None, "é"], "b": 1}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert read_json(path, what="thing")["b"] == 1
    with pytest.raises(MissingInputError, match="no thing here"):
        read_json(tmp_path / "none", what="thing")
    path.write_text("{")
    with pytest.raises(StoreError, match="this thing is not readable JSON"):
        read_json(path, what="thing")


def test_encode_png_keeps_every_pixel() -> None:
    pixels = np.arange(12 * 7, dtype=np.uint8).reshape(12, 7)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), pixels)


def test_sha256_file_and_sha256_json(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea")  # FIPS 180-2, appendix B.1
    (tmp_path / "empty").touch()  # cannot be mapped into memory
    assert sha256_file(tmp_path / "empty") == hashlib.sha256(b"").hexdigest()
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1}) != sha256_json({"a": 1, "b": 3})


def test_random_stream_of_the_same_name_gives_the_same_numbers() -> None:
    assert random_stream(1, "a", 2).integers(1 << 30) == random_stream(1, "a", 2).integers(1 << 30)


def test_random_stream_of_other_names_and_seeds_gives_other_numbers() -> None:
    drawn = [
        random_stream(1, "ab"),
        random_stream(1, "a", "b"),
        random_stream(2, "ab"),
        random_stream(1, "ab", 0),
        random_stream(1),
    ]
    assert len({int(generator.integers(1 << 62)) for generator in drawn}) == len(drawn)


def test_random_stream_of_other_numbers_is_uncorrelated() -> None:
    left, right = (random_stream(0, "s", number).standard_normal(20_000) for number in (1, 2))
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.03


def test_atomic_path_keeps_the_mode_of_a_file_and_makes_new_ones_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "deep" / "new", "x")
        (tmp_path / "known").write_text("old")
        (tmp_path / "known").chmod(0o664)
        write_text(tmp_path / "known", "new")
        make_private_file(tmp_path / "other" / "new")
        make_private_file(tmp_path / "known")
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"deep": 0o700, "deep/new": 0o600, "known": 0o664, "other": 0o700, "other/new": 0o600}
    assert (tmp_path / "known").read_text() == "new"


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', "[-Infinity]", "[" * 100_000, "1" * 5000, '"\\'],
    ids=["not a number", "infinite", "nested too deeply", "number too long", "cut"],
)
def test_read_json_refuses_what_is_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StoreError, match="this record is not readable JSON"):
        read_json(tmp_path / "a.json", what="record")


def test_read_json_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="this record cannot be read"):
        read_json(tmp_path, what="record")
