"""Finding files under folders and in zip files, and their keyed hashes."""

from __future__ import annotations

import io
import os
import random
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from heart2heart.errors import DicomError, MissingInputError
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.pipeline import ingest
from heart2heart.ingest.source_files import close_archives, find_files, locate_files, unpacked
from heart2heart.store.frame_store import FrameStore
from tests.dicom.build import speckle_frames, write
from tests.ingest.archive_kit import EXPECTED, SMALL, make_archive, run


def pack(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def statuses(root: Path, tmp_path: Path) -> dict[str, int]:
    """Ingest a folder and return its files by code."""
    store = tmp_path / "store"
    return ingest([root], site="a", store=store, key=tmp_path / "k", settings=SMALL).total


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    """Return a synthetic clip."""
    return write(tmp_path / "made", speckle_frames(3)).read_bytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_ingest_of_an_archive_gives_the_same_store_as_of_the_folder(tmp_path: Path, workers: int) -> None:
    root, packed = make_archive(tmp_path / "in"), tmp_path / "packed"
    expected = run(root, tmp_path / "one")
    packed.mkdir()
    files = sorted(path for path in root.rglob("*") if path.is_file())
    inner = pack({path.name: path.read_bytes() for path in files[:5]})
    outer = {f"study/{path.name}": path.read_bytes() for path in files[5:]} | {"inner": inner}
    (packed / "export.ZIP").write_bytes(pack(outer))
    (tmp_path / "two.key").write_bytes((tmp_path / "one.key").read_bytes())
    (tmp_path / "two.key").chmod(0o600)
    summary = run(packed, tmp_path / "two", workers=workers)
    assert summary.total == expected.total == EXPECTED
    assert FrameStore.open(tmp_path / "two").digest() == FrameStore.open(tmp_path / "one").digest()
    assert run(packed, tmp_path / "two").unchanged == 12
    located = list(locate_files([packed], store=tmp_path / "two", key=tmp_path / "two.key", codes=["failed:empty"]))
    assert [path.name for path in located] == ["empty.dcm"]


def test_ingest_reads_a_changed_archive_again(tmp_path: Path, clip: bytes) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "a").write_bytes(pack({"clip": clip}))
    assert statuses(root, tmp_path) == {"accepted": 1}
    other = write(tmp_path / "other", speckle_frames(3, seed=5)).read_bytes()
    (root / "a").write_bytes(pack({"clip": clip, "other": other}))
    assert statuses(root, tmp_path) == {"accepted": 2}


def deep(clip: bytes, times: int) -> bytes:
    """Return zip files in one another."""
    for _ in range(times):
        clip = pack({"x": clip})
    return clip


def locked(clip: bytes) -> bytes:
    """Return a zip file whose first member says that it is encrypted."""
    raw = bytearray(pack({"a": clip, "b": b"text"}))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


def damaged(clip: bytes) -> bytes:
    """Return a zip file whose first member fails its checksum."""
    raw = bytearray(pack({"a": clip, "b": b"text"}, zipfile.ZIP_STORED))
    raw[2000] ^= 255
    return bytes(raw)


