"""From an archive to a store: every file one code, nothing twice, the same store whatever the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from heart2heart.deidentify.pseudonyms import Key
from heart2heart.errors import ConfigError, MissingInputError, NoSpaceError, StoreError
from heart2heart.ingest.ledger import Ledger
from heart2heart.ingest.pipeline import RateMeter, ingest
from heart2heart.ingest.settings import IngestSettings, status_table
from heart2heart.ingest.source_files import find_files, locate_files
from heart2heart.schema.status import CODES
from heart2heart.store.frame_store import FrameStore
from tests.dicom.build import speckle_frames, write
from tests.ingest.archive_kit import EXPECTED, SMALL, make_archive, run


def test_rate_meter_gives_rates_statuses_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("heart2heart.ingest.pipeline.time.monotonic", lambda: clock[0])
    pace = RateMeter(50)
    clock[0] += 8
    codes = {"accepted": 17, "excluded:not_dicom": 2, "excluded:duplicate": 1}
    assert pace.update(20, 1360, codes) == "2.5 files/s, 170 frames/s; accepted 17, excluded 3; 0:12 left"
    clock[0] += 60  # the first 8 seconds are forgotten
    codes["failed:empty"] = 15
    assert pace.update(35, 1360, codes) == "0.2 files/s, 0 frames/s; accepted 17, excluded 3, failed 15; 1:00 left"
    clock[0] += 120
    assert pace.update(35, 1360, codes).endswith("; unknown time left")
    slow = RateMeter(9000)
    assert slow.update(0, 0, {}) == "0.0 files/s, 0 frames/s; unknown time left"
    clock[0] += 4
    assert slow.update(1, 0, {"failed:empty": 1}).endswith("failed 1; 9:59:56 left")


class Counter:
    """Collects what progress is told."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def update(self, done: int, note: str = "") -> None:
        """Remember `done`."""
        self.seen.append(done)


