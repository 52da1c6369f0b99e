"""EchoNet-Dynamic in miniature: AVI by PyAV, its list, its split, videos that are missing or broken."""

from pathlib import Path

import numpy as np
import pytest

from heart2heart.datasets import echonet
from heart2heart.datasets.add_files import add_manifest
from heart2heart.datasets.manifest import clip_id
from heart2heart.errors import LabelError, MissingInputError
from heart2heart.store.frame_store import FrameStore
from heart2heart.store.store_files import read_official_splits
from tests.datasets import miniature


def test_scan_gives_each_video_its_own_patient(tmp_path: Path) -> None:
    report = add_manifest(echonet.scan(miniature.echonet(tmp_path / "in")), tmp_path / "store")
    assert (report.expected, report.found, report.frames, report.patients) == (4, 3, 15, 3)
    assert report.files_not_in_store == (("0X4D.avi", "failed:missing"),)
    store = FrameStore.open(tmp_path / "store")
    row = next(row for row in store.clips.to_pylist() if row["patient"] == "echonet-0X2B")
    assert (row["n_frames"], row["n_source"], row["frame_time_ms"]) == (5, 5, 20.0)
    frames = [each for each in store.frames.to_pylist() if each["clip"] == row["clip"]]
    assert [each["time_ms"] for each in frames] == [0, 20, 40, 60, 80]
    pixels = store.read(np.array([each["row"] for each in frames]))
    assert np.abs(pixels.astype(int) - miniature.smooth(5)).max() <= 12  # motion JPEG
    assert set(report.labels.values()) == {"A4C"}


def test_scan_keeps_the_official_split_and_compares_known_counts(tmp_path: Path) -> None:
    report = add_manifest(echonet.scan(miniature.echonet(tmp_path / "in")), tmp_path / "store")
    roles = {row["clip"]: row["role"] for row in read_official_splits(tmp_path / "store", "echonet").to_pylist()}
    names = {"0X1A": "train", "0X2B": "validation", "0X3C": "test"}
    assert roles == {clip_id("echonet", f"{name}.avi"): role for name, role in names.items()}
    published = {known.what: known.expected for known in report.count_checks}
    assert published == {"train videos": 7465, "validation videos": 1288, "test videos": 1277}
    assert sum(published.values()) == 10030


def test_scan_follows_the_frame_rule(tmp_path: Path) -> None:
    report = add_manifest(echonet.scan(miniature.echonet(tmp_path / "in")), tmp_path / "store", rule="even:2")
    assert report.frames == 6
    store = FrameStore.open(tmp_path / "store")
    assert set(store.frames["index"].to_pylist()) == {1, 3}


def test_scan_of_broken_videos_lists_and_folders(tmp_path: Path) -> None:
    root = miniature.echonet(tmp_path / "in")
    videos = root / "Videos"
    (videos / "0X1A.avi").write_bytes(b"RIFF nothing of a video")
    (videos / "0X2B.avi").write_bytes(b"")
    (videos / "0X9Z.avi").write_bytes((videos / "0X3C.avi").read_bytes())
    plan = echonet.scan(root)
    assert plan.notes == ("1 videos are not in FileList.csv and were left out",)
    report = add_manifest(plan, tmp_path / "store")
    assert report.codes == {"accepted": 1, "failed:decode": 1, "failed:empty": 1, "failed:missing": 1}
    table = root / "FileList.csv"
    whole = table.read_text()
    table.write_text(whole + "0X1A.avi,60,30,75,112,112,50,5,TRAIN\n")
    with pytest.raises(LabelError, match="1 videos are in this list twice"):
        echonet.scan(root)
    table.write_text(whole.replace("Split", "Part"))
    with pytest.raises(LabelError, match="lacks a column"):
        echonet.scan(root)
    table.unlink()
    with pytest.raises(MissingInputError, match="table of the data set is missing"):
        echonet.scan(root)
    with pytest.raises(MissingInputError, match="no folder Videos"):
        echonet.scan(tmp_path / "nowhere")