CASES: dict[str, tuple[Callable[[bytes], bytes], dict[str, int]]] = {
    "three deep": (lambda clip: deep(clip, 3), {"accepted": 1}),
    "four deep": (lambda clip: deep(clip, 4), {"failed:archive_bounds": 1}),
    "cut": (lambda clip: pack({"a": clip})[:-30], {"failed:archive": 1}),
    "cut within": (lambda clip: pack({"a": pack({"x": clip})[:-30]}), {"failed:archive": 1}),
    "checksum": (damaged, {"failed:archive": 1, "excluded:not_dicom": 1}),
    "locked": (locked, {"failed:archive_encrypted": 1, "excluded:not_dicom": 1}),
    "manner": (lambda clip: pack({"a": clip}, zipfile.ZIP_LZMA), {"failed:archive": 1}),
    "bomb": (lambda _: pack({"a": bytes(2**24 + 1), "b": b"text"}), {"failed:archive_bounds": 1}),
    "bomb beside a clip": (
        lambda clip: pack({"a": bytes(2**24 + 1), "b": clip, "c": random.Random(0).randbytes(2**17)}),
        {"failed:archive_bounds": 1, "excluded:not_dicom": 1, "accepted": 1},
    ),
    "document": (lambda clip: pack({"[Content_Types].xml": b"", "a": clip}), {"excluded:not_dicom": 1}),
    "empty": (lambda _: pack({}), {"excluded:not_dicom": 1}),
    "folders": (lambda _: pack({"a/": b""}), {"excluded:not_dicom": 1}),
    "no name": (lambda clip: pack({"..": clip}), {"accepted": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_ingest_gives_each_fault_of_an_archive_its_code(tmp_path: Path, clip: bytes, case: str) -> None:
    make, expected = CASES[case]
    root = tmp_path / "in"
    root.mkdir()
    (root / "archive").write_bytes(make(clip))
    assert statuses(root, tmp_path) == expected
    assert Ledger(tmp_path / "store").counts() == {"a": expected}


def test_unpacked_keeps_every_name_inside_the_archive(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"outside")
    (tmp_path / "a").write_bytes(pack({str(outside): b"one", "../../outside": b"two", "d\\..\\e": b"three"}))
    read = []
    for path in find_files([tmp_path / "a"]):
        assert path.is_relative_to(tmp_path / "a")
        with unpacked(path) as unpacked_path:
            read.append(unpacked_path.read_bytes())
    close_archives()
    assert read == [b"one", b"two", b"three"]


def test_unpacked_gives_the_file_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "a").write_bytes(pack({"inner.zip": pack({"Doe^Jane.dcm": b"pixels"})}))
    (path,) = find_files([tmp_path / "a"])
    with unpacked(path) as unpacked_path:
        assert unpacked_path.read_bytes() == b"pixels"
        assert list((tmp_path / "scratch").iterdir()) == []
    close_archives()


def test_unpacked_names_an_archive_that_went_away_or_shrank(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pack({"x": b"one", "y": b"two"}))
    paths = find_files([tmp_path / "a"])
    (tmp_path / "a").write_bytes(pack({"x": b"other"}))
    with pytest.raises(DicomError) as caught, unpacked(paths[1]):
        pass
    assert caught.value.code == "failed:archive"
    close_archives()
    (tmp_path / "a").unlink()
    with unpacked(paths[0]) as unpacked_path:
        assert unpacked_path == paths[0]


def test_find_files_lists_hidden_and_nested_files_and_each_once(tmp_path: Path) -> None:
    for name in ("b", "a/c", "a/.d", "écho 心臓/e f"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    files = find_files([tmp_path, tmp_path / "a" / "..", tmp_path / "b"])
    assert files == sorted(tmp_path / name for name in ("b", "a/c", "a/.d", "écho 心臓/e f"))


def test_find_files_ends_in_loops_and_follows_no_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "file").touch()
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "far").touch()
    (tmp_path / "in" / "elsewhere").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "broken").symlink_to(tmp_path / "nothing")
    (tmp_path / "in" / "deep" / "again").symlink_to("file")
    (tmp_path / "in" / "far").symlink_to(tmp_path / "out" / "far")
    (tmp_path / "in" / "root").symlink_to("/")

    def names(*roots: str, links: set[Path] | None = None) -> list[str]:
        files = find_files([tmp_path / root for root in roots], foreign_links=links)
        return [str(path.relative_to(tmp_path)) for path in files]

    assert names("in") == ["in/deep/again", "in/deep/file"]
    links: set[Path] = set()
    assert names("in", links=links) == [
        "in/broken", "in/deep/again", "in/deep/file", "in/elsewhere", "in/far", "in/root",
    ]  # fmt: skip
    assert links == {tmp_path / "in" / name for name in ("broken", "elsewhere", "far", "root")}
    assert "in/far" in names("in", "out")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    assert names("alias") == ["alias/deep/again", "alias/deep/file"]  # a link that is named itself is followed


def test_find_files_leaves_the_store_out(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").touch()
    (tmp_path / "file").touch()
    assert find_files([tmp_path], outside=tmp_path / "store") == [tmp_path / "file"]


def test_find_files_makes_relative_paths_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert find_files([Path("file"), Path("./file")]) == [tmp_path / "file"]


def test_find_files_lists_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "file").touch()
    plain = os.listdir

    def guarded(path: str | Path) -> list[str]:
        if Path(path).name == "shut":
            raise PermissionError(13, "denied")
        return plain(path)

    monkeypatch.setattr(os, "listdir", guarded)
    assert find_files([tmp_path]) == [tmp_path / "file", tmp_path / "shut"]


def test_find_files_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        find_files([tmp_path / "nowhere"])
    with pytest.raises(MissingInputError, match="no file found"):
        find_files([tmp_path])