def test_ingest_ends_every_file_with_one_code(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    summary = run(root, store)
    assert summary.run == summary.total == EXPECTED
    assert Ledger(store).counts() == {"a": EXPECTED}
    assert sum(EXPECTED.values()) == len(find_files([root]))
    assert (summary.clips, summary.frames, summary.unchanged, summary.accepted) == (6, 18, 0, 6)
    opened = FrameStore.open(store)
    assert (len(opened.clips), len(opened.frames)) == (6, 18)
    assert opened.verify() == []
    assert len(set(opened.clips["patient"].to_pylist())) == 2
    assert set(EXPECTED) < set(CODES)


def test_ingest_repeated_does_nothing_and_adds_new_files(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    run(root, store)
    before = FrameStore.open(store).digest()
    again = run(root, store)
    assert (again.run, again.unchanged, again.clips, again.total) == ({}, 12, 0, EXPECTED)
    assert FrameStore.open(store).digest() == before
    write(root / "later", speckle_frames(4, seed=99))
    later = run(root, store)
    assert (later.run, later.clips, later.unchanged) == ({"accepted": 1}, 1, 12)


def test_ingest_of_a_renamed_archive_adds_no_clip(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    run(root, store)
    before = FrameStore.open(store).digest()
    moved = root.rename(tmp_path / "moved")
    summary = run(moved, store)
    assert summary.run["excluded:duplicate"] == 7
    assert summary.clips == 0
    other = run(moved, store, site="b")
    assert (other.clips, other.total["excluded:duplicate"]) == (0, 7)
    assert FrameStore.open(store).digest() == before


def test_ingest_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    root = make_archive(tmp_path / "in")
    (tmp_path / "one.key").write_text("ab" * 32)
    (tmp_path / "one.key").chmod(0o600)
    results = []
    for name, workers in (("x", 1), ("y", 3)):
        store = tmp_path / name
        ingest([root], site="a", store=store, key=tmp_path / "one.key", settings=SMALL, workers=workers)
        results.append((FrameStore.open(store).digest(), Ledger(store).counts()))
    assert results[0] == results[1]


def test_ingest_fills_a_store_that_lost_a_shard(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    run(root, store)
    before = FrameStore.open(store).digest()
    for path in (store / "clips").iterdir():
        path.unlink()
    again = run(root, store)
    assert (again.clips, again.total) == (6, EXPECTED)
    assert FrameStore.open(store).digest() == before


def test_ingest_brings_a_ledger_behind_its_store_up_to_date(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    run(root, store)
    before = FrameStore.open(store).digest()
    (store / "ledger.sqlite").unlink()
    again = run(root, store)
    assert (again.clips, again.total) == (0, EXPECTED)
    assert FrameStore.open(store).digest() == before


def test_ingest_refuses_another_key_or_other_settings(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in", clips=1), tmp_path / "store"
    run(root, store)
    Key.open(tmp_path / "other.key")
    with pytest.raises(ConfigError, match="another key"):
        ingest([root], site="a", store=store, key=tmp_path / "other.key", settings=SMALL)
    with pytest.raises(ConfigError, match="other settings"):
        ingest([root], site="a", store=store, key=tmp_path / "store.key", settings=IngestSettings(size=32))
    with pytest.raises(StoreError, match="tmed2-112"):
        ingest([root], site="a", store=store, key=tmp_path / "store.key")
    with pytest.raises(ConfigError, match="inside the store"):
        ingest([root], site="a", store=store, key=store / "a.key", settings=SMALL)
    for site in ("", "../x", "a" * 65, "a\nb"):
        with pytest.raises(ConfigError, match="site"):
            ingest([root], site=site, store=store, key=tmp_path / "store.key", settings=SMALL)
    with pytest.raises(ConfigError, match="frame rule"):
        IngestSettings.parse({"frames": "even:0"}, where="test")


def test_ingest_of_no_file_and_of_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    with pytest.raises(MissingInputError, match="no file found"):
        run(tmp_path / "in", tmp_path / "store")
    with pytest.raises(MissingInputError, match="no such file"):
        run(tmp_path / "nowhere", tmp_path / "store")
    assert not (tmp_path / "store").exists()
    (tmp_path / "in" / "deep" / "a.txt").write_text("words")
    summary = run(tmp_path / "in", tmp_path / "store")
    assert (summary.total, summary.accepted) == ({"excluded:not_dicom": 1}, 0)


def test_ingest_stops_cleanly_on_a_full_disk_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    root, store = make_archive(tmp_path / "in"), tmp_path / "store"

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write_table", full)
        with pytest.raises(NoSpaceError, match="run the same command again"):
            run(root, store)
    assert len(FrameStore.open(store).clips) == 0
    assert Ledger(store).counts() == {}
    assert run(root, store).total == EXPECTED


def test_ingest_tries_some_files_again(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "clip", speckle_frames(4))
    (root / "link").symlink_to(root / "later")
    first = run(root, tmp_path / "store")
    assert first.total == {"accepted": 1, "failed:unreadable": 1}
    write(root / "later", speckle_frames(4, seed=3))
    total = run(root, tmp_path / "store").total
    assert total["accepted"] == 2
    assert "failed:unreadable" not in total


def test_ingest_of_an_unreadable_file_among_good_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, plain = make_archive(tmp_path / "in", clips=2), Path.open

    def guarded(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "clip1":
            raise PermissionError(errno.EACCES, "denied")
        return plain(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", guarded)
        total = run(root, tmp_path / "store").total
    assert (total["failed:unreadable"], total["accepted"]) == (1, 1)
    assert run(root, tmp_path / "store").total["accepted"] == 2


def test_ingest_reads_a_changed_file_again(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "clip", speckle_frames(4))
    run(tmp_path / "in", tmp_path / "store")
    write(path, speckle_frames(5, seed=1))
    summary = run(tmp_path / "in", tmp_path / "store")
    assert (summary.run, summary.total, summary.clips) == ({"accepted": 1}, {"accepted": 1}, 1)


def test_ingest_reports_progress_for_the_status_table(tmp_path: Path) -> None:
    root, progress = make_archive(tmp_path / "in"), Counter()
    summary = ingest([root], site="a", store=tmp_path / "s", key=tmp_path / "s.key", settings=SMALL, progress=progress)
    assert progress.seen == list(range(1, 13))
    text = status_table(summary)
    assert all(code in text for code in EXPECTED)
    assert "6 clips and 18 frames added" in text
    assert "12" in text.splitlines()[-2]


def test_locate_files_by_code(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    run(root, store)
    located = list(
        locate_files([root], store=store, key=tmp_path / "store.key", codes=["failed:truncated", "failed:empty"])
    )
    assert [path.name for path in located] == ["cut", "empty.dcm"]
    assert list(locate_files([root / "study 0"], store=store, key=tmp_path / "store.key", codes=["failed:empty"])) == []
    with pytest.raises(LookupError, match="unknown status code"):
        list(locate_files([root], store=store, key=tmp_path / "store.key", codes=["failed:sadly"]))


def test_ingest_lets_labels_be_joined_by_uid_and_by_content(tmp_path: Path) -> None:
    from heart2heart.deidentify.pseudonyms import Key, Pseudonymizer

    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    run(root, store)
    make = Pseudonymizer(Key.load(tmp_path / "store.key"))
    clips = {row["instance"]: row for row in FrameStore.open(store).clips.to_pylist()}
    row = clips[make.uid("1.2.3.4")]
    assert row["content"] == make.content(root / "study 1" / "clip4")
    assert row["clip"] == make.clip(row["content"])


def test_ingest_writes_files_that_their_owner_alone_can_read_and_keeps_the_mode_of_others(tmp_path: Path) -> None:
    root, store = make_archive(tmp_path / "in"), tmp_path / "store"
    before = os.umask(0o022)
    try:
        run(root, store)
        assert {path.stat().st_mode & 0o077 for path in (store, *store.rglob("*"))} == {0}
        (store / "ledger.sqlite").chmod(0o640)
        write(root / "later", speckle_frames(4, seed=99))
        run(root, store)
    finally:
        os.umask(before)
    assert (store / "ledger.sqlite").stat().st_mode & 0o777 == 0o640


def test_ingest_does_not_leave_the_archive_by_a_link(tmp_path: Path) -> None:
    root, store = tmp_path / "in", tmp_path / "store"
    write(root / "clip", speckle_frames(4))
    write(tmp_path / "elsewhere" / "other", speckle_frames(4, seed=1))
    (root / "machine").symlink_to("/")
    (root / "other").symlink_to(tmp_path / "elsewhere" / "other")
    summary = run(root, store)
    assert summary.run == {"accepted": 1, "excluded:outside_folder": 2}
    located = locate_files([root], store=store, key=tmp_path / "store.key", codes=["excluded:outside_folder"])
    assert sorted(located) == [root / "machine", root / "other"]


def test_ingest_keeps_no_heart_rate_and_no_frame_time_that_cannot_be(tmp_path: Path) -> None:
    root, store = tmp_path / "in", tmp_path / "store"
    write(root / "telephone", speckle_frames(4), HeartRate="7783412", FrameTime="7783412")
    write(root / "heart", speckle_frames(4, seed=1), HeartRate="72", FrameTime="20", SOPInstanceUID="1.2.3.77")
    run(root, store)
    clips = FrameStore.open(store).clips.to_pylist()
    assert sorted(str(clip["heart_rate"]) for clip in clips) == ["72.0", "None"]
    assert sorted(str(clip["frame_time_ms"]) for clip in clips) == ["20.0", "None"]
